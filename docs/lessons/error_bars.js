// How far the truth may lie from a denoised pixel: imaging/uncertainty.py in JavaScript, for gray.

const NEAR = 2, WIDE = 7; // pixels around one that say how the image varies, and how strong the noise is
const FLOOR = 0.2 / 255;

// What can be seen of each pixel without the truth: how strong the noise is that was removed around
// it, and how much the denoised image varies there.
export function describePixels(noisy, denoised) {
  const size = [denoised.width, denoised.height];
  const removed = meanAround(noisy.data.map((value, at) => (value - denoised.data[at]) ** 2), size, WIDE);
  const mean = meanAround(denoised.data, size, NEAR);
  const square = meanAround(denoised.data.map((value) => value ** 2), size, NEAR);
  return { strength: removed.map((value) => Math.sqrt(Math.max(value, 0) + FLOOR ** 2)),
           variety: square.map((value, at) => Math.sqrt(Math.max(value - mean[at] ** 2, 0))) };
}

// The half width of each pixel. The calibration is that of a model's card: limits of cells by
// strength and by variety, and the factor of each cell.
export function halfWidths({ strength, variety }, { strengths, varieties, factors }) {
  return strength.map((value, at) => {
    const row = strengths.filter((limit) => limit < value).length;
    const cell = varieties[row].filter((limit) => limit < variety[at]).length;
    return factors[row][cell] * value;
  });
}

// The factor for which `share` of the errors are smaller than factor times strength: the conformal
// quantile, of pixels whose truth is known.
export function fitFactor(errors, strengths, share) {
  const scores = Float64Array.from(errors, (error, at) => error / strengths[at]).sort();
  return scores[Math.min(Math.ceil((scores.length + 1) * share), scores.length) - 1];
}

// The mean over a square around each pixel; borders are mirrored.
function meanAround(values, [width, height], radius) {
  const mirror = (at, length) => (at < 0 ? -1 - at : at >= length ? 2 * length - 1 - at : at);
  const pass = (from, length, place) => {
    const result = new Float64Array(from.length);
    for (let at = 0; at < from.length; at++) {
      const [along, index] = place(at);
      let sum = 0;
      for (let step = -radius; step <= radius; step++) sum += from[index(mirror(along + step, length))];
      result[at] = sum / (2 * radius + 1);
    }
    return result;
  };
  const rows = pass(values, width, (at) => [at % width, (x) => at - (at % width) + x]);
  return pass(rows, height, (at) => [Math.floor(at / width), (y) => y * width + (at % width)]);
}
