// Lesson 2: points near a curve, and arrows from noisy points to their denoised ones.

import { normals } from "./engine/static/normals.js";
import { bindSlider, colour, find, sharpen, watchColours } from "./lesson.js";
import { Network, bestAnswer } from "./points.js";

const WIDE = 1.6, HIGH = 1.2; // the plane: x from -1.6 to 1.6, y from -1.2 to 1.2
const COUNT = 160, BATCH = 48, STEPS = 1500;
const along = (curve) => Array.from({ length: COUNT }, (_, at) => curve(at / (COUNT - 1)));
const CURVES = {
  wave: along((t) => [2.6 * t - 1.3, 0.6 * Math.sin(7 * t - 3.5)]),
  ring: along((t) => [0.8 * Math.cos(2 * Math.PI * t), 0.8 * Math.sin(2 * Math.PI * t)]),
  spiral: along((t) => [(0.2 + 0.85 * t) * Math.cos(9 * t), (0.2 + 0.85 * t) * Math.sin(9 * t)]),
  two: along((t) => (t < 0.5 ? [-0.7, 1.6 * t - 0.4] : [0.7, 1.6 * t - 1.2])),
};

const normal = normals(1);
let points = CURVES.wave, probe = [0.3, 0.75], network = new Network(normals(2)), training = false, drawn = null, scored = 0, shade;
const sigma = bindSlider("sigma", (value) => value.toFixed(2), changed);
const chosen = () => document.querySelector("input[name=denoiser]:checked").value;

const denoise = (x, y) => (chosen() === "network" ? network.answer(x, y) : bestAnswer(points, sigma(), x, y).answer);

function noisyPoints(count) {
  const clean = Array.from({ length: count }, () => points[Math.floor(Math.random() * points.length)]);
  return { clean, noisy: clean.map((point) => point.map((value) => value + sigma() * normal())) };
}

function changed() {
  shade = null;
  score();
  draw();
}

// Mean squared error for each coordinate, of the same kind of noisy points.
function score() {
  scored = performance.now();
  const { clean, noisy } = noisyPoints(600);
  const error = (answers) => answers.reduce((sum, [x, y], at) => sum + (x - clean[at][0]) ** 2 + (y - clean[at][1]) ** 2, 0) / (2 * clean.length);
  find("noisy-error").textContent = error(noisy).toFixed(4);
  find("network-error").textContent = error(noisy.map(([x, y]) => network.answer(x, y))).toFixed(4);
  find("best-error").textContent = error(noisy.map(([x, y]) => bestAnswer(points, sigma(), x, y).answer)).toFixed(4);
  find("steps").textContent = network.steps;
}

function draw() {
  const canvas = find("plane"), { context, width, height } = sharpen(canvas);
  const place = ([x, y]) => [((x + WIDE) / (2 * WIDE)) * width, ((HIGH - y) / (2 * HIGH)) * height];
  const dot = (point, radius) => {
    context.beginPath();
    context.arc(...place(point), radius, 0, 7);
    context.fill();
  };
  drawDensity(context, width, height);
  context.fillStyle = colour("curve");
  for (const point of points) dot(point, 2);
  context.strokeStyle = context.fillStyle = colour("arrow");
  const columns = width > 500 ? 21 : 13, rows = width > 500 ? 15 : 11;
  context.lineWidth = 1.2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = [WIDE * ((2 * column + 1) / columns - 1), HIGH * ((2 * row + 1) / rows - 1)];
      arrow(context, place(from), place(denoise(...from)));
    }
  }
  drawProbe(context, place, dot);
}

// The density of noisy points, by its logarithm: dark is likely.
function drawDensity(context, width, height) {
  if (!find("density").checked) return;
  const columns = 64, rows = 48;
  if (!shade) {
    shade = Array.from({ length: rows * columns }, (_, at) =>
      bestAnswer(points, sigma(), WIDE * ((2 * (at % columns) + 1) / columns - 1), HIGH * (1 - (2 * Math.floor(at / columns) + 1) / rows)).logDensity);
  }
  const most = Math.max(...shade), small = new OffscreenCanvas(columns, rows), brush = small.getContext("2d");
  brush.fillStyle = colour("density");
  shade.forEach((value, at) => {
    brush.globalAlpha = 0.55 * Math.max(0, 1 + (value - most) / 8);
    brush.fillRect(at % columns, Math.floor(at / columns), 1, 1);
  });
  context.drawImage(small, 0, 0, width, height);
}

