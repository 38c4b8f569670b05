// Drawings and pages of text, whose edges would pass for noise: noise/drawings.py in JavaScript.

import { mean, median, quantile, sum } from "./statistics.js";

export const BLOCK = 8;
const CONSTANT = 0.1, SOLID = 0.3, TYPED = [0.65, 0.25, 0.15], BRIGHT = 0.8, INKED = 0.9;
const PAPER = [12 / 255, 0.2], INK = [60 / 255, 0.05], PAPERS = 2, LEAST_PAPER = 0.05;

// For each block the share of its squares of 2 x 2 pixels that count as drawn, and the share of the blocks with letters.
export function findDrawing(colours, constant, { columns, brightness }) {
  const blocks = constant.map((_, block) => first(block, columns, colours.width));
  const others = blocks.filter((_, block) => !constant[block]);
  const typed = isTypedOnBlack(colours, blocks, others);
  const onlyWhite = others.length > (1 - CONSTANT) * blocks.length && !typed;
  return {
    squares: evenSquares(colours, blocks, { onlyWhite, typed }),
    letters: shareLetters(colours, blocks, others, constant, brightness, typed),
  };
}

// Where the data of a block begin.
const first = (block, columns, width) => 3 * BLOCK * (Math.floor(block / columns) * width + block % columns);

const every = (at, test) => test(at) && test(at + 1) && test(at + 2); // of the channels

// Squares of white, or in drawings of any value.
function evenSquares({ data, width }, blocks, { onlyWhite, typed }) {
  const corners = [0, 3, 3 * width, 3 * width + 3];
  const isWhite = (at) => corners.every((step) => every(at + step, (place) => data[place] >= 1));
  const isEven = (at) => every(at, (place) => corners.every((step) => data[place + step] === data[place]));
  const isLit = (at) => !every(at, (place) => data[place] <= 0);
  const count = (block, test) => {
    let squares = 0;
    for (let y = 0; y < BLOCK; y += 2) {
      for (let x = 0; x < BLOCK; x += 2) squares += test(block + 3 * (y * width + x));
    }
    return squares;
  };
  let counts = isWhite;
  if (!onlyWhite) {
    const total = (test) => sum(blocks.map((block) => count(block, test)));
    const black = typed || total((at) => isEven(at) && isLit(at)) >= SOLID * total(isLit);
    counts = (at) => isEven(at) && (black || isLit(at));
  }
  return blocks.map((block) => count(block, counts) / (BLOCK / 2) ** 2);
}

// The share of the blocks outside constant areas that have letters: pixels near to the paper, and far from it.
function shareLetters(colours, blocks, others, constant, brightness, typed) {
  const papers = new Map();
  constant.forEach((isConstant, block) => {
    const value = Math.round(brightness[block] * 1e4);
    if (isConstant && (value > 0 || typed)) papers.set(value, [...(papers.get(value) ?? []), block]);
  });
  const common = [...papers].sort(([a, some], [b, more]) => more.length - some.length || a - b).slice(0, PAPERS)
    .filter(([, same]) => same.length >= LEAST_PAPER * constant.length);
  const shares = common.map(([, [block]]) => {
    const paper = colours.data.slice(blocks[block], blocks[block] + 3);
    return mean(others.map((each) => +hasLetters(inkOf(colours, each, paper))));
  });
  return others.length ? Math.max(0, ...shares) : 0;
}

// Which pixels of a block are far from the paper, and how many of them are near to it.
function inkOf({ data, width }, block, paper, unit = 1) {
  const ink = new Uint8Array(BLOCK ** 2);
  let near = 0;
  for (let at = 0; at < ink.length; at++) {
    const from = block + 3 * (Math.floor(at / BLOCK) * width + at % BLOCK);
    let distance = 0;
    for (let channel = 0; channel < 3; channel++) distance = Math.max(distance, Math.abs(data[from + channel] - paper[channel]));
    near += distance <= PAPER[0] * unit;
    ink[at] = distance >= INK[0] * unit;
  }
  return { ink, near };
}

const hasLetters = ({ ink, near }) => near >= PAPER[1] * ink.length && sum(ink) >= INK[1] * ink.length;

// The highest of the three values of each pixel of a block.
function valuesOf({ data, width }, block) {
  return Array.from({ length: BLOCK ** 2 }, (_, at) => {
    const from = block + 3 * (Math.floor(at / BLOCK) * width + at % BLOCK);
    return Math.max(data[from], data[from + 1], data[from + 2]);
  });
}

// Whether an image is light text on black, of which few squares have one value.
function isTypedOnBlack({ data, width }, blocks, others) {
  const highest = blocks.map((block) => Math.max(...valuesOf({ data, width }, block)));
  const unit = highest.reduce((most, value) => Math.max(most, value), INK[0]) / INKED;
  // What a JPEG spreads around coloured letters is blank; noise is not.
  const found = others.map((block) => inkOf({ data, width }, block, [0, 0, 0], unit)).filter(({ near }) => near < BLOCK ** 2);
  const strokes = found.filter(hasLetters);
  if (strokes.length < TYPED[0] * Math.max(found.length, 1)) return false;
  const joined = strokes.map(({ ink }) => {
    const share = mean(ink), most = BLOCK * (BLOCK - 1);
    let pairs = 0;
    for (let at = 0; at < ink.length; at++) {
      pairs += ink[at] && (at % BLOCK ? ink[at - 1] : 0) + (at >= BLOCK ? ink[at - BLOCK] : 0);
    }
    return (pairs / most / 2 - share ** 2) / (share - share ** 2);
  });
  const values = blocks.flatMap((block) => valuesOf({ data, width }, block).filter((value) => value >= INK[0] * unit));
  const least = BRIGHT * quantile(Float64Array.from(values).sort(), 0.995);
  return median(joined) >= TYPED[1] && mean(values.map((value) => +(value > least))) >= TYPED[2];
}
