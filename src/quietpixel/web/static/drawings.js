// Drawings and pages of text, whose edges would pass for noise: noise/drawings.py in JavaScript.

import { mean, median, quantile, sum } from "./statistics.js";

export const BLOCK = 8;
const CONSTANT = 0.1, SOLID = 0.3, TYPED = [0.65, 0.25, 0.15], BRIGHT = 0.8, INKED = 0.9;
const PAPER = [12 / 255, 0.2], INK = [60 / 255, 0.05], PAPERS = 2, LEAST_PAPER = 0.05;
const REPEATED = 0.005, RECURRING = 0.3, EXACT = 0.8, MOST_FREQUENT = 0.2;
const PATCH = 5, PATCH_INK = 8, PATCH_BETWEEN = 3, FEWEST_PATCHES = 50, HASH = 0x9E3779B1;

// For each block the share of its squares of 2 x 2 pixels that count as drawn, and the share of the blocks with letters.
export function findDrawing(colours, constant, { columns, brightness }) {
  const blocks = constant.map((_, block) => first(block, columns, colours.width));
  const others = blocks.filter((_, block) => !constant[block]);
  const brightest = findBrightest(colours, columns, constant.length / columns);
  const typed = isTypedOnBlack(colours, blocks, others, brightest);
  const onlyWhite = others.length > (1 - CONSTANT) * blocks.length && !typed;
  return {
    squares: evenSquares(colours, blocks, { onlyWhite, typed }),
    letters: shareLetters({ colours, blocks, others, constant, brightness, brightest }, typed),
  };
}

// Where the data of a block begin.
const first = (block, columns, width) => 3 * BLOCK * (Math.floor(block / columns) * width + block % columns);

const every = (at, test) => test(at) && test(at + 1) && test(at + 2); // of the channels

// Squares of white, or in drawings of any value.
function evenSquares({ data, width }, blocks, { onlyWhite, typed }) {
  const corners = [0, 3, 3 * width, 3 * width + 3];
  const isWhite = (at) => corners.every((step) => every(at + step, (place) => data[place] >= 1));
  const isEven = (at) => every(at, (place) => corners.every((step) => data[place + step] === data[place]));
  const isLit = (at) => !every(at, (place) => data[place] <= 0);
  const count = (block, test) => {
    let squares = 0;
    for (let y = 0; y < BLOCK; y += 2) {
      for (let x = 0; x < BLOCK; x += 2) squares += test(block + 3 * (y * width + x));
    }
    return squares;
  };
  let counts = isWhite;
  if (!onlyWhite) {
    const total = (test) => sum(blocks.map((block) => count(block, test)));
    const black = typed || total((at) => isEven(at) && isLit(at)) >= SOLID * total(isLit);
    counts = (at) => isEven(at) && (black || isLit(at));
  }
  return blocks.map((block) => count(block, counts) / (BLOCK / 2) ** 2);
}

// The share of the blocks outside constant areas that have letters: pixels near to the paper, and far from it.
function shareLetters({ colours, blocks, others, constant, brightness, brightest }, typed) {
  const papers = new Map();
  constant.forEach((isConstant, block) => {
    const value = Math.round(brightness[block] * 1e4);
    if (isConstant && (value > 0 || typed)) papers.set(value, [...(papers.get(value) ?? []), block]);
  });
  const common = [...papers].sort(([a, some], [b, more]) => more.length - some.length || a - b).slice(0, PAPERS)
    .filter(([, same]) => same.length >= LEAST_PAPER * constant.length);
  const shares = common.map(([, [block]]) => {
    const paper = colourAt(colours, blocks[block]);
    if (isNoise(colours, blocks, brightest, paper)) return 0;
    return mean(others.map((each) => +hasLetters(inkOf(colours, each, paper))));
  });
  if (!others.length) return 0;
  return recurs(colours, brightest) ? 1 : Math.max(0, ...shares);
}

const colourAt = ({ data }, place) => data.slice(place, place + 3);

// The highest of the three values of each pixel of whole blocks.
function findBrightest({ data, width }, columns, rows) {
  const found = { width: BLOCK * columns, height: BLOCK * rows, values: new Float32Array(BLOCK ** 2 * columns * rows) };
  for (let y = 0, at = 0; y < found.height; y++) {
    for (let x = 0, from = 3 * y * width; x < found.width; x++, from += 3) {
      found.values[at++] = Math.max(data[from], data[from + 1], data[from + 2]);
    }
  }
  found.lowest = found.values.reduce((least, value) => Math.min(least, value), Infinity);
  found.highest = found.values.reduce((most, value) => Math.max(most, value), -Infinity);
  return found;
}

// Whether letters on unchanged paper of the darkest value do not recur.
function isNoise(colours, blocks, brightest, paper, unit = 1) {
  const value = Math.max(...paper);
  if (value > brightest.lowest) return false;
  let near = 0, exact = 0;
  for (const block of blocks) {
    const found = inkOf(colours, block, paper, unit);
    if (!hasLetters(found)) continue;
    near += found.near;
    exact += sum(valuesOf(colours, block).map((each, at) => +(found.isNear[at] && each === value)));
  }
  return near > 0 && exact >= EXACT * near && shareRepeated(colours, brightest, paper, unit) < REPEATED;
}

