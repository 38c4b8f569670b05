// The noise level of an image, found from the image alone: noise/level.py and noise/estimate.py in
// JavaScript. An image is {data, width, height, channels}: floats, black 0 and white 1, channels last.

import { mean, median, quantile, sum } from "./statistics.js";

const SIDE = 6, PATCHES = 20_000; // noise/estimate.py
const LEAST_SIDE = 32, OCTAVES = 5, BLOCK = 8, MOST_BLOCKS = 1024, FLATTEST = [0.03, 0.1, 0.3]; // noise/level.py
const EXCESS = 1.6, EXCESS_RATIOS = [4, 9];
const STRONG = 1.6, STRONG_WHITE = [0.45 / 255, 1.1 / 255], STRONG_RATIOS = [8, 12];
const WEAK = [6 / 255, 9 / 255], FINENESS = [0.52, 0.7];
const CLEAN_PAPER = [0.1, 0.16], INDEPENDENT = [1.05, 1.12], AGREEMENT = [0.6, 0.8, 1.4, 1.8];
const BLOTCHES = 0.35, SMOOTH_COLOUR = [4, 9];
const EVEN = [[[0.82, 0.9], [0.5, 0.7, 1.15, 1.35]], [[0.92, 0.96], [0.5, 0.7, 1.8, 2.5]]];
const LEAST_KIND = 2 / 255, SHARED = 2, JPEG = 0.3, COARSE = 1.4, LEAST_COARSE = 3 / 255, FLOOR = 1.5 / 255, HIGHEST = 75 / 255, LEAST_POWER = 1e-9, DEAD = 1e-6, ROUNDING = 1e-12;
const OPPONENT = [[1, 1, 1].map((x) => x / Math.sqrt(3)), [1, 0, -1].map((x) => x / Math.sqrt(2)),
  [1, -2, 1].map((x) => x / Math.sqrt(6))];

// Returns {sigma, kinds, blotches}; `weights` is what quietpixel.web.static_page writes as noise-level.json.
export function measureLevel(image, weights) {
  if (Math.min(image.width, image.height) < LEAST_SIDE) return { sigma: estimateSigma(image), kinds: [], blotches: 0 };
  const found = measureBlocks(image), { white, summary, blocks } = found;
  const count = Math.min(blocks.length, MOST_BLOCKS), step = (blocks.length - 1) / Math.max(count - 1, 1);
  const some = Array.from({ length: count }, (_, at) => standardise(
    blocks[Math.floor(at * step + 1e-9)], weights.blocks_mean, weights.blocks_deviation,
  ).map((value) => Math.min(Math.max(value, -5), 5)));
  const whole = standardise(summary, weights.summary_mean, weights.summary_deviation);
  const answers = weights.bias_7.map((_, net) => answer(whole, some, weights, net));
  const guessed = Math.min(Math.max((white + FLOOR) * Math.exp(mean(answers)) - FLOOR, 0), HIGHEST);
  const seen = guessed * (1 - part(found.paper, CLEAN_PAPER)), [even, certain] = findWhite(seen, found);
  const level = seen ** (1 - certain) * even ** certain;
  return { sigma: raiseCamera(level, found), kinds: nameKinds(level, found), blotches: findBlotches(level, found) };
}

// The level of white noise, and how certain it is that all noise is.
function findWhite(level, { white, shared, least, evenness, live }) {
  const independent = shared ? 1 - part(shared, INDEPENDENT) : 0;
  // Constant areas have no noise, which lowers variances.
  const sigma = (least ** (1 - independent) * white ** independent) / Math.sqrt(live), ratio = level / Math.max(sigma, 1e-6);
  const agree = ([none, all, still, end]) => part(ratio, [none, all]) * (1 - part(ratio, [still, end]));
  const even = EVEN.map(([limits, agreement]) => part(evenness, limits) * agree(agreement));
  return [sigma, Math.max(independent * agree(AGREEMENT), ...even)];
}

const part = (value, [from, to]) => Math.min(Math.max((value - from) / (to - from), 0), 1);
const logPart = (value, range) => part(Math.log(Math.max(value, 1e-6)), range.map(Math.log));

function nameKinds(level, { white, shared, grid }) {
  if (level < LEAST_KIND) return [];
  const coarse = level > Math.max(COARSE * white, LEAST_COARSE);
  return [coarse ? "coarse" : "fine", ...(shared > SHARED ? ["shared"] : []), ...(grid > JPEG ? ["JPEG"] : [])];
}

