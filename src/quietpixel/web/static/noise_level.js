// The noise level of an image, found from the image alone: noise/level.py and noise/estimate.py in
// JavaScript. An image is {data, width, height, channels}: floats, black 0 and white 1, channels last.

import { BLOCK, findDrawing } from "./drawings.js";
import { dot, mean, median, quantile, sum } from "./statistics.js";

const SIDE = 6, PATCHES = 20_000, SUMMED = 256; // noise/estimate.py, and how many patches are summed at once
const LEAST_SIDE = 32, OCTAVES = 5, MOST_BLOCKS = 1024, FLATTEST = [0.03, 0.1, 0.3]; // noise/level.py
const EXCESS = 1.6, EXCESS_RATIOS = [4, 9];
const STRONG = 1.6, STRONG_WHITE = [0.45 / 255, 1.1 / 255], STRONG_RATIOS = [8, 12];
const WEAK = [6 / 255, 9 / 255], FINENESS = [0.52, 0.7], QUANTISED = [0.79, 0.84], LITTLE_WHITE = [0.7 / 255, 1.2 / 255];
const DRAWN = [0.1, 0.16], DRAWN_ON_PAGES = [0.03, 0.06], PAGE = [0.3, 0.5], PAGE_LEVEL = 8 / 255, INDEPENDENT = [1.05, 1.12], AGREEMENT = [0.6, 0.8, 1.4, 1.8];
const SMOOTH_COLOUR = [1.5, 3];
const EVEN = [[[0.82, 0.9], [0.5, 0.7, 1.15, 1.35]], [[0.92, 0.96], [0.5, 0.7, 1.8, 2.5]]];
const LEAST_KIND = 2 / 255, SHARED = 2, JPEG = 0.3, COARSE = 1.4, LEAST_COARSE = 3 / 255, FLOOR = 1.5 / 255, HIGHEST = 75 / 255, LEAST_POWER = 1e-9, DEAD = 1e-6, ROUNDING = 1e-12;
const OPPONENT = [[1, 1, 1].map((x) => x / Math.sqrt(3)), [1, 0, -1].map((x) => x / Math.sqrt(2)),
  [1, -2, 1].map((x) => x / Math.sqrt(6))];

// Returns {sigma, kinds, camera, typed}; `weights` is what quietpixel.web.static_page writes as noise-level.json.
export function measureLevel(image, weights) {
  if (Math.min(image.width, image.height) < LEAST_SIDE) return { sigma: estimateSigma(image), kinds: [], camera: 0, typed: 0 };
  const found = measureBlocks(image), { white, summary, kept } = found;
  const count = Math.min(kept.length, MOST_BLOCKS), step = (kept.length - 1) / Math.max(count - 1, 1);
  const some = Array.from({ length: count }, (_, at) => standardise(
    found.read(kept[Math.floor(at * step + 1e-9)]), weights.blocks_mean, weights.blocks_deviation,
  ).map((value) => Math.min(Math.max(value, -5), 5)));
  const whole = standardise(summary, weights.summary_mean, weights.summary_deviation);
  const answers = weights.bias_7.map((_, net) => answer(whole, some, weights, net));
  const guessed = Math.min(Math.max((white + FLOOR) * Math.exp(mean(answers)) - FLOOR, 0), HIGHEST);
  const typed = part(found.letters, PAGE), drawn = DRAWN.map((limit, at) => typed * DRAWN_ON_PAGES[at] + (1 - typed) * limit);
  const seen = guessed * (1 - part(found.drawn, drawn)), [even, certain] = findWhite(seen, found);
  const level = spareLetters(seen ** (1 - certain) * even ** certain, typed);
  const coarse = findCoarse(level, found), smooth = found.shared ? logPart(found.shared, SMOOTH_COLOUR) : 1;
  const sigma = spareLetters(raiseCoarse(level, found, coarse), typed);
  return { sigma, kinds: nameKinds(level, found), camera: coarse * smooth, typed };
}

