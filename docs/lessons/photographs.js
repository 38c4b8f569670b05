// Lesson 4: a narrow code against skip connections, and how far a network sees.

import { normals } from "./engine/static/normals.js";
import { bindSlider, cardOf, colour, find, latest, meanSquare, openEngine, paintGray, sharpen, watchColours } from "./lesson.js";
import { addNoise, clamp, followPointer, paintPhoto, readPhoto } from "./photo.js";
import { SIDE, cutSquare, errorsByCount, keepNumbers } from "./squares.js";

const MODEL = "photo";
const ERASED = 0.5; // gray, in place of what the network must not see

const clean = await readPhoto();
const engine = await openEngine();
const reach = cardOf(engine, MODEL).halo;
let square = { left: 84, top: 56, side: SIDE }, pixel = { x: 98, y: 70 };
let noisy, denoised, errors;

const sigma = bindSlider("sigma", (value) => value.toFixed(2), latest(addNewNoise));
const count = bindSlider("count", (value) => numbersOf(value), latest(showNumbers));
const visible = bindSlider("visible", (value) => `${value} × ${value}`, latest(showReach));
find("measure").addEventListener("click", latest(measureReach));

function numbersOf(place) {
  return Math.round(2 ** place);
}

async function denoise(image) {
  const { data } = await engine.denoiseArray({ ...image, data: image.data.slice() }, { model: MODEL, sigma: sigma() });
  return { ...image, data };
}

async function addNewNoise() {
  const image = addNoise(clean, sigma(), normals(1)), answer = await denoise(image);
  [noisy, denoised, errors] = [image, answer, errorsByCount(clean, image)]; // together, since sliders move meanwhile
  await showNumbers();
  await showReach();
  find("reach-curve").replaceChildren();
}

const rootOf = (square) => Math.sqrt(square).toFixed(3);

async function showNumbers() {
  if (!denoised) return;
  const kept = keepNumbers(noisy, numbersOf(count()));
  paintPhoto(find("photo-noisy"), noisy, square, colour("probe"));
  paintPhoto(find("photo-kept"), kept);
  paintPhoto(find("photo-denoised"), denoised);
  find("noisy-error").textContent = `Noisy: error ${rootOf(meanSquare(noisy.data, clean.data))}`;
  find("kept-error").textContent = `${numbersOf(count())} numbers a square: error ${rootOf(meanSquare(kept.data, clean.data))}`;
  find("denoised-error").textContent = `Skip connections: error ${rootOf(meanSquare(denoised.data, clean.data))}`;
  drawCurve();
  const cut = (image) => cutSquare(image, square.left, square.top);
  for (const [id, image] of [["square-clean", clean], ["square-noisy", noisy], ["square-denoised", denoised]]) paintGray(find(id), cut(image), SIDE);
  // A code belongs to a square wherever it lies, so this one is kept by itself.
  paintGray(find("square-kept"), keepNumbers({ data: cut(noisy), width: SIDE, height: SIDE }, numbersOf(count())).data, SIDE);
  paintGray(find("square-digit"), (await engine.digit({ image: [...cut(noisy)].map((value) => clamp(value, 0, 1)) })).image, SIDE);
}

// Errors by how many numbers are kept, on a logarithmic axis.
function drawCurve() {
  const { context, width, height } = sharpen(find("curve")), most = SIDE * SIDE;
  const left = 34, bottom = height - 30, top = 8, right = width - 8;
  const totals = errors.lost.map((value, at) => Math.sqrt(value + errors.kept[at]));
  const highest = 1.1 * Math.max(totals[1], totals[most]);
  const across = (numbers) => left + ((right - left) * Math.log(numbers)) / Math.log(most);
  const up = (error) => bottom - ((bottom - top) * Math.min(error, highest)) / highest;
  const line = (name, errorAt, dashes = []) => {
    context.strokeStyle = colour(name);
    context.lineWidth = 2;
    context.setLineDash(dashes);
    context.beginPath();
    for (let numbers = 1; numbers <= most; numbers++) context.lineTo(across(numbers), up(errorAt(numbers)));
    context.stroke();
    context.setLineDash([]);
  };
  line("arrow", (numbers) => Math.sqrt(errors.lost[numbers]), [3, 4]);
  line("kept", (numbers) => Math.sqrt(errors.kept[numbers]), [8, 4]);
  line("probe", (numbers) => totals[numbers]);
  line("curve", () => Math.sqrt(meanSquare(denoised.data, clean.data)));
  context.fillStyle = colour("probe");
  context.beginPath();
  context.arc(across(numbersOf(count())), up(totals[numbersOf(count())]), 6, 0, 7);
  context.fill();
  context.fillStyle = colour("soft");
  context.font = "12px sans-serif";
  for (const numbers of [1, 4, 16, 64, 256, 784]) context.fillText(numbers, clamp(across(numbers) - 6, left, right - 22), bottom + 16);
  for (const error of [0, 0.05, 0.1, 0.15, 0.2, 0.25].filter((each) => each < highest)) context.fillText(error.toFixed(2), 2, up(error) + 4);
}

// The photograph with gray wherever a pixel is farther than `distance` from the chosen one.
function erase(distance) {
  const { width } = noisy, { x, y } = pixel;
  const near = (at) => Math.max(Math.abs((at % width) - x), Math.abs(Math.floor(at / width) - y)) <= distance;
  return { ...noisy, data: noisy.data.map((value, at) => (near(at) ? value : ERASED)) };
}

const valueAt = ({ data, width }) => data[pixel.y * width + pixel.x];

async function showReach() {
  if (!denoised) return;
  const distance = (visible() - 1) / 2, seen = erase(distance);
  paintPhoto(find("photo-seen"), seen, { left: pixel.x - distance, top: pixel.y - distance, side: visible() }, colour("probe"));
  const whole = valueAt(denoised), part = valueAt(await denoise(seen));
  find("whole-value").textContent = whole.toFixed(5);
  find("part-value").textContent = part.toFixed(5);
  find("difference").textContent = Math.abs(whole - part).toFixed(5);
}

async function measureReach() {
  if (!denoised) return;
  find("reach-curve").replaceChildren();
  for (const distance of [0, 1, 2, 4, 8, 16, 32, reach]) {
    const difference = Math.abs(valueAt(await denoise(erase(distance))) - valueAt(denoised));
    const row = find("reach-curve").insertRow();
    row.insertCell().textContent = `${2 * distance + 1} × ${2 * distance + 1}`;
    row.insertCell().textContent = difference.toFixed(5);
  }
}

followPointer(find("photo-noisy"), { at: () => [square.left + SIDE / 2, square.top + SIDE / 2], use: (x, y) => {
  square = { side: SIDE, left: clamp(x - SIDE / 2, 0, clean.width - SIDE), top: clamp(y - SIDE / 2, 0, clean.height - SIDE) };
  showSquare();
} });
const showSquare = latest(showNumbers), showPixel = latest(showReach);
followPointer(find("photo-seen"), { at: () => [pixel.x, pixel.y], use: (x, y) => {
  pixel = { x: clamp(x, 0, clean.width - 1), y: clamp(y, 0, clean.height - 1) };
  find("reach-curve").replaceChildren();
  showPixel();
} });

Object.assign(find("visible"), { max: 2 * reach + 1 });
for (const each of document.querySelectorAll(".reach")) each.textContent = reach;
for (const each of document.querySelectorAll(".field-side")) each.textContent = `${2 * reach + 1} × ${2 * reach + 1}`;
await addNewNoise();
watchColours(() => showSquare());
document.body.dataset.ready = "";