function raiseCamera(level, found) {
  const { coarse, fine } = findCamera(level, found);
  const strong = logPart(found.white, STRONG_WHITE) * logPart(ratio(level, found), STRONG_RATIOS);
  return level * (EXCESS * STRONG ** strong) ** (coarse * (1 - (1 - fine) * part(level, WEAK)));
}

const ratio = (level, { white }) => level / Math.max(white, 1e-6);

const findCamera = (level, found) => ({
  coarse: logPart(ratio(level, found), EXCESS_RATIOS), fine: 1 - part(found.fineness, FINENESS),
});

function findBlotches(level, found) {
  if (!found.shared) return 0;
  const { coarse, fine } = findCamera(level, found);
  return BLOTCHES * logPart(found.shared, SMOOTH_COLOUR) * coarse * (1 - (1 - fine) * part(level, WEAK));
}

function standardise(values, means, deviations) {
  return Array.from(values, (value, at) => (value - means[at]) / deviations[at]);
}

// One of the networks: a part for each block, attention over the blocks, a part for the image.
function answer(whole, blocks, weights, net) {
  const dense = (x, layer) => {
    const kernel = weights[`kernel_${layer}`][net];
    return weights[`bias_${layer}`][net][0].map((bias, to) => x.reduce((sum, value, from) => sum + value * kernel[from][to], bias));
  };
  const positive = (x) => x.map((value) => Math.max(value, 0));
  const hidden = blocks.map((block) => positive(dense(positive(dense(block, 1)), 2)));
  const scores = hidden.map((units) => dense(units, 3).map(Math.exp));
  const values = hidden.map((units) => dense(units, 4));
  const pooled = scores[0].flatMap((_, head) => {
    const total = scores.reduce((sum, each) => sum + each[head], 0);
    return values[0].map((_, unit) => values.reduce((sum, each, at) => sum + scores[at][head] * each[unit], 0) / total);
  });
  const means = hidden[0].map((_, unit) => mean(hidden.map((units) => units[unit])));
  return dense(positive(dense(positive(dense([...whole, ...pooled, ...means], 5)), 6)), 7)[0];
}

function measureBlocks(image) {
  const colours = toColours(image);
  const planes = OPPONENT.map((weights) => combine(colours, weights));
  const together = patchCovariance(colours), white = sigmaFrom(together);
  // Planes are sums of the channels, so their covariances are sums too.
  const covariances = OPPONENT.map((weights) => planeCovariance(together, weights));
  const luminance = covariances[0], ordered = covariances.map(eigenvalues);
  const variances = luminance.map((_, at) => sum(ordered.map((each) => each[at])));
  const [first, second] = [white, sigmaFrom(luminance)].map((sigma) => Math.log(sigma + 1e-4));
  const octaves = blockDetails(planes), finest = octaves[0];
  const flattest = [[0], [1, 2]].flatMap((chosen) => octaves.flatMap(({ powers }) => {
    const live = powers.filter((power) => sum(power.flat()) > ROUNDING);
    const totals = live.map((power) => mean(chosen.map((plane) => sum(power[plane]))) / 4);
    const sorted = Float64Array.from(totals).sort();
    return FLATTEST.map((share) => 0.5 * Math.log((sorted.length ? quantile(sorted, share) : 0) + 1e-8));
  }));
  const constant = constantAreas(finest), grid = gridStrength(planes[0]);
  const gray = !planes.slice(1).some(({ data }) => data.some((value) => Math.abs(value) > 1e-6));
  let kept = finest.powers.map((_, at) => at).filter((at) => !constant[at]);
  if (!kept.length) kept = finest.powers.map((_, at) => at);
  const [least, fifth] = [0, 4].map((at) => Math.sqrt(Math.max(variances[at] / 3, LEAST_POWER)));
  const dead = mean(kept.map((at) => +((finest.powers[at][0][0] + finest.powers[at][0][1]) / 2 + LEAST_POWER < DEAD)));
  return {
    white,
    least,
    evenness: least / fifth,
    live: kept.length / finest.powers.length,
    fineness: Math.exp(flattest[1] - flattest[4]),
    shared: gray ? 0 : Math.exp(flattest[1] - flattest[16]),
    grid: Math.min(grid[0], grid[1]),
    paper: quantile(Float64Array.from(kept, (at) => whiteSquares(colours, at)).sort(), 0.1),
    summary: [first, ...[second, ...flattest].map((value) => value - first), ...grid, dead],
    blocks: kept.map((at) => alignOctaves(octaves, first, at)),
  };
}

