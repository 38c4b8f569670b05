// Coarse noise, found in copies of half and quarter the size: inference/coarse_noise.py in JavaScript.

import { pick, placesOf, planTiles } from "./tiles.js";

const HALF = 2, QUARTER = 4, LEVELS = { [QUARTER]: [0.35, 0.12], [HALF]: [0.65, 0.45] }, SHARE = 0.7, WHOLE = 0.25, COLOUR_LEVEL = 0.35;
export const REACH = 2;
export const LUMINANCE = [0.2126, 0.7152, 0.0722]; // imaging/strength.py

export const canFind = ({ channels, halo, divisor }) => channels === 3 && halo !== null && divisor % QUARTER === 0;

// How the copies of an image are cut, by their steps.
export function planCopies({ width, height }, { halo, divisor }, side) {
  const cut = (step) => [...planTiles(Math.ceil(width / step), Math.ceil(height / step), { halo: halo + REACH, divisor }, side)];
  return { [QUARTER]: cut(QUARTER), [HALF]: cut(HALF) };
}

// Returns {blotches, light, share}: what is to be added to the colour of an image (null for gray),
// the luminance of the result for the copy of half the size, and how far the coarse part of the result
// goes there. `half` is that copy, `tiles` what `planCopies` gave, `denoise(part, factor)` what the
// model makes of a part with so many times the level; `factors` are those of luminance and colour.
export async function findCoarseNoise(half, tiles, camera, factors, denoise, onTile) {
  const strength = (step) => factors[0] * (LEVELS[step][0] + (LEVELS[step][1] - LEVELS[step][0]) * camera);
  const share = SHARE * Math.min(camera / WHOLE, 1), quarter = shrink(half), light = makeCopy(half, 1, HALF), small = makeCopy(quarter, 1, HALF);
  const blotches = half.channels === 3 ? makeCopy(quarter, 3, QUARTER) : null;
  for (const tile of tiles[QUARTER]) {
    const part = readTile(quarter, tile);
    keep(luminance({ ...part, data: await denoise(part, strength(QUARTER)) }), tile, small);
    if (blotches) {
      const result = await denoise(part, factors.at(-1) * COLOUR_LEVEL * camera);
      const change = { ...part, data: result.map((value, at) => value - part.data[at]) }, bright = luminance(change);
      change.data.forEach((value, at) => { change.data[at] = value - bright.data[Math.floor(at / 3)]; });
      keep(change, tile, blotches);
    }
    await onTile();
  }
  for (const tile of tiles[HALF]) {
    const part = readTile(half, tile), result = { ...part, data: await denoise(part, strength(HALF)) };
    follow({ light: small, share }, result, tile);
    keep(luminance(result), tile, light);
    await onTile();
  }
  return { blotches, light, share };
}

// The copy of half the size of an image, to be filled with `addToHalf`.
export const makeHalf = ({ width, height, channels }) => makeCopy({ width: Math.ceil(width / 2), height: Math.ceil(height / 2) }, channels, HALF);

const makeCopy = ({ width, height }, channels, step) => ({ data: new Float32Array(width * height * channels), width, height, channels, step });

function readTile(copy, tile) {
  const places = placesOf(tile, copy);
  return pick(copy, places.rows, places.columns);
}

// Adds what is kept of a tile of the image, `part`, to its copy.
export function addToHalf(part, { rows, columns }, copy) {
  const inner = ({ start, keepStart, keepStop }) => Int32Array.from({ length: keepStop - keepStart }, (_, at) => keepStart - start + at);
  const side = ({ keepStart, keepStop }) => ({ start: keepStart / 2, keepStart: keepStart / 2, keepStop: Math.ceil(keepStop / 2) });
  keep(shrink(pick(part, inner(rows), inner(columns))), { rows: side(rows), columns: side(columns) }, copy);
}

