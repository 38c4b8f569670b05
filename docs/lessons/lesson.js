// What the lessons share: the engine, colours, sliders and small pictures.

import { BrowserEngine } from "./engine/static/browser_engine.js";
import { grayPixels } from "./engine/static/walk.js";

export const find = (id) => document.getElementById(id);

// The engine of `quietpixel page --static`; `setup` holds the cards of its models.
export async function openEngine() {
  find("notice").textContent = "Loading the models…";
  const engine = new BrowserEngine();
  try {
    engine.settings = await engine.setup();
  } catch (error) {
    find("notice").textContent = `The models of this lesson are missing or do not start (${error.message}). Build the documentation with make docs.`;
    throw error;
  }
  find("notice").hidden = true;
  return engine;
}

export const cardOf = (engine, name) => engine.settings.models.find((card) => card.name === name);

// A slider whose value stands in the output beside it; returns a function that reads it.
export function bindSlider(id, format, onInput) {
  const slider = find(id), show = () => (find(`${id}-value`).textContent = format(Number(slider.value)));
  slider.addEventListener("input", () => {
    show();
    onInput();
  });
  show();
  return () => Number(slider.value);
}

// Calls of `work` do not overlap; of those that come meanwhile only the last one runs.
export function latest(work) {
  let running = false, waiting = false;
  return async () => {
    waiting = true;
    if (running) return;
    running = true;
    while (waiting) {
      waiting = false;
      await Promise.resolve().then(work).catch((error) => {
        find("notice").hidden = false;
        find("notice").textContent = error.message;
      });
    }
    running = false;
  };
}

export function paintGray(canvas, values, width, height = width) {
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(grayPixels(values, width, height), 0, 0);
}

export const meanSquare = (values, others) =>
  values.reduce((sum, value, at) => sum + (value - others[at]) ** 2, 0) / values.length;

// Colours of the page, light or dark; `redraw` is called when they change.
export function watchColours(redraw) {
  new MutationObserver(redraw).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  addEventListener("resize", redraw);
}

export const colour = (name) => getComputedStyle(document.querySelector(".lesson")).getPropertyValue(`--${name}`).trim();

// A canvas of the size in which it stands on the page, for lines and text as sharp as the screen.
export function sharpen(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}
