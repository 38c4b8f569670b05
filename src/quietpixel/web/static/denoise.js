// Denoises arrays tile by tile as quietpixel.Denoiser does in float32: inference/job.py and
// inference/level.py in JavaScript.
//
// An image is {data, width, height, channels}: floats (channels last, 1 or 3), black 0 and white 1.
// Bytes of a canvas are one too, with {stride: 4, white: 255}; gray ones have one channel.
// A model is {card, run(batch, [n, height, width, channels], sigma) -> Promise of a Float32Array}.

import { estimateSigma, measureLevel } from "./noise_level.js";
import { HALO, findRepair, repairPart } from "./repair.js";
import { planTiles, reflect, spreadRuns } from "./tiles.js";

const UNKNOWN_SIGMA = -0.25; // card.py: input of a model that finds the level by itself
const LUMINANCE = [0.2126, 0.7152, 0.0722];
const CELL = 256, CELLS = 3; // inference/level.py: the squares that the level is estimated from

// Returns {sigma, source, coarse} and what the model is given for each pixel, {value, share}.
function findLevel(image, card, { sigma }, weights, repair) {
  if (!card.sigma_input) return null;
  if (sigma == null) {
    if (card.blind) return { value: UNKNOWN_SIGMA, share: 1, sigma: null, source: "unknown" };
    const found = measureLevel(sampleImage(image, repair), weights);
    return { value: found.sigma, share: 1, ...found, source: "estimated" };
  }
  if (!card.blind) return { value: sigma, share: 1, sigma, source: "given" };
  const white = Math.max(estimateSigma(sampleImage(image)), 1e-37);
  return { value: UNKNOWN_SIGMA, share: Math.min(sigma / white, 1), sigma, source: "given" };
}

export function estimateLevel(image, weights) {
  return measureLevel(sampleImage(image), weights);
}

function sampleImage(image, repair = null) {
  const rows = spreadRuns(image.height, CELL, CELLS), columns = spreadRuns(image.width, CELL, CELLS);
  const sample = pick(image, rows, columns);
  if (repair) repairPart(sample, repair, { rows, columns });
  return sample;
}

function pick({ data, width, channels, stride = channels, white = 1 }, rows, columns) {
  const result = new Float32Array(rows.length * columns.length * channels);
  const factor = Math.fround(1 / white);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * stride;
      for (let channel = 0; channel < channels; channel++) result[to++] = data[from + channel] * factor;
    }
  }
  return { data: result, width: columns.length, height: rows.length, channels };
}

// By what the level is multiplied: once for all, once for luminance and colour, or never.
function levelFactors(strength, colourStrength) {
  const raised = [strength, colourStrength ?? strength].filter((each) => each > 0).map((each) => Math.max(each, 1));
  return [...new Set(raised)];
}

// Denoises an image in place. Options: sigma (null estimates it), strength, colourStrength; `weights`
// of the level's estimator; `side` of a tile; `onTile(share)`, whose promise
// is awaited. Returns the level.
export async function denoiseImage(image, model, { side = 512, weights, onTile = () => {}, ...options }) {
  const { card } = model, { width, height, channels } = image;
  const settings = { strength: 1, colourStrength: null, ...options };
  if (channels === 1) settings.colourStrength = null;
  const factors = levelFactors(settings.strength, settings.colourStrength);
  if (!factors.length) return null;
  if (card.halo === null && (width !== card.size[1] || height !== card.size[0])) {
    throw new Error(`The model '${card.name}' takes only images of ${card.size[1]} × ${card.size[0]} pixels.`);
  }
  const repair = card.sigma_input && !card.blind ? findRepair(image, (...places) => pick(image, ...places)) : null;
  const level = findLevel(image, card, settings, weights, repair);
  const halo = (card.halo ?? 0) + (repair?.distance == null ? 0 : HALO);
  const whole = card.halo === null ? Math.max(width, height) : side;
  const tiles = [...planTiles(width, height, { halo, divisor: card.divisor }, whole)];
  const waiting = []; // results of tiles whose pixels a later tile still reads
  for (const [done, tile] of tiles.entries()) {
    const places = { rows: reflect(tile.rows.start, tile.rows.stop, height),
                     columns: reflect(tile.columns.start, tile.columns.stop, width) };
    const noisy = pick(image, places.rows, places.columns), shown = { ...noisy, data: noisy.data.slice() };
    if (repair) repairPart(shown, repair, places);
    waiting.push({ tile, part: await denoiseTile({ noisy, shown }, model, settings, level, factors) });
    const unread = tiles[done + 1]?.rows.start ?? height;
    while (waiting.length && waiting[0].tile.rows.keepStop <= unread) write(image, waiting.shift());
    await onTile((done + 1) / tiles.length);
  }
  return level;
}

