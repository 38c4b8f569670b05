// Lesson 3: from noise to a digit, and many climbs from one start.

import { GLYPHS } from "./engine/static/glyphs.js";
import { normals } from "./engine/static/normals.js";
import { Pad } from "./engine/static/pad.js";
import { climb } from "./climb.js";
import { bindSlider, find, latest, openEngine, paintGray } from "./lesson.js";

const SIDE = 28, SHOWN = 6, CLIMBS = 6;
const MEAN = 0.13; // of a pixel of MNIST

const engine = await openEngine();
const pad = new Pad(Object.assign(document.createElement("canvas"), { width: 280, height: 280 }));
const compute = latest(showAll);
const steps = bindSlider("steps", String, restart);
const sigma = bindSlider("sigma", (value) => value.toFixed(2), restart);
GLYPHS.forEach((_, digit) => find("start").append(new Option(`a drawn ${digit} under noise`, digit)));
find("start").addEventListener("change", restart);
find("fresh").addEventListener("change", restart);
find("again").addEventListener("click", () => {
  seed++;
  restart();
});
find("climbs").addEventListener("click", latest(showMany));
const noiseOfSteps = (seed) => (find("fresh").checked ? normals(seed) : () => 0);
let seed = 1, wanted = 0; // how often something was moved: a climb for what stood before is given up

function restart() {
  wanted++;
  return compute();
}

async function denoise(image) {
  const { data } = await engine.denoiseArray({ data: Float32Array.from(image), width: SIDE, height: SIDE, channels: 1 }, { model: "digit-levels" });
  return data;
}

function startImage() {
  const chosen = find("start").value, normal = normals(seed);
  find("clean-figure").hidden = chosen === "";
  pad.draw(GLYPHS[chosen || 0]);
  const clean = chosen === "" ? new Float32Array(SIDE * SIDE).fill(MEAN) : pad.read();
  if (chosen !== "") paintGray(find("clean"), clean, SIDE);
  return clean.map((value) => value + sigma() * normal());
}

const paint = (id, image) => paintGray(find(id), image, SIDE);

async function showAll() {
  const start = startImage(), count = steps(), states = [], now = wanted;
  paint("noisy", start);
  paint("one", await denoise(start));
  find("climbed").hidden = true; // those of another start
  const result = await climb(start, denoise, { steps: count, normal: noiseOfSteps(1000 + seed), onStep: ({ step, image, level }) => {
    states.push(image);
    paint("result", image);
    find("progress").textContent = `Step ${step} of ${count}: ${level.toFixed(2)} of noise left.`;
    return now === wanted;
  } });
  if (!result) return;
  paint("result", result);
  find("progress").textContent = count === 1 ? "One step: the denoiser's plain answer." : `Done after ${count} steps.`;
  showPath([start, ...states, result]);
}

// Some states of the climb, evenly spread, the first and the last among them.
function showPath(states) {
  const strip = find("path");
  const count = Math.min(SHOWN, states.length);
  strip.replaceChildren(...Array.from({ length: count }, (_, at) => {
    const canvas = Object.assign(document.createElement("canvas"), { className: "pixels" });
    paintGray(canvas, states[Math.round((at * (states.length - 1)) / (count - 1))], SIDE);
    return canvas;
  }));
  strip.setAttribute("aria-label", `${count} pictures on the way, from the start to the result`);
}

// Several climbs from one start, which differ only in the noise added on the way.
async function showMany() {
  const start = startImage(), mean = new Float32Array(SIDE * SIDE), now = wanted;
  const canvases = [...find("many").querySelectorAll("canvas")];
  for (const canvas of canvases) canvas.getContext("2d").clearRect(0, 0, SIDE, SIDE);
  find("climbed").hidden = false;
  for (let at = 0; at < CLIMBS; at++) {
    find("many-text").textContent = `Climb ${at + 1} of ${CLIMBS}…`;
    const result = await climb(start, denoise, { steps: steps(), normal: noiseOfSteps(5000 + 100 * seed + at), onStep: () => now === wanted });
    if (!result) return void (find("many-text").textContent = "");
    paintGray(canvases[at], result, SIDE);
    result.forEach((value, pixel) => (mean[pixel] += value / CLIMBS));
  }
  paint("mean", mean);
  paint("mean-one", await denoise(start));
  find("many-text").textContent = find("fresh").checked ? "Same start, other noise on the way." : "Same start, no noise on the way: the same result.";
}

await restart();
document.body.dataset.ready = "";
