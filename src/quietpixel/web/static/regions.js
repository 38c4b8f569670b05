// Chooses parts of an image: where to look first, and where its noise is estimated.

import { isGray } from "./pnm.js";
import { LEVEL_CELL, levelPlaces } from "./tiles.js";

const SIDE = 64, PLACES = 7, SMALL = 256;

// Pixels of a part of an image, as ImageData.
export function readPart(image, { x, y, width, height }) {
  const context = makeContext(width, height);
  context.drawImage(image, -x, -y);
  return context.getImageData(0, 0, width, height);
}

// The squares that the noise level of the whole image is estimated from, side by side.
export function readLevelSample(image) {
  const columns = levelPlaces(image.width), rows = levelPlaces(image.height);
  const context = makeContext(columns.length, rows.length);
  for (let top = 0; top < rows.length; top += LEVEL_CELL) {
    for (let left = 0; left < columns.length; left += LEVEL_CELL) {
      const width = Math.min(LEVEL_CELL, columns.length - left), height = Math.min(LEVEL_CELL, rows.length - top);
      context.drawImage(image, columns[left], rows[top], width, height, left, top, width, height);
    }
  }
  return context.getImageData(0, 0, columns.length, rows.length);
}

// Whether an image looks gray on a small scale.
export function looksGray(image) {
  const context = makeContext(SMALL, SMALL);
  context.drawImage(image, 0, 0, SMALL, SMALL);
  return isGray(context.getImageData(0, 0, SMALL, SMALL).data);
}

// The middle of the square with the clearest noise that also shows some detail.
export function findNoisyPlace(image) {
  const { width, height } = image;
  const context = makeContext(SIDE, SIDE);
  let best = { score: -1, x: width / 2, y: height / 2 };
  for (let number = 0; number < PLACES * PLACES; number++) {
    const x = Math.floor(((number % PLACES) + 0.5) * (width / PLACES));
    const y = Math.floor((Math.floor(number / PLACES) + 0.5) * (height / PLACES));
    context.drawImage(image, x - SIDE / 2, y - SIDE / 2, SIDE, SIDE, 0, 0, SIDE, SIDE);
    const { noise, detail } = measure(context.getImageData(0, 0, SIDE, SIDE).data);
    // Detail beyond twice the noise adds little: foliage would win over a noisy sky with a roof.
    const score = noise * (0.1 + detail / (detail + 2 * noise + 1));
    if (score > best.score) best = { score, x, y };
  }
  return { x: best.x, y: best.y };
}

// Noise is the median difference across a diagonal, which edges hardly move; detail is the
// deviation of the means of blocks, in which noise averages out.
function measure(data) {
  const green = (x, y) => data[4 * (y * SIDE + x) + 1];
  const counts = new Uint32Array(512), blocks = new Float64Array(64);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      blocks[8 * (y >> 3) + (x >> 3)] += green(x, y) / 64;
      if (x % 2 || y % 2) continue;
      counts[Math.min(511, Math.abs(green(x, y) - green(x + 1, y) - green(x, y + 1) + green(x + 1, y + 1)))]++;
    }
  }
  let noise = 0;
  for (let left = (SIDE * SIDE) / 8; (left -= counts[noise]) > 0; noise++);
  const mean = blocks.reduce((total, value) => total + value, 0) / 64;
  const variance = blocks.reduce((total, value) => total + (value - mean) ** 2, 0) / 64;
  return { noise, detail: Math.sqrt(variance) };
}

function makeContext(width, height) {
  return new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
}
