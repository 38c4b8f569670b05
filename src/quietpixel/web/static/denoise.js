// Denoises arrays tile by tile as quietpixel.Denoiser does in float32: inference/job.py and
// inference/level.py in JavaScript.
//
// An image is {data, width, height, channels}: floats (channels last, 1 or 3), black 0 and white 1.
// Bytes of a canvas are one too, with {stride: 4, white: 255}; gray ones have one channel, which is
// written to `copies` of the samples of a pixel.
// A model is {card, run(batch, [n, height, width, channels], sigma) -> Promise of a Float32Array}.

import { LUMINANCE, REACH, addToHalf, canFind, correctColour, findCoarseNoise, follow, makeHalf, planCopies } from "./coarse_noise.js";
import { estimateSigma, measureLevel } from "./noise_level.js";
import { describe, findLaw, middleNoise, restore, stabilise } from "./photons.js";
import { HALO, findRepair, repairPart } from "./repair.js";
import { correlation, mean } from "./statistics.js";
import { levelPlaces, pick, placesOf, planTiles, spreadRuns } from "./tiles.js";

const CHECKED = 192, REST = 1.4 / 255, REST_SHARE = 0.5; // inference/level.py
const UNKNOWN_SIGMA = -0.25; // card.py: input of a model that finds the level by itself
const SQUARE = 8, SQUARES = 18, UNRELATED = [0.1, 2]; // imaging/axes.py

// Returns {sigma, source, kinds} and what the model is given for each pixel, {value, share}.
function findLevel(image, card, { sigma, camera: known }, weights, repair) {
  if (!card.sigma_input) return null;
  if (sigma == null) {
    if (card.blind) return { value: UNKNOWN_SIGMA, share: 1, sigma: null, source: "unknown" };
    const found = measureLevel(sampleImage(image, repair), weights);
    return { value: found.sigma, share: 1, ...found, source: "estimated" };
  }
  if (!card.blind) {
    const camera = canFind(card) ? known ?? measureLevel(sampleImage(image, repair), weights).camera : 0;
    return { value: sigma, share: 1, sigma, source: "given", camera };
  }
  const white = Math.max(estimateSigma(sampleImage(image)), 1e-37);
  return { value: UNKNOWN_SIGMA, share: Math.min(sigma / white, 1), sigma, source: "given" };
}

// Returns {sigma, kinds}, whether the `channels` are colours ("rgb") or "separate", and the `law` of
// the photon noise, or null; channels that are not colours have laws of their own.
export function estimateLevel(image, weights) {
  const planes = splitChannels(image);
  const levels = planes.map((plane) => measureLevel(sampleImage(plane, repairOf(plane)), weights));
  const law = planes.length === 1 ? lawOf(image, weights) : null, found = law ? { sigma: middleNoise(law) } : {};
  return { ...join(levels), channels: planes.length > 1 ? "separate" : "rgb", law, ...found };
}

// The law of the photon noise of an image of 8 bits; null where it is not to be stabilised.
const lawOf = (image, weights) => (image.white === 255 ? findLaw(sampleImage(image), weights) : null);

const repairOf = (image) => findRepair(image, (...places) => pick(image, ...places));

const join = (levels) => ({
  ...levels[0], kinds: [...new Set(levels.flatMap(({ kinds = [] }) => kinds))],
  sigma: levels[0].sigma === null ? null : mean(levels.map(({ sigma }) => sigma)), camera: Math.max(...levels.map(({ camera = 0 }) => camera)),
});

// The images that are denoised one by one: an image, or its channels if they are not colours.
function splitChannels(image, channels = "auto") {
  const { data, stride = image.channels } = image;
  if (image.channels === 1 || channels === "rgb" || (channels === "auto" && !shareNothing(image))) return [image];
  return [0, 1, 2].map((channel) => ({ ...image, data: data.subarray(channel), channels: 1, stride, copies: 1 }));
}