// A part at half its size; a last row or column counts twice.
function shrink({ data, width, height, channels }) {
  const wide = Math.ceil(width / 2), high = Math.ceil(height / 2), result = new Float32Array(wide * high * channels);
  for (let y = 0; y < high; y++) {
    const rows = [2 * y, Math.min(2 * y + 1, height - 1)];
    for (let x = 0; x < wide; x++) {
      const columns = [2 * x, Math.min(2 * x + 1, width - 1)];
      for (let at = 0; at < channels; at++) {
        let sum = 0;
        for (const row of rows) for (const column of columns) sum += data[(row * width + column) * channels + at];
        result[(y * wide + x) * channels + at] = sum / 4;
      }
    }
  }
  return { data: result, width: wide, height: high, channels };
}

function luminance(part) {
  if (part.channels === 1) return part;
  const data = Float32Array.from({ length: part.width * part.height }, (_, at) => LUMINANCE.reduce((sum, weight, channel) => sum + weight * part.data[3 * at + channel], 0));
  return { ...part, data, channels: 1 };
}

// Writes what is kept of a tile, `part`, into the copy.
function keep({ data, width, channels }, { rows, columns }, copy) {
  for (let y = rows.keepStart; y < rows.keepStop; y++) {
    const from = ((y - rows.start) * width - columns.start) * channels;
    const line = data.subarray(from + columns.keepStart * channels, from + columns.keepStop * channels);
    copy.data.set(line, (y * copy.width + columns.keepStart) * channels);
  }
}

// Removes blotches of colour from a part that lies in these rows and columns of the image.
export function correctColour({ blotches }, part, places) {
  if (!blotches) return;
  const read = enlarge(blotches, places.rows, places.columns);
  for (let at = 0; at < part.data.length; at++) {
    const pixel = Math.floor(at / 3);
    const change = read(Math.floor(pixel / part.width), pixel % part.width, at % 3);
    part.data[at] = Math.min(Math.max(part.data[at] + change, -4), 5);
  }
}

// The coarse luminance of a denoised tile, `part`, goes part of the way to that of the copy of half
// the size, where the tile is kept.
export function follow({ light, share }, part, { rows, columns }) {
  const [down, right] = [[rows, light.height], [columns, light.width]].map(([{ start, keepStart, keepStop }, length]) => {
    const first = Math.max(Math.floor(keepStart / 2) - 1, 0), last = Math.min(Math.ceil(keepStop / 2) + 1, length);
    const places = (from, to) => Int32Array.from({ length: to - from }, (_, at) => from + at);
    return { first, seen: places(first, last), read: places(2 * first - start, 2 * last - start), kept: places(keepStart - 2 * first, keepStop - 2 * first) };
  });
  const change = pick(light, down.seen, right.seen), bright = luminance(pick(part, down.read, right.read));
  shrink(bright).data.forEach((value, at) => { change.data[at] = share * (change.data[at] - value); });
  const read = enlarge({ ...change, step: HALF }, down.kept, right.kept), { width, channels } = part;
  for (let y = 0; y < down.kept.length; y++) {
    for (let x = 0; x < right.kept.length; x++) {
      const to = ((y + rows.keepStart - rows.start) * width + x + columns.keepStart - columns.start) * channels, added = read(y, x, 0);
      for (let at = 0; at < channels; at++) part.data[to + at] += added;
    }
  }
}

// Returns what reads a copy, enlarged, at these rows and columns of the image.
function enlarge({ data, width, height, channels, step }, ...places) {
  const [rows, columns] = [height, width].map((length, axis) => Array.from(places[axis], (place) => {
    const where = Math.min(Math.max((place + 0.5) / step - 0.5, 0), length - 1), first = Math.floor(where);
    return { first, second: Math.min(first + 1, length - 1), share: where - first };
  }));
  return (y, x, at) => {
    const row = rows[y], column = columns[x];
    const [upper, lower] = [row.first, row.second].map((line) => {
      const [left, right] = [column.first, column.second].map((place) => data[(line * width + place) * channels + at]);
      return left + column.share * (right - left);
    });
    return upper + row.share * (lower - upper);
  };
}