// The share of 2 x 2 squares of a block that are all white.
function whiteSquares({ data, width }, block) {
  const columns = Math.floor(width / BLOCK), left = block % columns * BLOCK, top = Math.floor(block / columns) * BLOCK;
  const isWhite = (y, x) => [0, 1, 2].every((channel) => data[3 * ((top + y) * width + left + x) + channel] >= 1);
  let squares = 0;
  for (let y = 0; y < BLOCK; y += 2) {
    for (let x = 0; x < BLOCK; x += 2) squares += isWhite(y, x) && isWhite(y, x + 1) && isWhite(y + 1, x) && isWhite(y + 1, x + 1);
  }
  return squares / (BLOCK / 2) ** 2;
}

function toColours(image) {
  if (image.channels === 3) return image;
  const data = new Float32Array(3 * image.data.length);
  image.data.forEach((value, at) => data.fill(value, 3 * at, 3 * at + 3));
  return { ...image, data, channels: 3 };
}

function combine({ data, width, height }, weights) {
  const plane = new Float32Array(width * height);
  for (let at = 0; at < plane.length; at++) {
    plane[at] = weights[0] * data[3 * at] + weights[1] * data[3 * at + 1] + weights[2] * data[3 * at + 2];
  }
  return { data: plane, width, height, channels: 1 };
}

// For each octave the power of Haar details in blocks, [plane][direction], and of the finest their brightness.
function blockDetails(planes) {
  const octaves = [];
  for (let octave = 0; octave < OCTAVES; octave++) {
    const width = planes[0].width >> 1, height = planes[0].height >> 1;
    const columns = Math.floor(2 * width / BLOCK), rows = Math.floor(2 * height / BLOCK);
    if (!(rows && columns)) {
      octaves.push(octaves[octave - 1]);
      continue;
    }
    const powers = Array.from({ length: rows * columns }, () => planes.map(() => [0, 0, 0]));
    const brightness = new Float64Array(rows * columns), side = BLOCK / 2, share = 1 / side ** 2;
    planes = planes.map((plane, number) => {
      const half = { data: new Float32Array(width * height), width, height };
      for (let y = 0, to = 0; y < height; y++) {
        for (let x = 0; x < width; x++, to++) {
          const at = 2 * y * plane.width + 2 * x, { data } = plane;
          const a = data[at], b = data[at + 1], c = data[at + plane.width], d = data[at + plane.width + 1];
          half.data[to] = (a + b + c + d) / 4;
          const row = Math.floor(y / side), column = Math.floor(x / side);
          if (row >= rows || column >= columns) continue;
          const power = powers[row * columns + column][number];
          [a - b + c - d, a + b - c - d, a - b - c + d].forEach((detail, way) => { power[way] += detail * detail * share / 4; });
          if (number === 0) brightness[row * columns + column] += half.data[to] * share;
        }
      }
      return half;
    });
    octaves.push({ powers, rows, columns, brightness });
  }
  return octaves;
}

// Which blocks hold one value, the same as a neighbour's: clipped areas and frames carry no noise.
function constantAreas({ powers, rows, columns, brightness }) {
  const constant = powers.map((power) => sum(power.flat()) < LEAST_POWER);
  const same = (at, other) => constant[at] && constant[other] && Math.abs(brightness[at] - brightness[other]) < 1e-6;
  return powers.map((_, at) => {
    const row = Math.floor(at / columns), column = at % columns;
    return (row > 0 && same(at, at - columns)) || (row < rows - 1 && same(at, at + columns))
      || (column > 0 && same(at, at - 1)) || (column < columns - 1 && same(at, at + 1));
  });
}

// The measures of all octaves at the place of one of the finest blocks.
function alignOctaves(octaves, white, at) {
  const row = Math.floor(at / octaves[0].columns), column = at % octaves[0].columns;
  const least = Math.max(white, Math.log(0.3 / 255)), log = (power) => Math.log(power + LEAST_POWER) / 2;
  const measures = octaves.flatMap(({ powers, rows, columns }, octave) => {
    const [[across, down, diagonal], ...colours] = powers[
      Math.min(row >> octave, rows - 1) * columns + Math.min(column >> octave, columns - 1)];
    return [log((across + down) / 2) - least, log(diagonal) - least, Math.abs(log(across) - log(down)),
      log(mean(colours.flat())) - least];
  });
  return [...measures, octaves[0].brightness[at], white];
}

