// Lesson 5: error bars along a line of a photograph, and when they stop covering the truth.

import { normals } from "./engine/static/normals.js";
import { describePixels, fitFactor, halfWidths } from "./error_bars.js";
import { bindSlider, cardOf, colour, find, latest, openEngine, sharpen, watchColours } from "./lesson.js";
import { addNoise, clamp, followPointer, paintPhoto, readPhoto } from "./photo.js";

const MODEL = "photo";

const photo = await readPhoto();
const engine = await openEngine();
const calibration = cardOf(engine, MODEL).uncertainty;
let line = 70, clean, noisy, denoised, pixels, widths;

const KINDS = {
  white: (image, normal) => addNoise(image, sigma(), normal),
  texture: (image, normal) => addNoise(image, sigma(), normal),
  // Each value is shared by a block of pixels, like the grain of an enlarged film.
  blocks: (image, normal) => {
    const side = 6, columns = Math.ceil(image.width / side);
    const grain = Float64Array.from({ length: columns * Math.ceil(image.height / side) }, () => sigma() * normal());
    return { ...image, data: image.data.map((value, at) =>
      value + grain[Math.floor(Math.floor(at / image.width) / side) * columns + Math.floor((at % image.width) / side)]) };
  },
  // Light in the lens: the noisy image is brighter to the right, and nothing in it says so.
  haze: (image, normal) => addNoise({ ...image, data: image.data.map((value, at) => value + (0.15 * (at % image.width)) / image.width) }, sigma(), normal),
};

const renew = latest(update);
const sigma = bindSlider("sigma", (value) => value.toFixed(2), renew);
const share = bindSlider("share", (value) => `${value} %`, showOwn);
find("kind").addEventListener("change", renew);

async function update() {
  const kind = find("kind").value;
  const truth = kind === "texture" ? addNoise(photo, 0.08, normals(7)) : photo; // detail as fine and as strong as noise
  const image = KINDS[kind](truth, normals(1));
  const { data } = await engine.denoiseArray({ ...image, data: image.data.slice() }, { model: MODEL, sigma: sigma() });
  [clean, noisy, denoised] = [truth, image, { ...image, data }]; // together, since sliders move meanwhile
  pixels = describePixels(noisy, denoised);
  widths = halfWidths(pixels, calibration);
  show();
}

const errorAt = (at) => Math.abs(denoised.data[at] - clean.data[at]);
const percent = (inside, count) => `${((100 * inside) / count).toFixed(1)} %`;

function show() {
  paintPhoto(find("noisy"), noisy);
  markLine(find("noisy"));
  paintPhoto(find("denoised"), denoised);
  const widest = Math.max(...widths);
  paintPhoto(find("widths"), { ...denoised, data: widths.map((width) => width / widest) });
  find("widths-text").textContent = `Half width of the bars; white is ${widest.toFixed(2)}`;
  paintOutside();
  const inside = widths.map((width, at) => errorAt(at) <= width);
  find("inside").textContent = percent(inside.reduce((sum, each) => sum + each, 0), inside.length);
  const middle = Float64Array.from(pixels.variety).sort()[Math.floor(inside.length / 2)];
  for (const [id, belongs] of [["inside-flat", (each) => each <= middle], ["inside-busy", (each) => each > middle]]) {
    const chosen = inside.filter((_, at) => belongs(pixels.variety[at]));
    find(id).textContent = percent(chosen.reduce((sum, each) => sum + each, 0), chosen.length);
  }
  showOwn();
  drawLine();
}

function markLine(canvas) {
  const context = canvas.getContext("2d");
  context.fillStyle = colour("probe");
  context.fillRect(0, line, canvas.width, 1);
}

function paintOutside() {
  const canvas = find("outside");
  paintPhoto(canvas, { ...denoised, data: denoised.data.map((value) => 0.5 * value) });
  const context = canvas.getContext("2d");
  context.fillStyle = "#ff8a3d";
  widths.forEach((width, at) => errorAt(at) > width && context.fillRect(at % canvas.width, Math.floor(at / canvas.width), 1, 1));
}

// Bars, answer and truth along the line.
function drawLine() {
  const { context, width, height } = sharpen(find("profile")), length = clean.width, from = line * length;
  const across = (x) => ((x + 0.5) / length) * width, up = (value) => height * (1 - clamp((value + 0.1) / 1.2, 0, 1));
  context.fillStyle = colour("density");
  context.globalAlpha = 0.7;
  for (let x = 0; x < length; x++) {
    const value = denoised.data[from + x], half = widths[from + x];
    context.fillRect(across(x - 0.5), up(value + half), width / length + 0.4, up(value - half) - up(value + half));
  }
  context.globalAlpha = 1;
  context.strokeStyle = colour("curve");
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = 0; x < length; x++) context.lineTo(across(x), up(denoised.data[from + x]));
  context.stroke();
  for (let x = 0; x < length; x++) {
    const outside = errorAt(from + x) > widths[from + x];
    context.fillStyle = colour(outside ? "probe" : "ink");
    context.beginPath();
    context.arc(across(x), up(clean.data[from + x]), outside ? 3 : 1.4, 0, 7);
    context.fill();
  }
}

// Bars of one factor, found on the left half of the photograph and tried on the right one.
function showOwn() {
  if (!denoised) return;
  const left = [], right = [];
  for (let at = 0; at < clean.data.length; at++) (at % clean.width < clean.width / 2 ? left : right).push(at);
  const strengths = left.map((at) => pixels.strength[at]);
  const factor = fitFactor(left.map(errorAt), strengths, share() / 100);
  const inside = right.filter((at) => errorAt(at) <= factor * pixels.strength[at]).length;
  find("factor").textContent = factor.toFixed(3);
  find("own-inside").textContent = percent(inside, right.length);
}

followPointer(find("noisy"), { at: () => [0, line], use: (_, y) => {
  if (!denoised) return;
  line = clamp(y, 0, clean.height - 1);
  paintPhoto(find("noisy"), noisy);
  markLine(find("noisy"));
  drawLine();
} });

await renew();
watchColours(show);
document.body.dataset.ready = "";