// Whether one of the channels of an image has nothing in common with the others: imaging/axes.py.
function shareNothing(image) {
  if (Math.min(image.width, image.height) < 4 * SQUARE) return false;
  const { data, width, height } = pick(image, ...[image.height, image.width].map((length) => spreadRuns(length, SQUARE, SQUARES)));
  const across = Math.floor(width / SQUARE), count = across * Math.floor(height / SQUARE);
  const means = [0, 1, 2].map((channel) => Float64Array.from({ length: count }, (_, square) => {
    const top = SQUARE * Math.floor(square / across), left = SQUARE * (square % across);
    let sum = 0;
    for (let y = top; y < top + SQUARE; y++) for (let x = left; x < left + SQUARE; x++) sum += data[3 * (y * width + x) + channel];
    return sum;
  }));
  if (means.every((each) => each.every((value) => value === each[0]))) return false;
  // The correlation with a constant channel is 0 / 0, which counts as none.
  const [first, second, third] = [[0, 1], [0, 2], [1, 2]].map(([a, b]) => Math.abs(correlation(means[a], means[b])) || 0);
  return Math.min(Math.max(first, second), Math.max(first, third), Math.max(second, third)) < UNRELATED[0] + UNRELATED[1] / Math.sqrt(count);
}

function sampleImage(image, repair = null) {
  const [rows, columns] = [image.height, image.width].map(levelPlaces);
  const sample = pick(image, rows, columns);
  if (repair) repairPart(sample, repair, { rows, columns });
  return sample;
}

// By what the level is multiplied: once for all, once for luminance and colour, or never.
function levelFactors(strength, colourStrength) {
  const raised = [strength, colourStrength ?? strength].filter((each) => each > 0).map((each) => Math.max(each, 1));
  return [...new Set(raised)];
}

// Denoises an image in place, with `openModel(channels)`. Options: channels ("auto", "rgb",
// "separate"), sigma (null estimates it), law (of the photon noise, or "none"; otherwise it is measured
// in images of 8 bits), camera (how far the noise of the whole image is as coarse as in camera JPEGs, if
// it is given a `sigma`; otherwise that is measured), strength, colourStrength; `weights` of the level's estimator; `side` of a tile; `onTile(share)`, whose promise is awaited. Returns {level, notes}.
export async function denoiseImage(image, openModel, { channels, onTile = () => {}, ...options }) {
  const planes = splitChannels(image, channels), levels = [], notes = [];
  for (const [number, plane] of planes.entries()) {
    const onPart = (share) => onTile((number + share) / planes.length);
    const found = await denoiseAny(plane, await openModel(plane.channels), { ...options, onTile: onPart });
    if (found.level) levels.push(found.level);
    notes.push(...found.notes.map((note) => (planes.length > 1 ? `Channel ${number + 1}: ${note}` : note)));
  }
  return { level: levels.length ? join(levels) : null, notes };
}

// Makes photon noise equally strong, if there is any, and restores the values after the model.
async function denoiseAny(image, model, { law: given, ...options }) {
  const { sigma_input: takesSigma, training, blind } = model.card;
  const scaleFree = takesSigma && (!training.method || training.measured); // as in the card
  const measured = options.sigma == null && given !== "none" && scaleFree;
  const law = measured ? given || lawOf(image, options.weights) : null;
  if (!law) return denoisePlane(image, model, options);
  const { width, height, channels } = image, { strength = 1, colourStrength = null } = options;
  const all = [height, width].map((length) => Int32Array.from({ length }, (_, at) => at));
  const low = stabilise(law, 0), range = stabilise(law, 1) - low;
  const noisy = pick(image, ...all), stable = { data: noisy.data.map((value) => (stabilise(law, value) - low) / range), width, height, channels };
  const before = stable.data.slice(), least = strength || colourStrength ? 1 : 0;
  const inner = { ...options, camera: 0, sigma: blind ? null : Math.min(1 / range, 1), strength: Math.max(strength, least), colourStrength: colourStrength === null ? null : Math.max(colourStrength, least) };
  const { notes } = await denoisePlane(stable, model, inner);
  const restored = stable.data.map((value) => restore(law, low + range * value));
  const data = blend(noisy, restored, restored, strength, colourStrength)
    .map((value, at) => (stable.data[at] === before[at] ? noisy.data[at] : value));
  const side = (stop) => ({ start: 0, stop, keepStart: 0, keepStop: stop });
  write(image, { tile: { rows: side(height), columns: side(width) }, part: data });
  return { level: { sigma: middleNoise(law), source: "estimated" }, notes: [...notes, describe(law)] };
}

