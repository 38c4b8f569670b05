// Photon noise of images of 8 bits: its law, measured in the image, and values with equally
// strong noise. inference/photons.py, imaging/stabilise.py, noise/measure.py and noise/fit.py in
// JavaScript. A law is {gain, read, offset}: the variance is gain * (clean - offset) + read ** 2.

import { measureLevel } from "./noise_level.js";
import { outlierDistance, repairOutliers, splitLength, transpose } from "./repair.js";
import { mean, median, quantile } from "./statistics.js";

const LEAST_SIDE = 64, LEAST_RATIO = 1.7, LEAST_WHITE = 3 / 255, STRONGER = 1.2, LEAST_FINE = 2 / 255, BANDS = 12, REDDEST_COLOUR = 1.25, LEAST_LEVEL = 0.25, MOSTLY_TYPED = 0.5, PURE = [0.45, 1.45], TEXTURED = 2.6; // inference/photons.py
const TAIL = 1e-3, STAR = 150, NOISE_MARGIN = 2, SATURATED = 2; // imaging/intensity_scale.py
const SIDE = 8, MOST = 50_000, FLATTEST = 0.02, FEWEST = 30, EQUAL = 1e-6; // noise/flat_blocks.py
const DARKEST = 0.02, LOWEST = 2.42, CLIPPED = 0.01, SILENT = 0.5, BLUEST = 0.6, REDDEST = 1.85; // noise/measure.py
const STRIPED = 0.3, FAINTEST = (0.75 / 255) ** 2, ALIKE = 0.15, LARGEST = 3 / 0.6745;
const EXPLAINED = 6, RARE = 3e-4, FEWEST_WHOLE = 3, PHOTONS_ALONE = 1.5, HALF_NORMAL = 0.584, FAR_BEYOND = 2, BRIGHTNESSES = 8;
const LEVELS = 16, FLAT = 1.6, LEAST_WEIGHT = 0.25, DIM = 0.1, SPREAD = 7, PASSES = 3; // noise/fit.py
const NO_VARIANCE = 1e-12, LIT = 0.02, REFINED = 2, TOO_MUCH = 0.25, TOO_LITTLE = 0.75;
const NOTHING = (0.05 / 255) ** 2, SPECKLED = 1.5, FEWEST_LEVELS = 4, CONTRAST = 2;

const ORDER = Array.from({ length: SIDE ** 2 }, (_, at) => Math.floor(at / SIDE) + (at % SIDE));
const COSINES = ORDER.map((_, at) => {
  const [order, place] = [Math.floor(at / SIDE), at % SIDE];
  return Math.sqrt((order ? 2 : 1) / SIDE) * Math.cos((Math.PI * (place + 0.5) * order) / SIDE);
});

const variance = ({ gain, read, offset }, clean) => gain * Math.max(clean - offset, 0) + read ** 2;
export const middleNoise = (law) => Math.sqrt(variance(law, 0.5));

// Values whose noise has a standard deviation of 1, and the unbiased way back.
export const stabilise = ({ gain, read, offset }, value) =>
  2 * Math.sqrt(Math.max((value - offset) / gain + 0.375 + (read / gain) ** 2, 0));

export function restore({ gain, read, offset }, stable) {
  const root = Math.max(stable, 2 * Math.sqrt(0.375)), part = Math.sqrt(1.5);
  const photons = root ** 2 / 4 + part / 4 / root - 11 / 8 / root ** 2 + (5 / 8) * (part / root ** 3) - 1 / 8 - (read / gain) ** 2;
  return photons * gain + offset;
}

export function describe({ gain, read, offset }) {
  const text = (value, digits) => String(Number((255 * value).toPrecision(digits)));
  return `Photon noise was made equally strong everywhere (gain ${text(gain, 3)}, read noise ${text(read, 3)}, offset ${text(offset, 4)}).`;
}

