// Coarse noise, found in copies of half and quarter the size: inference/coarse_noise.py in JavaScript.

import { pick, placesOf, planTiles } from "./tiles.js";

const STEPS = [4, 2], LEVELS = { 4: 0.12, 2: 0.45 }, SHARE = 0.7, BLOTCHES = 0.35;
export const REACH = 2;
export const LUMINANCE = [0.2126, 0.7152, 0.0722]; // imaging/strength.py

export const canFind = ({ channels, halo, divisor }) => channels === 3 && halo !== null && divisor % STEPS[0] === 0;

// Returns {blotches, light, share}: what is to be added to the colour of an image (null for gray),
// the luminance of the result for the copy of half the size, and how far the coarse part of the result
// goes there. `read(tile)` returns what the model is shown of a tile, `denoise(part, factor)` what it
// makes of a part with so many times the level; `factors` are those of luminance and colour.
export async function findCoarseNoise(image, copies, camera, factors, onTile) {
  const { read, denoise } = copies, share = SHARE * camera;
  let blotches = null, light = null;
  for (const step of STEPS) {
    const found = makeCopy(image, step, 1);
    if (!light && image.channels === 3) blotches = makeCopy(image, step, 3);
    for (const tile of tilesOf(image, copies, step)) {
      const part = shrink(read(scale(tile, step)), step);
      if (!light && blotches) {
        const result = await denoise(part, factors.at(-1) * BLOTCHES * camera);
        const change = { ...part, data: result.map((value, at) => value - part.data[at]) }, bright = luminance(change);
        change.data.forEach((value, at) => { change.data[at] = value - bright.data[Math.floor(at / 3)]; });
        keep(change, tile, blotches);
      }
      const result = { ...part, data: await denoise(part, factors[0] * LEVELS[step]) };
      if (light) follow({ light, share }, result, tile);
      keep(luminance(result), tile, found);
      await onTile();
    }
    light = found;
  }
  return { blotches, light, share };
}

// How many tiles the copies have.
export const countTiles = (image, copies) => STEPS.reduce((sum, step) => sum + tilesOf(image, copies, step).length, 0);

const sizeOf = ({ width, height }, step) => [width, height].map((length) => Math.ceil(length / step));

const tilesOf = (image, { card, side, margin }, step) =>
  [...planTiles(...sizeOf(image, step), { halo: card.halo + margin + REACH, divisor: card.divisor }, side)];

function makeCopy(image, step, channels) {
  const [width, height] = sizeOf(image, step);
  return { data: new Float32Array(width * height * channels), width, height, channels, step };
}

const scale = (tile, factor) => Object.fromEntries(Object.entries(tile).map(([axis, { start, stop }]) => [axis, { start: factor * start, stop: factor * stop }]));

// The means of squares of `step` x `step` pixels.
function shrink({ data, width, height, channels }, step) {
  const wide = width / step, high = height / step, result = new Float32Array(wide * high * channels);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      for (let at = 0; at < channels; at++) {
        let sum = 0;
        for (let row = step * y; row < step * (y + 1); row++) {
          for (let column = step * x; column < step * (x + 1); column++) sum += data[(row * width + column) * channels + at];
        }
        result[(y * wide + x) * channels + at] = sum / step ** 2;
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
  shrink(bright, 2).data.forEach((value, at) => { change.data[at] = share * (change.data[at] - value); });
  const read = enlarge({ ...change, step: 2 }, down.kept, right.kept), { width, channels } = part;
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
