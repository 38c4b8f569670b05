// Whether an image shows the dots of a halftone print: has_screen of imaging/defects.py in JavaScript.

import { mean, median } from "./statistics.js";
import { spreadRuns } from "./tiles.js";

const SIDE = 128, SQUARES = 3, HALF = SIDE / 2 + 1, PEAK = 3, NEARBY = 6;
const HANN = Float64Array.from({ length: SIDE }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / (SIDE - 1)));

// `pick(rows, columns)` reads a part of the image.
export function findScreen({ width, height }, pick) {
  if (Math.min(width, height) < SIDE || Math.max(width, height) < 2 * SIDE) return false;
  const part = pick(spreadRuns(height, SIDE, SQUARES), spreadRuns(width, SIDE, SQUARES));
  const spectra = starts(part.height).flatMap((top) => starts(part.width).map((left) => powerOf(part, top, left)));
  const power = spectra[0].map((_, at) => Math.log(median(spectra.map((each) => each[at])) + 0.01));
  const inRow = average(power, HALF, 1), inColumn = average(power, SIDE, HALF);
  const places = Array.from(power, (value, at) => {
    const down = frequency(Math.floor(at / HALF)), right = frequency(at % HALF), length = Math.hypot(down, right);
    const isBlocks = [down, right].every((each) => Math.abs(8 * each - Math.round(8 * each)) < 0.08); // of JPEG
    return { down, right, length, height: length < 1 / 16 || length > 0.42 || isBlocks ? 0 : value - Math.max(inRow[at], inColumn[at]) };
  });
  const first = places.reduce((best, place) => (place.height > best.height ? place : best));
  const second = places.filter(({ down, right, length }) => Math.abs(length - first.length) < 0.15 * first.length
    && Math.abs(down * first.down + right * first.right) < 0.5 * length * first.length);
  return Math.min(first.height, Math.max(0, ...second.map(({ height: peak }) => peak))) > PEAK;
}

const frequency = (at) => (at < SIDE / 2 ? at : at - SIDE) / SIDE;

function starts(length) {
  const count = Math.min(Math.floor(length / SIDE), SQUARES);
  return Array.from({ length: count }, (_, at) => Math.floor((at * (length - SIDE)) / Math.max(count - 1, 1)));
}

// The power of a square of the luminance at each frequency, half of the plane.
function powerOf({ data, width, channels }, top, left) {
  const values = Float64Array.from({ length: SIDE * SIDE }, (_, at) => {
    const from = ((top + Math.floor(at / SIDE)) * width + left + (at % SIDE)) * channels;
    return mean(data.subarray(from, from + channels));
  });
  const middle = mean(values);
  const real = values.map((value, at) => (value - middle) * HANN[Math.floor(at / SIDE)] * HANN[at % SIDE]);
  const imaginary = new Float64Array(real.length);
  for (let row = 0; row < SIDE; row++) transform(real, imaginary, row * SIDE, 1);
  for (let column = 0; column < HALF; column++) transform(real, imaginary, column, SIDE);
  return Float64Array.from({ length: SIDE * HALF }, (_, at) => {
    const from = Math.floor(at / HALF) * SIDE + (at % HALF);
    return real[from] ** 2 + imaginary[from] ** 2;
  });
}

// The discrete Fourier transform of SIDE values, `step` apart, in place.
function transform(real, imaginary, first, step) {
  const place = (at) => first + at * step;
  for (let at = 0, turned = 0; at < SIDE; at++) {
    if (turned > at) for (const part of [real, imaginary]) [part[place(at)], part[place(turned)]] = [part[place(turned)], part[place(at)]];
    for (let bit = SIDE >> 1; (turned ^= bit) < bit; bit >>= 1);
  }
  for (let half = 1; half < SIDE; half *= 2) {
    for (let number = 0; number < half; number++) {
      const cosine = Math.cos((Math.PI * number) / half), sine = -Math.sin((Math.PI * number) / half);
      for (let at = number; at < SIDE; at += 2 * half) {
        const upper = place(at), lower = place(at + half);
        const x = cosine * real[lower] - sine * imaginary[lower], y = cosine * imaginary[lower] + sine * real[lower];
        [real[lower], imaginary[lower]] = [real[upper] - x, imaginary[upper] - y];
        real[upper] += x;
        imaginary[upper] += y;
      }
    }
  }
}

// The running mean along one axis of a plane, which is continued at the other end.
function average(plane, length, step) {
  return plane.map((_, at) => {
    const own = Math.floor(at / step) % length, start = at - own * step;
    let sum = 0;
    for (let shift = -NEARBY; shift <= NEARBY; shift++) sum += plane[start + ((own + shift + length) % length) * step];
    return sum / (2 * NEARBY + 1);
  });
}