async function denoisePlane(image, model, { side = 512, weights, onTile, ...options }) {
  const { card } = model, { width, height, channels } = image, notes = [];
  const settings = { strength: 1, colourStrength: null, ...options };
  if (channels === 1 && settings.colourStrength !== null) {
    settings.colourStrength = null;
    notes.push("The image is gray, so the colour strength has no effect.");
  }
  const factors = levelFactors(settings.strength, settings.colourStrength);
  if (!factors.length) return { level: null, notes };
  if (card.halo === null && (width !== card.size[1] || height !== card.size[0])) {
    throw new Error(`The model '${card.name}' takes only images of ${card.size[1]} × ${card.size[0]} pixels.`);
  }
  const repair = card.sigma_input && !card.blind ? repairOf(image) : null;
  const level = findLevel(image, card, settings, weights, repair);
  const camera = canFind(card) ? level?.camera : 0;
  const halo = (card.halo ?? 0) + (repair?.distance == null ? 0 : HALO) + (camera ? REACH : 0);
  const whole = card.halo === null ? Math.max(width, height) : side;
  const tiles = [...planTiles(width, height, { halo, divisor: card.divisor }, whole)];
  const read = (tile) => {
    const places = placesOf(tile, image);
    const noisy = pick(image, places.rows, places.columns), shown = { ...noisy, data: noisy.data.slice() };
    if (repair) repairPart(shown, repair, places);
    return { places, noisy, shown };
  };
  const copies = camera ? planCopies(image, card, side) : {}, total = [tiles, ...Object.values(copies)].flat().length;
  let finished = 0, coarse = null;
  const onEnd = () => onTile(++finished / total);
  if (camera) {
    const half = makeHalf(image), denoise = (part, factor) => runModel(model, part, level.value * factor);
    for (const tile of tiles) addToHalf(read(tile).shown, tile, half);
    coarse = await findCoarseNoise(half, copies, camera, factors, denoise, onEnd);
  }
  const waiting = []; // results of tiles whose pixels a later tile still reads
  for (const [done, tile] of tiles.entries()) {
    const { places, noisy, shown } = read(tile);
    if (coarse) correctColour(coarse, shown, places);
    waiting.push({ tile, part: await denoiseTile({ noisy, shown, tile, coarse }, model, settings, level, factors) });
    const unread = tiles[done + 1]?.rows.start ?? height;
    while (waiting.length && waiting[0].tile.rows.keepStop <= unread) write(image, waiting.shift());
    await onEnd();
  }
  return { level, notes: [...notes, ...(repair?.notes ?? []), ...findRest(image, settings, level, weights)] };
}

// A sentence on the noise that is left in the middle of a result (inference/level.py), or none.
function findRest(image, { strength }, level, weights) {
  if (level?.source !== "estimated" || !level.sigma || strength < 1) return [];
  const [rows, columns] = [image.height, image.width].map((length) => {
    const start = Math.floor(Math.max(length - CHECKED, 0) / 2);
    return Array.from({ length: Math.min(length, CHECKED) }, (_, at) => start + at);
  });
  const { sigma } = measureLevel(pick(image, rows, columns), weights);
  if (sigma < REST || sigma < REST_SHARE * level.sigma) return [];
  const text = `${Number((sigma * 255).toPrecision(3))}/255`;
  return [`Noise of about ${text} may be left, coarser than the model takes; `
    + `\`sigma\` ${text} or a higher \`strength\` removes more.`];
}

async function denoiseTile({ noisy, shown, tile, coarse }, model, { strength, colourStrength }, level, factors) {
  const results = [];
  for (const factor of factors) {
    const denoised = await runModel(model, shown, level && level.value * factor);
    if (coarse) follow(coarse, { ...noisy, data: denoised }, tile);
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

function write({ data, width, channels, stride = channels, white = 1, copies = Math.min(stride, 3) }, { tile: { rows, columns }, part }) {
  const side = columns.stop - columns.start;
  for (let y = rows.keepStart; y < rows.keepStop; y++) {
    let from = ((y - rows.start) * side + columns.keepStart - columns.start) * channels;
    let to = (y * width + columns.keepStart) * stride;
    for (let x = columns.keepStart; x < columns.keepStop; x++, from += channels, to += stride) {
      for (let at = 0; at < copies; at++) data[to + at] = white * part[from + (channels > 1 ? at : 0)];
    }
  }
}