// The law of an image, {data, width, height, channels} on [0, 1], or null if it is not worth stabilising;
// `weights` of the level's estimator.
export function findLaw(image, weights) {
  if (Math.min(image.width, image.height) < LEAST_SIDE) return null;
  const law = growsWithLight(image) ? measureScaled(stack(image)) : null;
  if (!law || law.gain <= 0) return null;
  const [dark, white] = [Math.max(law.offset, 0), 1].map((clean) => Math.sqrt(variance(law, clean)));
  if (white < Math.max(LEAST_RATIO * dark, LEAST_WHITE) || !hasWhiteColour(image)) return null;
  const { low, middle } = law.agreement; // texture may follow a law too
  if (middle > TEXTURED) return null;
  const least = low >= PURE[0] && middle <= PURE[1] ? 0 : LEAST_LEVEL * Math.sqrt(mean(image.data.map((value) => variance(law, value))));
  const found = measureLevel(image, weights);
  return found.sigma >= least && found.typed < MOSTLY_TYPED ? law : null;
}

// The channels one below the other, since the noise of each follows its own brightness.
function stack({ data, width, height, channels }) {
  const pixels = width * height, stacked = data.map((_, at) => data[channels * (at % pixels) + Math.floor(at / pixels)]);
  return { data: stacked, width, height: channels * height, channels: 1 };
}

// Whether the noise of the differences between channels is white; gray has none.
function hasWhiteColour({ data, width, height, channels }) {
  if (channels === 1) return true;
  const differences = Float32Array.from({ length: 2 * width * height }, (_, at) => {
    const from = 3 * Math.floor(at / 2) + (at % 2);
    return data[from + 1] - data[from];
  });
  const spectra = readSpectra(stack({ data: differences, width, height, channels: 2 }));
  return colourOf(spectra, [...spectra.means.keys()], spectra.means.map(() => 1)) <= REDDEST_COLOUR;
}

// Whether flat blocks of single channels have more fine structure in the bright third than in the dark one.
function growsWithLight({ data, width, height, channels }) {
  const across = Math.floor(width / SIDE), down = Math.floor(height / SIDE), step = Math.max(Math.floor(down / BANDS), 1);
  const blocks = Array.from({ length: channels * across * Math.ceil(down / step) }, (_, block) => {
    const place = Math.floor(block / channels), top = SIDE * step * Math.floor(place / across), left = SIDE * (place % across);
    let light = 0, power = 0, least = Infinity, most = -Infinity;
    for (let y = top; y < top + SIDE; y += 2) {
      for (let x = left; x < left + SIDE; x += 2) {
        const [a, b, c, d] = [0, 1, width, width + 1].map((step) => data[channels * (y * width + x + step) + (block % channels)]);
        light += a + b + c + d;
        [least, most] = [Math.min(least, a, b, c, d), Math.max(most, a, b, c, d)];
        power += (a - b - c + d) ** 2;
      }
    }
    return { light, power: power / 16, varies: most > least };
  }).filter(({ varies }) => varies).sort((one, other) => one.light - other.light);
  if (blocks.length < 3) return false;
  const [dark, , bright] = splitLength(blocks.length, 3).map(([from, to]) =>
    quantile(Float64Array.from(blocks.slice(from, to), ({ power }) => power).sort(), 0.1));
  return bright > Math.max(STRONGER ** 2 * dark, 4 * LEAST_FINE ** 2); // sums of four
}

// Measures on the scale of the content, where weak noise does not pass for none.
function measureScaled(image) {
  const range = estimateRange(image);
  if (!range) return null;
  let [low, high] = range, found = measure(rescale(image, low, high - low), null);
  const zeros = image.data.reduce((count, value) => count + (value === 0), 0) / image.data.length;
  const { brightness, variance: darkest } = found.levels[0];
  if (zeros > CLIPPED && low < 0 && high > 0 && brightness + low / (high - low) < Math.sqrt(darkest)) {
    low = 0; // a camera without offset: half of the noise in the dark is cut off
    found = measure(rescale(image, 0, high), 0);
  }
  if (!found.law) return null;
  const { gain, read, offset } = found.law, width = high - low;
  return { gain: gain * width, read: read * width, offset: offset ? offset * width + low : 0, agreement: compare(found) };
}

// On the scale of the content; end values far beyond it, saturated or no data, are left out.
function rescale(image, low, width) {
  const data = Float32Array.from(image.data, (value) => (value - low) / width);
  const ends = [Math.min, Math.max].map((end) => data.reduce((one, other) => end(one, other))).filter((value) => Math.abs(value) > FAR_BEYOND);
  return { ...image, channels: 1, data, known: (at) => !ends.includes(data[at]) };
}