// The clean points that the probe may come from, as large as they are likely, and their mean.
function drawProbe(context, place, dot) {
  const { weights, answer } = bestAnswer(points, sigma(), ...probe), end = denoise(...probe);
  context.fillStyle = colour("curve");
  weights.forEach((weight, at) => weight > 1e-3 && dot(points[at], 2 + 16 * Math.sqrt(weight)));
  context.strokeStyle = context.fillStyle = colour("probe");
  context.lineWidth = 3;
  arrow(context, place(probe), place(end));
  dot(probe, 6);
  const residual = [end[0] - probe[0], end[1] - probe[1]], step = 1e-4;
  const slope = [0, 1].map((axis) => {
    const at = (shift) => bestAnswer(points, sigma(), probe[0] + (axis ? 0 : shift), probe[1] + (axis ? shift : 0)).logDensity;
    return ((at(step) - at(-step)) / (2 * step)) * sigma() ** 2;
  });
  const show = (pair) => `(${pair.map((value) => value.toFixed(3).replace("-", "−")).join(", ")})`;
  find("residual").textContent = show(residual);
  find("score").textContent = show(slope);
}

function arrow(context, [x, y], [toX, toY]) {
  const length = Math.hypot(toX - x, toY - y);
  if (length < 2) return;
  const head = Math.min(6, length / 2) / length, [dx, dy] = [(toX - x) * head, (toY - y) * head];
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.moveTo(toX - dx - dy / 2, toY - dy + dx / 2);
  context.lineTo(toX, toY);
  context.lineTo(toX - dx + dy / 2, toY - dy - dx / 2);
  context.stroke();
}

// Some steps, then a picture of them, so that the arrows can be watched while they learn.
function trainOn(last) {
  if (!training || network.steps >= last) {
    training = false;
    find("train").textContent = "Train the network";
    return score();
  }
  for (const stop = performance.now() + 25; performance.now() < stop && network.steps < last; ) {
    const { clean, noisy } = noisyPoints(BATCH);
    network.train(noisy, clean, 0.02 / Math.sqrt(1 + network.steps / 50));
  }
  if (performance.now() > scored + 500) score();
  draw();
  setTimeout(() => trainOn(last));
}

find("train").addEventListener("click", () => {
  training = !training;
  document.querySelector("input[value=network]").checked = true;
  find("train").textContent = training ? "Stop" : "Train the network";
  trainOn(network.steps + STEPS);
});
find("forget").addEventListener("click", () => {
  network = new Network(normals(2 + Math.floor(1e6 * Math.random())));
  changed();
});
find("curve").addEventListener("change", ({ target }) => {
  if (target.value !== "own") points = CURVES[target.value];
  changed();
});
find("density").addEventListener("change", draw);
for (const each of document.querySelectorAll("input[name=denoiser]")) each.addEventListener("change", draw);

// The pointer moves the probe; with a curve of the reader's own, it draws the curve.
const plane = find("plane");
const placeOf = (event) => {
  const box = plane.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * 2 * WIDE - WIDE, HIGH - ((event.clientY - box.top) / box.height) * 2 * HIGH];
};
plane.addEventListener("pointerdown", (event) => {
  plane.setPointerCapture(event.pointerId);
  drawn = find("curve").value === "own" ? [] : null;
  follow(event);
});
plane.addEventListener("pointermove", (event) => event.buttons && follow(event));
plane.addEventListener("pointerup", () => {
  if (!drawn) return;
  drawn = null;
  find("curve").value = "drawn";
  changed();
});

function follow(event) {
  if (drawn) {
    drawn.push(placeOf(event));
    points = drawn;
    shade = null;
  } else probe = placeOf(event);
  draw();
}

plane.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!move) return;
  event.preventDefault();
  probe = probe.map((value, at) => value + 0.05 * move[at]);
  draw();
});

watchColours(draw);
find("notice").hidden = true;
changed();
document.body.dataset.ready = "";
