// How many numbers a square of a photograph needs: cosines, as in JPEG, from coarse to fine.

export const SIDE = 28;

const cosines = Array.from({ length: SIDE }, (_, wave) =>
  Float64Array.from({ length: SIDE }, (_, at) =>
    Math.sqrt((wave ? 2 : 1) / SIDE) * Math.cos((Math.PI * wave * (2 * at + 1)) / (2 * SIDE))));

// The numbers of a square by their place, and the places from coarse to fine.
const order = Array.from({ length: SIDE * SIDE }, (_, at) => at)
  .sort((a, b) => fineness(a) - fineness(b) || a - b);

function fineness(place) {
  return Math.floor(place / SIDE) + (place % SIDE);
}

function transform(square, back) {
  const once = (values) => {
    const result = new Float64Array(SIDE * SIDE);
    for (let row = 0; row < SIDE; row++) {
      for (let to = 0; to < SIDE; to++) {
        let sum = 0;
        for (let at = 0; at < SIDE; at++) sum += values[row * SIDE + at] * (back ? cosines[at][to] : cosines[to][at]);
        result[to * SIDE + row] = sum; // turned, so that the second pass takes the other direction
      }
    }
    return result;
  };
  return once(once(square));
}

export function cutSquare({ data, width }, left, top) {
  return Float64Array.from({ length: SIDE * SIDE }, (_, at) => data[(top + Math.floor(at / SIDE)) * width + left + (at % SIDE)]);
}

// Calls `use` with left and top of each square that the image is cut into.
function eachSquare({ width, height }, use) {
  for (let top = 0; top + SIDE <= height; top += SIDE) {
    for (let left = 0; left + SIDE <= width; left += SIDE) use(left, top);
  }
}

// The image when only the first `count` numbers of each square are kept.
export function keepNumbers(image, count) {
  const data = new Float32Array(image.data.length);
  eachSquare(image, (left, top) => {
    const numbers = transform(cutSquare(image, left, top), false);
    for (const place of order.slice(count)) numbers[place] = 0;
    transform(numbers, true).forEach((value, at) => {
      data[(top + Math.floor(at / SIDE)) * image.width + left + (at % SIDE)] = value;
    });
  });
  return { ...image, data };
}

// For each count, the mean squared error of a noisy image with so many numbers, in two parts: detail
// that is lost, and noise that is kept. No image is made for it, because cosines keep lengths.
export function errorsByCount(clean, noisy) {
  const lost = new Float64Array(SIDE * SIDE + 1), kept = new Float64Array(SIDE * SIDE + 1);
  let squares = 0;
  eachSquare(clean, (left, top) => {
    squares++;
    const truth = transform(cutSquare(clean, left, top), false), seen = transform(cutSquare(noisy, left, top), false);
    order.forEach((place, at) => {
      lost[at] += truth[place] ** 2;
      kept[at + 1] += (seen[place] - truth[place]) ** 2;
    });
  });
  for (let count = 1; count < kept.length; count++) kept[count] += kept[count - 1];
  for (let count = lost.length - 2; count >= 0; count--) lost[count] += lost[count + 1];
  const pixels = squares * SIDE * SIDE;
  return { lost: lost.map((value) => value / pixels), kept: kept.map((value) => value / pixels) };
}
