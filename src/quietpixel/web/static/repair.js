// Repairs before the model: impulses and stripes of whole rows or columns. inference/repair.py and
// imaging/defects.py in JavaScript.

import { findScreen } from "./screen.js";
import { correlation, dot, mean, median } from "./statistics.js";
import { spreadRuns } from "./tiles.js";

const PASSES = 3, STRICT = [0.1, 3], LOOSE = [0.08, 1.5], NOISES = 5, RARE = 3e-4, FEWEST = 10;
const SPARSE = 0.02, ALONE = 0.3;
const SIDE = 128, PARTS = 2, LINES = 256;
const WINDOW = 15, SEGMENTS = 4, FAINTEST = 1 / 255, ALIKE = 0.6, REPEATING = 0.25;
const STILL = 1 / 8, MOST_STILL = 0.085, IN_LINES = 0.5, DENSE = 0.04, AVOIDING = 0.33, CELL = 16;
export const HALO = 2 * PASSES;

// Returns what an image needs, {distance, rows, columns, notes}, or null; `pick(rows, columns)` reads parts.
export function findRepair({ width, height }, pick) {
  const sample = pick(spreadRuns(height, SIDE, PARTS), spreadRuns(width, SIDE, PARTS));
  const distance = outlierDistance(channelOf(sample, sample.channels >> 1));
  const all = (length) => Int32Array.from({ length }, (_, at) => at);
  const rows = findStripes(pick(all(height), spreadRuns(width, LINES / 4, 4)));
  const columns = findStripes(transpose(pick(spreadRuns(height, LINES / 4, 4), all(width))));
  const notes = [
    (rows || columns) && "Stripes were removed before denoising.",
    distance !== null && "Single outlying pixels were repaired before denoising.",
    findScreen({ width, height }, pick) && "The dots of a halftone print are kept; to merge them, reduce the image.",
  ].filter(Boolean);
  return notes.length ? { distance, rows, columns, notes } : null;
}

// Repairs a part of an image in place, which lies in these rows and columns of it.
export function repairPart(part, { distance, rows, columns }, places) {
  const { data, width, height, channels } = part;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++, at++) {
        if (rows) data[at] -= rows[channel][places.rows[y]];
        if (columns) data[at] -= columns[channel][places.columns[x]];
      }
    }
  }
  if (distance === null) return;
  for (let channel = 0; channel < channels; channel++) {
    const plane = repairOutliers(channelOf(part, channel), distance);
    for (let at = 0; at < plane.length; at++) data[at * channels + channel] = plane[at];
  }
}

function channelOf({ data, width, height, channels }, channel) {
  return { data: Float32Array.from({ length: width * height }, (_, at) => data[at * channels + channel]), width, height };
}

export function transpose({ data, width, height, channels }) {
  const result = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        result[(x * height + y) * channels + channel] = data[(y * width + x) * channels + channel];
      }
    }
  }
  return { data: result, width: height, height: width, channels };
}

// How far outliers lie from their neighbours at least; null without any.
export function outlierDistance(plane) {
  if (Math.min(plane.width, plane.height) < 3) return null;
  const away = new Float64Array(plane.data.length), beyond = away.slice();
  eachNeighbourhood(plane, (value, around, at) => {
    away[at] = value - (around[3] + around[4]) / 2;
    beyond[at] = Math.max(value - around[6], around[1] - value) - STRICT[1] * (around[6] - around[1]);
  });
  const distance = NOISES * 1.4826 * median(away.map(Math.abs));
  const least = Math.max(STRICT[0], distance);
  const found = [...beyond.keys()].filter((at) => beyond[at] > least);
  if (found.length < Math.max(RARE * beyond.length, FEWEST)) return null;
  const alone = () => found.filter((at) => isAlone(plane, at, away[at])).length;
  const isText = () => liesInLines(found, plane) || alone() < ALONE * found.length;
  if (found.length < SPARSE * beyond.length && isText()) return null;
  return found.length > DENSE * beyond.length && avoidEachOther(found, plane) ? null : distance;
}

// Whether fewer outliers touch than chance lets: dots of an image in few values do not.
function avoidEachOther(found, { width, height }) {
  const marked = new Set(found), rows = Math.floor(height / CELL), columns = Math.floor(width / CELL);
  const counts = new Float64Array(rows * columns);
  let touching = 0;
  for (const at of found) {
    touching += marked.has(at + width) + ((at + 1) % width > 0 && marked.has(at + 1));
    const row = Math.floor(at / width / CELL), column = Math.floor((at % width) / CELL);
    if (row < rows && column < columns) counts[row * columns + column]++;
  }
  return touching < (AVOIDING * 2 * dot(counts, counts)) / CELL ** 2;
}

// Whether the number of outliers changes from line to line by more than chance.
function liesInLines(found, { width, height }) {
  const counts = [new Float64Array(height), new Float64Array(width)];
  for (const at of found) {
    counts[0][Math.floor(at / width)]++;
    counts[1][at % width]++;
  }
  return counts.some((each) => {
    const usual = mean(each), steps = each.slice(1).map((count, at) => (count - each[at]) ** 2);
    return (mean(steps) / 2 - usual) / usual ** 2 > IN_LINES + (3 * Math.sqrt(3 / each.length)) / usual;
  });
}