// Quantiles of the image smoothed by a median of 3 x 3, moved outwards by the noise.
function estimateRange({ data, width, height }) {
  const middle = (a, b, c) => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  const medians = (values, step, places, length) => values.map((value, at) => {
    const place = places(at);
    return middle(values[place ? at - step : at], value, values[place < length - 1 ? at + step : at]);
  });
  const rows = medians(data, width, (at) => Math.floor(at / width), height);
  const noises = new Float64Array(Math.max((width - 2) * (height - 2), 0) + 1), second = (at) => data[at] - 2 * data[at + 1] + data[at + 2];
  for (let y = 0, to = 0; y < height - 2; y++) {
    for (let at = y * width; at < (y + 1) * width - 2; at++, to++) {
      noises[to] = Math.abs(second(at) - 2 * second(at + width) + second(at + 2 * width)) / 6;
    }
  }
  const sigma = 1.4826 * median(noises), tail = Math.min(Math.max(TAIL, STAR / data.length), 0.01);
  for (const values of [medians(rows, 1, (at) => at % width, width), data]) {
    const content = Float64Array.from(values).sort(), most = content.at(-1);
    const inner = content.subarray(0, content.indexOf(most)), low = quantile(content, tail);
    let high = quantile(content, 1 - tail);
    if (inner.length) {
      const below = quantile(inner, 1 - tail), limit = below + SATURATED * (below - low);
      if (most > limit && limit > low) high = Math.min(high, below);
    }
    if (high > low) return [low - NOISE_MARGIN * sigma, high + NOISE_MARGIN * sigma];
    if (values === data) return content[0] < most ? [content[0], most] : null;
  }
}

// Returns the levels of brightness, and the law if the noise is white or has impulses.
function measure(image, dark) {
  const distance = outlierDistance(image);
  if (distance === null) return read(image, false, dark);
  const repaired = { ...image, data: repairOutliers(image, distance) }, found = read(repaired, true, dark);
  // Few photons, or read noise cut off at 0, look like outliers but follow the law.
  const law = fitLine(found.levels, found.dark);
  const far = repaired.data.filter((value, at) => Math.abs(image.data[at] - value) > EXPLAINED * Math.sqrt(variance(law, value + law.gain)));
  return far.length < RARE * image.data.length ? read(image, false, dark) : found;
}

function read(image, isRepaired, given) {
  const spectra = readSpectra(image);
  let dark = given;
  if (dark === null) {
    const count = Math.max(Math.round(DARKEST * spectra.means.length), 1);
    const limit = Float64Array.from(spectra.means).sort()[count - 1] + EQUAL;
    const darkest = [...spectra.means.keys()].filter((at) => spectra.means[at] <= limit);
    const fine = spectra.band(9, 14);
    dark = mean(darkest.map((at) => spectra.means[at])) + (LOWEST * Math.sqrt(median(darkest.map((at) => fine[at])))) / SIDE;
  }
  const { levels, colour } = photonLevels(spectra, dark), { data, width, height } = image;
  let equal = 0;
  for (let at = 0; at < data.length; at++) equal += at % width && data[at] === data[at - 1] ? 1 : 0;
  const isEven = equal > SILENT * height * (width - 1) || (colour >= BLUEST && colour <= REDDEST);
  const white = median(levels.map((level) => level.variance)), stripes = [image, transpose(image)].map(stripeVariance);
  const isStriped = Math.max(...stripes) > Math.max(STRIPED ** 2 * (white + stripes[0] + stripes[1]), FAINTEST);
  const known = !isStriped && (isRepaired || isEven), law = known && fitScaled(levels, dark, given !== null);
  return { dark, levels, spectra, law: law && (isRepaired || !isSpeckle(levels, law)) ? law : null };
}

// The fine structure of blocks over the law: its 5 % quantile and its median, in the middle of eight parts of brightness.
function compare({ law, spectra: { means, band } }) {
  const fine = band(9, 14);
  const share = (at) => fine[at] / Math.max(variance(law, Math.max(means[at], law.offset)), NOTHING);
  const order = [...means.keys()].sort((a, b) => means[a] - means[b]);
  const parts = splitLength(order.length, BRIGHTNESSES).filter(([from, to]) => to > from)
    .map(([from, to]) => Float64Array.from(order.slice(from, to), share).sort());
  const [low, middle] = [0.05, 0.5].map((part) => median(parts.map((sorted) => quantile(sorted, part))));
  return { low, middle };
}