// How much stronger second differences are on one line in eight, the grid of JPEG.
function gridStrength({ data, width, height }) {
  const sides = [[width, height, 1, width], [height, width, width, 1]];
  const lines = sides.map(([length, others, step, stride]) => Array.from({ length: 8 }, (_, start) => {
    const steps = [];
    for (let line = start; line < length - 2; line += 8) {
      for (let other = 0; other < others; other++) {
        const at = line * step + other * stride;
        steps.push(Math.abs(data[at + 2 * step] - 2 * data[at + step] + data[at]));
      }
    }
    return steps;
  }));
  return [median, mean].flatMap((combined) => lines.map((eight) => {
    const strengths = eight.map((steps) => combined(steps) + 1e-5);
    return Math.log(Math.max(...strengths) / median(strengths));
  }));
}

// The standard deviation of white noise (Chen, Zhu and Heng, ICCV 2015).
export function estimateSigma(image) {
  if (Math.min(image.width, image.height) < SIDE) return 0;
  return sigmaFrom(patchCovariance(image));
}

function sigmaFrom(covariance) {
  const size = SIDE * SIDE, together = noiseOf(covariance);
  const alone = Array.from({ length: covariance.length / size }, (_, channel) => {
    const from = channel * size;
    return noiseOf(covariance.slice(from, from + size).map((row) => row.slice(from, from + size)));
  });
  const each = Math.sqrt(mean(alone.map((sigma) => sigma * sigma)));
  return together < each / 2 ? each : together;
}

// The covariance in the patches of a weighted sum of the channels.
function planeCovariance(covariance, weights) {
  const size = SIDE * SIDE, pairs = weights.flatMap((one, c) => weights.map((other, d) => [one * other, c * size, d * size]));
  return Array.from({ length: size }, (_, i) => Float64Array.from({ length: size }, (_, j) => (
    pairs.reduce((total, [weight, row, column]) => total + weight * covariance[row + i][column + j], 0)
  )));
}

function patchCovariance({ data, width, height, channels }) {
  const step = Math.max(1, Math.round(Math.sqrt((width * height) / PATCHES)));
  const length = SIDE * SIDE * channels, offsets = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) offsets.push((y * width + x) * channels + channel);
  }
  // Sums about a value of the image, because about 0 rounding would hide the noise of a bright one.
  const sum = new Float64Array(length), products = offsets.map(() => new Float64Array(length));
  // Four patches at once, so that each product is read and written a quarter as often.
  const four = Array.from({ length: 4 }, () => new Float64Array(length)), [a, b, c, d] = four, centre = data[0];
  let count = 0;
  const add = () => {
    for (let i = 0; i < length; i++) {
      const row = products[i], ai = a[i], bi = b[i], ci = c[i], di = d[i];
      sum[i] += ai + bi + ci + di;
      for (let j = 0; j <= i; j++) row[j] += ai * a[j] + bi * b[j] + ci * c[j] + di * d[j];
    }
  };
  for (let y = 0; y + SIDE <= height; y += step) {
    for (let x = 0; x + SIDE <= width; x += step) {
      const at = (y * width + x) * channels, patch = four[count++ % 4];
      for (let i = 0; i < length; i++) patch[i] = data[at + offsets[i]] - centre;
      if (count % 4 === 0) add();
    }
  }
  if (count % 4) {
    for (const patch of four.slice(count % 4)) patch.fill(0);
    add();
  }
  return products.map((row, i) => row.map((_, j) => {
    const product = j <= i ? row[j] : products[j][i];
    return product / count - (sum[i] / count) * (sum[j] / count);
  }));
}

function noiseOf(covariance) {
  const variances = eigenvalues(covariance);
  let total = variances.reduce((sum, value) => sum + value, 0);
  for (let count = variances.length; count > 0; count--) {
    if (total / count <= quantile(variances.subarray(0, count), 0.5) || count === 1) {
      return Math.sqrt(Math.max(total / count, 0));
    }
    total -= variances[count - 1];
  }
}

// The eigenvalues of a symmetric matrix, ascending, by cyclic Jacobi rotations.
function eigenvalues(rows) {
  const a = rows.map((row) => Float64Array.from(row)), n = a.length;
  const size = a.reduce((sum, row) => sum + row.reduce((part, value) => part + value * value, 0), 0);
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = 0; q < p; q++) off += 2 * a[p][q] * a[p][q];
    if (off <= 1e-22 * size) break;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, p, q);
  }
  return Float64Array.from(a, (row, at) => row[at]).sort();
}

function rotate(a, p, q) {
  if (a[p][q] === 0) return;
  const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1), s = t * c, [first, second] = [a[p], a[q]];
  for (const row of a) [row[p], row[q]] = [c * row[p] - s * row[q], s * row[p] + c * row[q]];
  for (let k = 0; k < a.length; k++) [first[k], second[k]] = [c * first[k] - s * second[k], s * first[k] + c * second[k]];
}
