// Cuts an image into overlapping tiles, so that tiled equals whole: imaging/tiling.py in JavaScript.

const roundUp = (length, divisor) => Math.ceil(length / divisor) * divisor;

// Yields tiles {rows, columns}, each side {start, stop, keepStart, keepStop}: what is read, which
// reflection continues beyond the image, and what is kept.
export function* planTiles(width, height, { halo, divisor }, side) {
  const rows = spans(height, halo, divisor, side), columns = spans(width, halo, divisor, side);
  for (const row of rows) for (const column of columns) yield { rows: row, columns: column };
}

function spans(length, halo, divisor, wanted) {
  const margin = roundUp(halo, divisor), end = roundUp(length, divisor);
  const side = Math.min(Math.max(roundUp(wanted, divisor), 2 * margin + divisor), end);
  const found = [];
  for (let next = 0, kept = 0; kept < length; next += side - 2 * margin) {
    const start = Math.min(next, end - side), stop = start + side;
    const keepStop = stop === end ? length : Math.min(stop - margin, length);
    found.push({ start, stop, keepStart: kept, keepStop });
    kept = keepStop;
  }
  return found;
}

// Which pixels of a side stand at the places start to stop of the reflected image.
export function reflect(start, stop, length) {
  const period = Math.max(2 * (length - 1), 1);
  return Int32Array.from({ length: stop - start }, (_, at) => {
    const place = (start + at) % period;
    return length === 1 ? 0 : Math.min(place, period - place);
  });
}

// The rows and columns of an image that a tile reads.
export const placesOf = ({ rows, columns }, { width, height }) => ({
  rows: reflect(rows.start, rows.stop, height), columns: reflect(columns.start, columns.stop, width),
});

// The floats of an image in these rows and columns.
export function pick({ data, width, channels, stride = channels, white = 1 }, rows, columns) {
  const result = new Float32Array(rows.length * columns.length * channels);
  const factor = Math.fround(1 / white);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * stride;
      for (let channel = 0; channel < channels; channel++) result[to++] = data[from + channel] * factor;
    }
  }
  return { data: result, width: columns.length, height: rows.length, channels };
}

// The places looked at along one side of an image: `count` runs spread over it, or all of it. Runs
// begin on multiples of `align`.
export function spreadRuns(length, run, count, align = 1) {
  if (length <= run * count) return Int32Array.from({ length }, (_, at) => at);
  const starts = Array.from({ length: count }, (_, at) => Math.floor((at * (length - run)) / (count - 1) / align) * align);
  return Int32Array.from(starts.flatMap((start) => Array.from({ length: run }, (_, at) => start + at)));
}

// The noise level is estimated from 3 x 3 squares of an image, on the grid of JPEG: inference/level.py.
export const LEVEL_CELL = 256;
export const levelPlaces = (length) => spreadRuns(length, LEVEL_CELL, 3, 8);
