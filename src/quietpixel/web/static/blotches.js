// Blotches of colour, found in a copy of a quarter of the size: inference/blotches.py in JavaScript.

import { pick, placesOf, planTiles } from "./tiles.js";

const STEP = 4;
export const LUMINANCE = [0.2126, 0.7152, 0.0722]; // imaging/strength.py

export const canFind = ({ channels, halo, divisor }) => channels === 3 && halo !== null && divisor % STEP === 0;

// Returns what is to be added to the colour of an image, {data, width, height}. `read(tile)` returns
// what the model would be shown of a tile; `sigma` is the level of the copy.
export async function findBlotches({ width, height }, tiles, read, sigma, { card, run }) {
  const copy = { width: Math.ceil(width / STEP), height: Math.ceil(height / STEP), channels: 3 };
  copy.data = new Float32Array(3 * copy.width * copy.height);
  for (const tile of tiles) shrink(read(tile), tile, copy);
  const data = new Float32Array(copy.data.length);
  const most = Math.max(...tiles.flatMap(({ rows, columns }) => [rows.stop - rows.start, columns.stop - columns.start]));
  for (const tile of planTiles(copy.width, copy.height, card, most)) {
    const { rows, columns } = tile, places = placesOf(tile, copy);
    const { data: part, width: wide, height: high } = pick(copy, places.rows, places.columns);
    const result = await run(part, [1, high, wide, 3], new Float32Array(high * wide).fill(sigma));
    for (let y = rows.keepStart; y < rows.keepStop; y++) {
      for (let x = columns.keepStart; x < columns.keepStop; x++) {
        const from = 3 * ((y - rows.start) * wide + x - columns.start);
        const change = [0, 1, 2].map((at) => result[from + at] - part[from + at]);
        const light = change.reduce((sum, each, at) => sum + each * LUMINANCE[at], 0);
        data.set(change.map((each) => each - light), 3 * (y * copy.width + x));
      }
    }
  }
  return { ...copy, data };
}

// Writes the means of squares of STEP x STEP pixels that a tile keeps; the last repeat the border.
function shrink({ data }, { rows, columns }, copy) {
  const wide = columns.stop - columns.start;
  for (let top = rows.keepStart; top < rows.keepStop; top += STEP) {
    for (let left = columns.keepStart; left < columns.keepStop; left += STEP) {
      for (let at = 0; at < 3; at++) {
        let sum = 0;
        for (let y = top; y < top + STEP; y++) {
          for (let x = left; x < left + STEP; x++) {
            const row = Math.min(y, rows.keepStop - 1) - rows.start, column = Math.min(x, columns.keepStop - 1) - columns.start;
            sum += data[3 * (row * wide + column) + at];
          }
        }
        copy.data[3 * ((top / STEP) * copy.width + left / STEP) + at] = sum / STEP ** 2;
      }
    }
  }
}

// Adds them, enlarged, to a part that lies in these rows and columns of the image.
export function addBlotches(part, { data, width, height }, places) {
  const [rows, columns] = [[places.rows, height], [places.columns, width]].map(([sides, length]) => Array.from(sides, (place) => {
    const where = Math.min(Math.max((place + 0.5) / STEP - 0.5, 0), length - 1), first = Math.floor(where);
    return { first, second: Math.min(first + 1, length - 1), share: where - first };
  }));
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let at = 0; at < 3; at++, to++) {
        const [upper, lower] = [row.first, row.second].map((y) => {
          const [left, right] = [column.first, column.second].map((x) => data[3 * (y * width + x) + at]);
          return left + column.share * (right - left);
        });
        part.data[to] = Math.min(Math.max(part.data[to] + upper + row.share * (lower - upper), -4), 5);
      }
    }
  }
}