// Whether no value two pixels away differs as much from the median around a place.
function isAlone({ data, width, height }, at, step) {
  const [top, left] = [Math.floor(at / width) - 2, (at % width) - 2], usual = data[at] - step;
  const mirror = (place, length) => (place < 0 ? -1 - place : Math.min(place, 2 * length - 1 - place));
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 5; x += y % 4 ? 4 : 1) {
      const value = data[mirror(top + y, height) * width + mirror(left + x, width)];
      if ((value - usual) * Math.sign(step) > Math.abs(step) / 2) return false;
    }
  }
  return true;
}

export function repairOutliers(plane, distance) {
  const least = Math.max(LOOSE[0], distance);
  for (let pass = 0; pass < PASSES; pass++) {
    const data = plane.data.slice();
    let changed = false;
    eachNeighbourhood(plane, (value, around, at) => {
      const reach = least + LOOSE[1] * (around[6] - around[1]);
      if (value <= around[6] + reach && value >= around[1] - reach) return;
      data[at] = (around[3] + around[4]) / 2;
      changed = true;
    });
    plane = { ...plane, data };
    if (!changed) break;
  }
  return plane.data;
}

// Calls `look` with each value, its eight neighbours sorted, and its place; borders are mirrored.
function eachNeighbourhood({ data, width, height }, look) {
  const around = new Float32Array(8);
  for (let y = 0; y < height; y++) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, height - 1)].map((row) => row * width);
    for (let x = 0; x < width; x++) {
      const left = Math.max(x - 1, 0), right = Math.min(x + 1, width - 1);
      let count = 0;
      rows.forEach((row, at) => {
        insert(around, count++, data[row + left]);
        if (at !== 1) insert(around, count++, data[row + x]);
        insert(around, count++, data[row + right]);
      });
      look(data[rows[1] + x], around, rows[1] + x);
    }
  }
}

function insert(sorted, count, value) {
  for (; count > 0 && sorted[count - 1] > value; count--) sorted[count] = sorted[count - 1];
  sorted[count] = value;
}

// The offset of each row, one array for each channel, or null without stripes.
function findStripes(image) {
  const { width, height, channels } = image;
  if (height < 2 * WINDOW || width < 8 * SEGMENTS) return null;
  const plane = channelOf(image, channels >> 1);
  const parts = splitLength(width, SEGMENTS).map(([from, to]) => offsets(plane, from, to));
  const typical = 1.4826 * median(parts[0].map((_, y) => Math.abs(mean(parts.map((part) => part[y])))));
  const limit = 3 * typical;
  const flat = parts.map((part) => part.map((value) => clip(value, limit)));
  if (typical < FAINTEST || flat.some((part) => part.every((value) => value === part[0]))) return null;
  const pairs = flat.flatMap((first, at) => flat.slice(at + 1).map((second) => correlation(first, second)));
  if (median(pairs) < ALIKE) return null;
  const profile = flat[0].map((_, y) => mean(flat.map((part) => part[y])));
  const power = dot(profile, profile);
  for (let shift = 1; shift <= Math.min(WINDOW, height - 1); shift++) {
    if (Math.abs(dot(profile, profile, shift) / power) > REPEATING + 3 / Math.sqrt(height)) return null;
  }
  if (standsStill(plane)) return null;
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from(offsets(channelOf(image, channel), 0, width), (value) => clip(Math.fround(value), 2 * limit)));
}

// Whether part of an image does not follow the steps of its rows; a frame follows nothing.
function standsStill({ data, width, height }) {
  const steps = data.slice(width).map((value, at) => value - data[at]), moves = new Uint8Array(width);
  steps.forEach((step, at) => { moves[at % width] |= step !== 0; });
  const rows = Array.from({ length: height - 1 }, (_, y) =>
    steps.subarray(y * width, (y + 1) * width).filter((_, x) => moves[x]));
  const typical = rows.map((row) => Math.abs(median(row)));
  const large = Math.max(median(typical), FAINTEST / 2);
  const still = rows.map((row, y) => mean(row.map((step) => +(Math.abs(step) < STILL * typical[y]))))
    .filter((_, y) => typical[y] >= large);
  return still.length > 0 && median(still) > MOST_STILL;
}

// Parts of a length as numpy.array_split makes them: the first are one longer.
export function splitLength(length, count) {
  const part = Math.floor(length / count), longer = length % count;
  return Array.from({ length: count }, (_, at) => {
    const from = at * part + Math.min(at, longer);
    return [from, from + part + (at < longer ? 1 : 0)];
  });
}

// The sum of the median steps from row to row, less its running mean.
function offsets({ data, width, height }, from, to) {
  const profile = new Float64Array(height), steps = new Float32Array(to - from);
  for (let y = 1; y < height; y++) {
    for (let x = from; x < to; x++) steps[x - from] = data[y * width + x] - data[(y - 1) * width + x];
    profile[y] = profile[y - 1] + median(steps);
  }
  return profile.map((value, y) => {
    let smooth = 0;
    for (let shift = 1 - WINDOW; shift < WINDOW; shift++) {
      const row = Math.abs(y + shift);
      smooth += ((WINDOW - Math.abs(shift)) / WINDOW ** 2) * profile[row < height ? row : 2 * (height - 1) - row];
    }
    return value - smooth;
  });
}

const clip = (value, limit) => Math.min(Math.max(value, -limit), limit);