// The level, or a lower one for a page of text.
function spareLetters(level, typed) {
  return level ** (1 - typed) * Math.min(level, PAGE_LEVEL) ** typed;
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

function raiseCoarse(level, found, coarse) {
  const strong = logPart(found.white, STRONG_WHITE) * logPart(ratio(level, found), STRONG_RATIOS);
  return level * (EXCESS * STRONG ** strong) ** coarse;
}

const ratio = (level, { white }) => level / Math.max(white, 1e-6);

// How far noise is as coarse as in camera JPEGs.
function findCoarse(level, found) {
  const fine = (1 - part(found.fineness, FINENESS)) * Math.max(part(found.evenness, QUANTISED), 1 - part(found.white, LITTLE_WHITE));
  return logPart(ratio(level, found), EXCESS_RATIOS) * (1 - (1 - fine) * part(level, WEAK));
}

function standardise(values, means, deviations) {
  return Array.from(values, (value, at) => (value - means[at]) / deviations[at]);
}

// One of the networks: a part for each block, attention over the blocks, a part for the image.
function answer(whole, blocks, weights, net) {
  const dense = (x, layer) => {
    const kernel = weights[`kernel_${layer}`][net], result = weights[`bias_${layer}`][net][0].slice();
    for (let from = 0; from < x.length; from++) {
      const row = kernel[from], value = x[from];
      if (value) for (let to = 0; to < row.length; to++) result[to] += value * row[to];
    }
    return result;
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
  const live = octaves.map(({ powers }) => powers.filter((power) => sum(power) > ROUNDING));
  const flattest = [[0, 3], [3, 9]].flatMap((planes) => live.flatMap((powers) => {
    const sorted = Float64Array.from(powers, (power) => 0.75 * mean(power.subarray(...planes))).sort();
    return FLATTEST.map((share) => 0.5 * Math.log((sorted.length ? quantile(sorted, share) : 0) + 1e-8));
  }));
  const constant = constantAreas(finest), grid = gridStrength(planes[0]);
  const gray = !planes.slice(1).some(({ data }) => data.some((value) => Math.abs(value) > 1e-6));
  let kept = finest.powers.map((_, at) => at).filter((at) => !constant[at]);
  if (!kept.length) kept = finest.powers.map((_, at) => at);
  const [least, fifth] = [0, 4].map((at) => Math.sqrt(Math.max(variances[at] / 3, LEAST_POWER)));
  const dead = mean(kept.map((at) => +((finest.powers[at][0] + finest.powers[at][1]) / 2 + LEAST_POWER < DEAD)));
  const { squares, letters } = findDrawing(colours, constant, finest);
  return {
    white,
    least,
    evenness: least / fifth,
    live: kept.length / finest.powers.length,
    fineness: Math.exp(flattest[1] - flattest[4]),
    shared: gray ? 0 : Math.exp(flattest[1] - flattest[16]),
    grid: Math.min(grid[0], grid[1]),
    drawn: quantile(Float64Array.from(kept, (at) => squares[at]).sort(), 0.1),
    letters,
    summary: [first, ...[second, ...flattest].map((value) => value - first), ...grid, dead],
    kept,
    read: (at) => alignOctaves(octaves, first, at), // the measures of one of the blocks that are `kept`
  };
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

// For each octave the power of Haar details in blocks, of three directions in each plane, and their brightness.
function blockDetails(planes) {
  const octaves = [];
  for (let octave = 0; octave < OCTAVES; octave++) {
    const width = planes[0].width >> 1, height = planes[0].height >> 1;
    const columns = Math.floor(2 * width / BLOCK), rows = Math.floor(2 * height / BLOCK);
    if (!(rows && columns)) {
      octaves.push(octaves[octave - 1]);
      continue;
    }
    const powers = Array.from({ length: rows * columns }, () => new Float64Array(9));
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
          const power = powers[row * columns + column];
          power[3 * number] += (a - b + c - d) ** 2 * share / 4;
          power[3 * number + 1] += (a + b - c - d) ** 2 * share / 4;
          power[3 * number + 2] += (a - b - c + d) ** 2 * share / 4;
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
  const constant = powers.map((power) => sum(power) < LEAST_POWER);
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
    const [across, down, diagonal, ...colours] = powers[
      Math.min(row >> octave, rows - 1) * columns + Math.min(column >> octave, columns - 1)];
    return [log((across + down) / 2) - least, log(diagonal) - least, Math.abs(log(across) - log(down)),
      log(mean(colours)) - least];
  });
  return [...measures, octaves[0].brightness[at], white];
}

// How much stronger second differences are on one line in eight, the grid of JPEG.
function gridStrength({ data, width, height }) {
  const sides = [[width, height, 1, width], [height, width, width, 1]];
  const lines = sides.map(([length, others, step, stride]) => Array.from({ length: 8 }, (_, start) => {
    const steps = new Float64Array(Math.max(Math.ceil((length - 2 - start) / 8), 0) * others);
    for (let line = start, to = 0; line < length - 2; line += 8) {
      for (let other = 0; other < others; other++) {
        const at = line * step + other * stride;
        steps[to++] = Math.abs(data[at + 2 * step] - 2 * data[at + step] + data[at]);
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
  const centre = data[0], sum = new Float64Array(length), products = offsets.map(() => new Float64Array(length));
  const values = offsets.map(() => new Float64Array(SUMMED)); // of some patches, by their offset
  let count = 0, some = 0;
  const add = (most) => {
    for (let i = 0; i < length; i += 2) {
      const a = values[i], b = values[i + 1];
      for (let j = 0; j <= i + 1; j += 4) { // eight products at once, because sums wait for each other
        const [c, d, e, f] = values.slice(j, j + 4);
        let ac = 0, ad = 0, ae = 0, af = 0, bc = 0, bd = 0, be = 0, bf = 0;
        for (let k = 0; k < most; k++) {
          const ak = a[k], bk = b[k], ck = c[k], dk = d[k], ek = e[k], fk = f[k];
          ac += ak * ck;
          ad += ak * dk;
          ae += ak * ek;
          af += ak * fk;
          bc += bk * ck;
          bd += bk * dk;
          be += bk * ek;
          bf += bk * fk;
        }
        [ac, ad, ae, af].forEach((value, at) => { products[i][j + at] += value; });
        [bc, bd, be, bf].forEach((value, at) => { products[i + 1][j + at] += value; });
      }
    }
    count += most;
  };
  for (let y = 0; y + SIDE <= height; y += step) {
    for (let x = 0; x + SIDE <= width; x += step) {
      const at = (y * width + x) * channels;
      for (let i = 0; i < length; i++) sum[i] += values[i][some] = data[at + offsets[i]] - centre;
      if (++some < SUMMED) continue;
      add(some);
      some = 0;
    }
  }
  add(some);
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

// The eigenvalues of a symmetric matrix, ascending: as many are less than x as pivots of the matrix less x
// are negative.
function eigenvalues(rows) {
  const [diagonal, beside] = tridiagonal(rows), squares = beside.map((value) => value * value);
  const bound = 2 * Math.max(...diagonal.map(Math.abs), ...beside.map(Math.abs)) + Math.max(...beside.map(Math.abs));
  return diagonal.map((_, number) => {
    let low = -bound, high = bound;
    for (let step = 0; step < 60; step++) {
      const middle = (low + high) / 2;
      let less = 0, pivot = 1;
      for (let at = 0; at < diagonal.length; at++) {
        pivot = diagonal[at] - middle - squares[at] / pivot || 1e-300;
        if (pivot < 0) less++;
      }
      if (less > number) high = middle;
      else low = middle;
    }
    return low;
  });
}

// The diagonal of a tridiagonal matrix with the same eigenvalues, and what stands left of it, by
// Householder's reflections.
function tridiagonal(rows) {
  const a = rows.map((row) => Float64Array.from(row)), n = a.length, beside = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const v = Float64Array.from(a, (row, at) => (at > k ? row[k] : 0));
    beside[k + 1] = -Math.sign(v[k + 1] || 1) * Math.sqrt(dot(v, v));
    v[k + 1] -= beside[k + 1];
    const half = dot(v, v) / 2 || 1, p = Float64Array.from(a, (row) => dot(row, v) / half), share = dot(v, p) / (2 * half);
    for (let i = k + 1; i < n; i++) {
      const row = a[i], vi = v[i], wi = p[i] - share * vi;
      for (let j = k + 1; j < n; j++) row[j] -= vi * (p[j] - share * v[j]) + wi * v[j];
    }
  }
  return [Float64Array.from(a, (row, at) => row[at]), beside];
}