async function denoiseTile({ noisy, shown }, model, { strength, colourStrength }, level, factors) {
  const results = [];
  for (const factor of factors) {
    const denoised = await runModel(model, shown, level && level.value * factor);
    if (level && level.share < 1) mix(noisy.data, denoised, level.share);
    results.push(denoised);
  }
  if (strength >= 1 && colourStrength === null) return results[0];
  return blend(noisy, results[0], results.at(-1), strength, colourStrength);
}

// A gray model denoises red, green and blue apart; an RGB model sees gray three times.
async function runModel({ card, run }, { data, width, height, channels }, level) {
  const pixels = width * height, own = card.channels;
  const count = own < channels ? channels : 1;
  const sigma = level === null ? null : new Float32Array(count * pixels).fill(level);
  if (own === channels) return run(data, [1, height, width, channels], sigma);
  const batch = new Float32Array(Math.max(own, channels) * pixels);
  if (own < channels) {
    for (let at = 0; at < data.length; at++) batch[(at % channels) * pixels + Math.floor(at / channels)] = data[at];
    const result = await run(batch, [channels, height, width, 1], sigma);
    return data.map((_, at) => result[(at % channels) * pixels + Math.floor(at / channels)]);
  }
  data.forEach((value, at) => batch.fill(value, own * at, own * at + own));
  const result = await run(batch, [1, height, width, own], sigma);
  return data.map((_, at) => (result[3 * at] + result[3 * at + 1] + result[3 * at + 2]) / 3);
}

function mix(noisy, denoised, share) {
  for (let at = 0; at < denoised.length; at++) denoised[at] = noisy[at] + share * (denoised[at] - noisy[at]);
}

// Blends in luminance and in colour apart (imaging/strength.py).
function blend({ data, channels }, denoised, denoisedColour, strength, colourStrength) {
  const light = Math.min(strength, 1), tint = Math.min(colourStrength ?? strength, 1);
  const result = new Float32Array(data.length);
  if (channels !== 3 || colourStrength === null) {
    for (let at = 0; at < data.length; at++) result[at] = data[at] + light * (denoised[at] - data[at]);
    return result;
  }
  for (let at = 0; at < data.length; at += 3) {
    let moved = 0;
    for (let channel = 0; channel < 3; channel++) {
      const value = data[at + channel], coloured = value + tint * (denoisedColour[at + channel] - value);
      result[at + channel] = coloured;
      moved += LUMINANCE[channel] * (value + light * (denoised[at + channel] - value) - coloured);
    }
    for (let channel = 0; channel < 3; channel++) result[at + channel] += moved;
  }
  return result;
}

function write({ data, width, channels, stride = channels, white = 1 }, { tile: { rows, columns }, part }) {
  const side = columns.stop - columns.start;
  for (let y = rows.keepStart; y < rows.keepStop; y++) {
    let from = ((y - rows.start) * side + columns.keepStart - columns.start) * channels;
    let to = (y * width + columns.keepStart) * stride;
    for (let x = columns.keepStart; x < columns.keepStop; x++, from += channels, to += stride) {
      for (let at = 0; at < Math.min(stride, 3); at++) data[to + at] = white * part[from + (channels > 1 ? at : 0)];
    }
  }
}