// Whether what is on the most frequent value recurs, so that it is text.
function recurs(colours, brightest) {
  const counts = new Uint32Array(256), byteOf = (value) => Math.min(Math.max(Math.round(value * 255), 0), 255);
  for (const value of brightest.values) counts[byteOf(value)]++;
  const most = counts.indexOf(Math.max(...counts));
  if (counts[most] < MOST_FREQUENT * brightest.values.length) return false;
  const at = brightest.values.findIndex((value) => byteOf(value) === most);
  const paper = colourAt(colours, 3 * (Math.floor(at / brightest.width) * colours.width + at % brightest.width));
  return shareRepeated(colours, brightest, paper) >= RECURRING;
}

// The share of the patches with ink that have an equal one, by a hash of their values.
function shareRepeated({ data, width: stride }, { width, height, values, lowest, highest }, paper, unit = 1) {
  const codes = Uint32Array.from(values, (value) => Math.round(value * 65535));
  const between = Uint32Array.from(values, (value) => +(value > lowest && value < highest));
  const ink = Uint32Array.from(values, (_, at) => {
    const from = 3 * (Math.floor(at / width) * stride + at % width);
    return +(distanceTo(data, from, paper) >= INK[0] * unit);
  });
  const powers = new Uint32Array(PATCH ** 2).fill(1);
  for (let power = 1; power < powers.length; power++) powers[power] = Math.imul(powers[power - 1], HASH);
  const ones = powers.map(() => 1);
  const hashes = sumPatches(codes, width, height, powers), inked = sumPatches(ink, width, height, ones);
  const middle = sumPatches(between, width, height, ones);
  const counts = new Map();
  let total = 0, repeated = 0;
  hashes.forEach((hash, at) => {
    if (inked[at] < PATCH_INK || middle[at] < PATCH_BETWEEN) return;
    const count = (counts.get(hash) ?? 0) + 1;
    counts.set(hash, count);
    total++;
    repeated += count === 2 ? 2 : +(count > 2);
  });
  return total >= FEWEST_PATCHES ? repeated / total : NaN;
}

// The weighted sum of each patch, modulo 2 ** 32.
function sumPatches(values, width, height, factors) {
  const columns = width - PATCH + 1, rows = height - PATCH + 1;
  const across = new Uint32Array(columns * height), result = new Uint32Array(columns * rows);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < columns; x++, at++) {
      for (let step = 0; step < PATCH; step++) across[at] += Math.imul(values[y * width + x + step], factors[step]);
    }
  }
  for (let at = 0; at < result.length; at++) {
    for (let step = 0; step < PATCH; step++) result[at] += Math.imul(across[at + step * columns], factors[PATCH * step]);
  }
  return result;
}

// The greatest of the differences of three values from the paper.
function distanceTo(data, from, paper) {
  let distance = 0;
  for (let channel = 0; channel < 3; channel++) distance = Math.max(distance, Math.abs(data[from + channel] - paper[channel]));
  return distance;
}

// Which pixels of a block are far from the paper and near to it, and how many are near.
function inkOf({ data, width }, block, paper, unit = 1) {
  const ink = new Uint8Array(BLOCK ** 2), isNear = new Uint8Array(BLOCK ** 2);
  for (let at = 0; at < ink.length; at++) {
    const distance = distanceTo(data, block + 3 * (Math.floor(at / BLOCK) * width + at % BLOCK), paper);
    isNear[at] = distance <= PAPER[0] * unit;
    ink[at] = distance >= INK[0] * unit;
  }
  return { ink, isNear, near: sum(isNear) };
}

const hasLetters = ({ ink, near }) => near >= PAPER[1] * ink.length && sum(ink) >= INK[1] * ink.length;

// The highest of the three values of each pixel of a block.
function valuesOf({ data, width }, block) {
  return Array.from({ length: BLOCK ** 2 }, (_, at) => {
    const from = block + 3 * (Math.floor(at / BLOCK) * width + at % BLOCK);
    return Math.max(data[from], data[from + 1], data[from + 2]);
  });
}

// Whether an image is light text on black, of which few squares have one value.
function isTypedOnBlack(colours, blocks, others, brightest) {
  const unit = Math.max(brightest.highest, INK[0]) / INKED;
  // What a JPEG spreads around coloured letters is blank; noise is not.
  const found = others.map((block) => inkOf(colours, block, [0, 0, 0], unit)).filter(({ near }) => near < BLOCK ** 2);
  const strokes = found.filter(hasLetters);
  if (strokes.length < TYPED[0] * Math.max(found.length, 1)) return false;
  const joined = strokes.map(({ ink }) => {
    const share = mean(ink), most = BLOCK * (BLOCK - 1);
    let pairs = 0;
    for (let at = 0; at < ink.length; at++) {
      pairs += ink[at] && (at % BLOCK ? ink[at - 1] : 0) + (at >= BLOCK ? ink[at - BLOCK] : 0);
    }
    return (pairs / most / 2 - share ** 2) / (share - share ** 2);
  });
  const light = Float64Array.from(brightest.values.filter((value) => value >= INK[0] * unit)).sort();
  const least = BRIGHT * quantile(light, 0.995);
  if (median(joined) < TYPED[1] || mean(light.map((value) => +(value > least))) < TYPED[2]) return false;
  return !isNoise(colours, blocks, brightest, [0, 0, 0], unit);
}
