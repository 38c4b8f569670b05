// How far the truth may lie from a denoised pixel: imaging/uncertainty.py in JavaScript, for gray.

const NEAR = 2, WIDE = 7; // pixels around one that say how the image varies, and how strong the noise is
const FLOOR = 0.2 / 255, CORRELATED = 0.15;

// What can be seen of each pixel without the truth: how strong the noise is that was removed around
// it, how much the denoised image varies there, and whether that noise is coarse.
export function describePixels(noisy, denoised) {
  const size = [denoised.width, denoised.height];
  const noise = noisy.data.map((value, at) => value - denoised.data[at]);
  const removed = meanAround(noise.map((value) => value ** 2), size, WIDE);
  const products = noise.map((value, at) => value * ((at % size[0] ? noise[at - 1] : 0) + (noise[at - size[0]] ?? 0)));
  const neighbours = meanAround(products, size, WIDE), taken = removed.map((value) => Math.max(value, 0) + FLOOR ** 2);
  const mean = meanAround(denoised.data, size, NEAR);
  const square = meanAround(denoised.data.map((value) => value ** 2), size, NEAR);
  return { strength: taken.map(Math.sqrt), variety: square.map((value, at) => Math.sqrt(Math.max(value - mean[at] ** 2, 0))),
           isCoarse: neighbours.map((value, at) => value > 2 * CORRELATED * taken[at]) };
}

// The half width of each pixel. The calibration is that of a model's card: for each kind of noise
// limits of cells by strength and by variety, and the factor of each cell. White noise of a gray image
// is shared by all channels that the model is given.
export function halfWidths({ strength, variety, isCoarse }, { shared, coarse }) {
  return strength.map((value, at) => {
    const { strengths, varieties, factors } = isCoarse[at] ? coarse : shared;
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
