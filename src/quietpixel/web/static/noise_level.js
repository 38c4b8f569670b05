// The noise level of an image, found from the image alone: noise/level.py and noise/estimate.py in
// JavaScript. An image is {data, width, height, channels}: floats, black 0 and white 1, channels last.

const SIDE = 6, PATCHES = 20_000; // noise/estimate.py
const LEAST_SIDE = 32, OCTAVES = 5, BLOCK = 8, FLATTEST = [0.03, 0.1, 0.3]; // noise/level.py
const COARSE = 1.4, LEAST_COARSE = 2 / 255, FLOOR = 1.5 / 255;
const OPPONENT = [[1, 1, 1].map((x) => x / Math.sqrt(3)), [1, 0, -1].map((x) => x / Math.sqrt(2)),
  [1, -2, 1].map((x) => x / Math.sqrt(6))];

// Returns {sigma, coarse}; `weights` is what quietpixel.web.static_page writes as noise-level.json.
export function measureLevel(image, weights) {
  if (Math.min(image.width, image.height) < LEAST_SIDE) return { sigma: estimateSigma(image), coarse: false };
  const features = levelFeatures(image);
  const white = Math.exp(features[0]);
  let x = features.map((value, at) => (value - (at && features[0]) - weights.mean[at]) / weights.deviation[at]);
  for (const layer of [1, 2, 3]) {
    const kernel = weights[`kernel_${layer}`];
    x = weights[`bias_${layer}`].map((bias, to) => x.reduce((sum, value, from) => sum + value * kernel[from][to], bias));
    if (layer < 3) x = x.map((value) => Math.max(value, 0));
  }
  const sigma = Math.max((white + FLOOR) * Math.exp(x[0]) - FLOOR, 0);
  return { sigma, coarse: sigma > Math.max(COARSE * white, LEAST_COARSE) };
}

function levelFeatures(image) {
  const colours = toColours(image);
  const planes = OPPONENT.map((weights) => combine(colours, weights));
  const features = [estimateSigma(colours), estimateSigma(planes[0])].map((sigma) => Math.log(sigma + 1e-4));
  const [luminance, first, second] = planes.map(blockPowers);
  const colour = first.map((powers, octave) => powers.map((power, at) => (power + second[octave][at]) / 2));
  for (const powers of [luminance, colour]) {
    let amplitudes = [];
    for (let octave = 0; octave < OCTAVES; octave++) {
      if (octave < powers.length) {
        const power = Float64Array.from(powers[octave].filter((value) => value > 0)).sort();
        amplitudes = FLATTEST.map((share) => 0.5 * Math.log((power.length ? quantile(power, share) : 0) + 1e-8));
      }
      features.push(...amplitudes);
    }
  }
  return features;
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

// The power of the blocks of each octave that the plane is large enough for.
function blockPowers({ data, width, height }) {
  const powers = [];
  for (; powers.length < OCTAVES && Math.min(width, height) >> 1 << 1 >= BLOCK; width >>= 1, height >>= 1) {
    const half = halve(data, width, height);
    powers.push(detailPower(data, half, width, height));
    data = half;
  }
  return powers;
}

function halve(data, width, height) {
  const half = new Float32Array((width >> 1) * (height >> 1));
  for (let y = 0, to = 0; y < height >> 1; y++) {
    for (let x = 0; x < width >> 1; x++, to++) {
      const at = 2 * y * width + 2 * x;
      half[to] = (data[at] + data[at + 1] + data[at + width] + data[at + width + 1]) / 4;
    }
  }
  return half;
}

function detailPower(data, half, width, height) {
  const columns = Math.floor((width >> 1 << 1) / BLOCK), rows = Math.floor((height >> 1 << 1) / BLOCK);
  const powers = new Float64Array(rows * columns);
  for (let y = 0; y < rows * BLOCK; y++) {
    for (let x = 0; x < columns * BLOCK; x++) {
      const detail = data[y * width + x] - half[(y >> 1) * (width >> 1) + (x >> 1)];
      powers[Math.floor(y / BLOCK) * columns + Math.floor(x / BLOCK)] += detail * detail / BLOCK ** 2;
    }
  }
  return powers;
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// The standard deviation of white noise (Chen, Zhu and Heng, ICCV 2015).
export function estimateSigma(image) {
  if (Math.min(image.width, image.height) < SIDE) return 0;
  const covariance = patchCovariance(image), size = SIDE * SIDE;
  const together = noiseOf(covariance);
  const alone = Array.from({ length: image.channels }, (_, channel) => {
    const from = channel * size;
    return noiseOf(covariance.slice(from, from + size).map((row) => row.slice(from, from + size)));
  });
  const each = Math.sqrt(mean(alone.map((sigma) => sigma * sigma)));
  return together < each / 2 ? each : together;
}

function patchCovariance({ data, width, height, channels }) {
  const step = Math.max(1, Math.round(Math.sqrt((width * height) / PATCHES)));
  const length = SIDE * SIDE * channels, offsets = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) offsets.push((y * width + x) * channels + channel);
  }
  // Sums about a value of the image, because about 0 rounding would hide the noise of a bright one.
  const sum = new Float64Array(length), products = offsets.map(() => new Float64Array(length));
  const patch = new Float64Array(length), centre = data[0];
  let count = 0;
  for (let y = 0; y + SIDE <= height; y += step) {
    for (let x = 0; x + SIDE <= width; x += step, count++) {
      const at = (y * width + x) * channels;
      for (let i = 0; i < length; i++) sum[i] += patch[i] = data[at + offsets[i]] - centre;
      for (let i = 0; i < length; i++) {
        const row = products[i], value = patch[i];
        for (let j = 0; j <= i; j++) row[j] += value * patch[j];
      }
    }
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

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