function product(at, values, from, step) {
  let total = 0;
  for (let k = 0; k < SIDE; k++) total += COSINES[at + k] * values[from + k * step];
  return total;
}

// The means of overlapping blocks, and the power of their cosine coefficients.
function readSpectra({ data, width, height, known = () => true }) {
  const step = Math.max(1, Math.round(Math.sqrt(((height - SIDE + 1) * (width - SIDE + 1)) / MOST)));
  const means = [], powers = [], block = new Float64Array(SIDE ** 2), half = new Float64Array(SIDE ** 2);
  for (let top = 0; top + SIDE <= height; top += step) {
    for (let left = 0; left + SIDE <= width; left += step) {
      let whole = true;
      for (let at = 0; at < block.length; at++) {
        const place = (top + (at >> 3)) * width + left + (at & 7);
        block[at] = data[place];
        whole &&= known(place);
      }
      if (!whole || block.every((value) => value === block[0])) continue;
      const power = new Float32Array(SIDE ** 2);
      for (let at = 0; at < block.length; at++) half[at] = product(at & 56, block, at & 7, SIDE);
      for (let at = 0; at < block.length; at++) power[at] = product(SIDE * (at & 7), half, at & 56, 1) ** 2;
      means.push(Math.fround(mean(block)));
      powers.push(power);
    }
  }
  const band = (from, to) => {
    const places = [...ORDER.keys()].filter((at) => ORDER[at] >= from && ORDER[at] <= to);
    return Float64Array.from(powers, (power) => mean(places.map((at) => power[at])));
  };
  return { means, powers, band };
}

// The noise by brightness, and the power of middle orders over that of fine ones in flat blocks.
function photonLevels({ means, powers, band }, dark) {
  const low = band(1, 4), fine = band(10, 14), all = [...means.keys()];
  const dimmest = quantile(Float64Array.from(means).sort(), DIM);
  const dim = median(all.filter((at) => means[at] <= dimmest + EQUAL).map((at) => fine[at]));
  const roots = means.map((value) => Math.sqrt(Math.max(value - dark - (SPREAD * Math.sqrt(dim)) / SIDE, 0)));
  const widest = roots.reduce((most, root) => Math.max(most, root), 1e-12);
  const parts = Array.from({ length: LEVELS }, () => []);
  for (const at of all) parts[Math.min(Math.floor((LEVELS * roots[at]) / widest), LEVELS - 1)].push(at);
  const full = parts.filter((part) => part.length >= FEWEST);
  let expected = new Float64Array(means.length), levels, law;
  for (let pass = 0; pass <= PASSES; pass++) {
    levels = (full.length ? full : [all]).map((part) => {
      let flat = part.filter((at) => low[at] <= FLAT * expected[at]);
      const weight = Math.min(Math.max(flat.length / FEWEST, LEAST_WEIGHT), 1);
      if (flat.length < FEWEST) flat = [...part].sort((a, b) => low[a] - low[b]).slice(0, FEWEST);
      const most = 3 * median(flat.map((at) => fine[at])); // some of those that pass for flat hold fine texture
      return { brightness: mean(flat.map((at) => means[at])), variance: mean(flat.map((at) => Math.min(fine[at], most))), weight };
    });
    law = fitLine(levels, dark);
    expected = expected.map((_, at) => Math.max(variance(law, means[at]), NO_VARIANCE));
  }
  const lit = all.filter((at) => expected[at] >= law.gain ** 2), flat = lit.filter((at) => low[at] <= FLAT * expected[at]);
  const even = flat.length >= FEWEST ? flat : lit.length ? lit : all;
  return { levels, colour: colourOf({ powers, band }, even, expected) };
}

// The power of middle orders over that of fine ones in the flattest of some blocks, relative to what is expected.
function colourOf({ powers, band }, places, expected) {
  const smooth = band(1, 3), content = (at) => smooth[at] / expected[at];
  const chosen = places.sort((a, b) => content(a) - content(b)).slice(0, Math.max(Math.round(FLATTEST * places.length), FEWEST));
  const power = ORDER.map((_, place) => mean(chosen.map((at) => powers[at][place] / expected[at])));
  const middle = (from, to) => median(power.filter((_, at) => ORDER[at] >= from && ORDER[at] <= to));
  return middle(9, 14) > 0 ? middle(4, 6) / middle(9, 14) : 1;
}

const limited = (off) => (off > 0 ? Math.min(off, TOO_MUCH) : Math.min(-off, TOO_LITTLE));

// The line through variance by brightness that fits best, of those through two levels or with one part.
function fitLine(levels, offset) {
  const points = levels.map((level) => ({ x: level.brightness - offset, y: Math.max(level.variance, NO_VARIANCE), weight: level.weight }));
  const most = Math.max(...points.map(({ y }) => y)), lit = points.filter(({ x }) => x > LIT);
  const lines = points.flatMap((one, at) => points.slice(at + 1).map((other) => [other.x > one.x ? (other.y - one.y) / (other.x - one.x) : 0, one]));
  lines.push(...points.map((one) => [0, one]), ...lit.map((one) => [one.y / one.x, one]));
  let best = { misfit: Infinity };
  for (const [slope, { x, y }] of lines) {
    const start = y - slope * x;
    if (slope < 0 || start < -1e-9 * most) continue;
    const off = (point) => Math.log(point.y / Math.max(slope * point.x + Math.max(start, 0), NO_VARIANCE));
    const misfit = points.reduce((sum, point) => sum + 2 * limited(off(point) / 2) * point.weight, 0);
    if (misfit < best.misfit) best = { misfit, slope, start: Math.max(start, 0) };
  }
  let { slope, start } = best;
  for (let step = 0; step < REFINED; step++) {
    const near = points.map(({ x, y, weight }) => ({ x, y, expected: Math.max(slope * x + start, NO_VARIANCE), weight }))
      .filter(({ y, expected }) => Math.abs(Math.log(y / expected)) < TOO_MUCH);
    const total = (value) => near.reduce((sum, point) => sum + (value(point) * point.weight) / point.expected ** 2, 0);
    const [one, x, y] = [total(() => 1), total((point) => point.x), total((point) => point.y)];
    const xx = total((point) => (point.x - x / one) ** 2), xy = total((point) => (point.x - x / one) * point.y);
    const refined = [xy / xx, y / one - ((xy / xx) * x) / one];
    if (near.length < 3 || !(Math.min(...refined) >= 0)) break;
    [slope, start] = refined;
  }
  return { gain: slope, read: Math.sqrt(start), offset };
}

// The law of unclipped images, or of such whose noise is cut off in the dark.
function fitScaled(levels, dark, isCut) {
  const whole = levels.filter((level) => level.brightness > 2 * Math.sqrt(level.variance));
  if (!isCut || whole.length < FEWEST_WHOLE) return fitLine(levels, dark);
  const law = fitLine(whole, dark), { brightness, variance: darkest } = levels[0];
  return darkest > PHOTONS_ALONE * law.gain * brightness ? { ...law, read: Math.sqrt(darkest) / HALF_NORMAL } : law;
}

function isSpeckle(levels, law) {
  const known = levels.filter((level) => level.variance > NOTHING && level.brightness - law.offset > 0.02);
  const light = known.map(({ brightness }) => brightness - law.offset);
  if (known.length < FEWEST_LEVELS || Math.max(...light) < CONTRAST * Math.min(...light)) return false;
  const ratios = known.map((level, at) => Math.log(level.variance / light[at] ** 2)), usual = median(ratios);
  const misfit = mean(known.map((level) => limited(Math.log(level.variance / Math.max(variance(law, level.brightness), NOTHING)))));
  return SPECKLED * mean(ratios.map((each) => limited(each - usual))) + 0.01 <= misfit;
}

// The variance of offsets that whole columns share.
function stripeVariance({ data, width, height }) {
  const bands = splitLength(height, Math.min(Math.max(height >> 4, 3), 8)).map(([from, to]) => {
    const steps = Float64Array.from({ length: width - 1 }, (_, x) =>
      median(Float64Array.from({ length: to - from }, (_, y) => data[(from + y) * width + x + 1] - data[(from + y) * width + x])));
    const centred = steps.map((step) => step - median(steps)), most = LARGEST * median(centred.map(Math.abs));
    return centred.map((step) => Math.min(Math.max(step, -most), most));
  });
  const product = (a, b) => mean(a.map((value, at) => value * b[at]));
  const common = mean(bands.flatMap((band, at) => bands.slice(at + 2).map((other) => product(band, other))));
  return common < ALIKE * mean(bands.map((band) => product(band, band))) ? 0 : common / 2;
}
