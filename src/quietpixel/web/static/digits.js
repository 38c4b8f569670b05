// The tab that shows how the autoencoder works: drawing, noise, convolutions, code and reconstruction.

import { GLYPHS } from "./glyphs.js";
import { Pad } from "./pad.js";
import { readComponents } from "./components.js";
import { setText } from "./text.js";
import { normals } from "./normals.js";
import { Walk, grayPixels } from "./walk.js";

const SIDE = 28;
const LEAST_SCALE = 10; // most codes of MNIST lie between -10 and 10, but some reach 28

const find = (id) => document.getElementById(id);

export function startDigits(engine, model) {
  if (!model) {
    find("tab-digits").hidden = true;
    return;
  }
  // Not before the tab is looked at, because a browser without service loads the model for it.
  const panel = find("digits"), begin = () => new Digits(engine);
  if (panel.hidden) panel.addEventListener("shown", begin, { once: true });
  else begin();
}

// The elements of the page are found by their ids; the lessons of the documentation have the same.
export class Digits {
  constructor(engine) {
    this.engine = engine;
    this.pad = new Pad(find("pad"));
    this.seed = 1;
    this.code = [];
    readComponents().then((components) => {
      this.components = components;
      this.compare();
    });
    new Walk(engine);
    GLYPHS.forEach((strokes, digit) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
      button.setAttribute("aria-label", `Example: ${digit}`);
      button.addEventListener("click", () => this.pad.draw(strokes));
      find("examples").append(button);
    });
    this.pad.addEventListener("drawn", () => this.encode());
    find("wipe").addEventListener("click", () => this.pad.wipe());
    find("noise").addEventListener("input", () => this.encode());
    find("again").addEventListener("click", () => {
      this.seed++;
      this.encode();
    });
    find("restore").addEventListener("click", () => this.encode());
    this.pad.draw(GLYPHS[3]);
  }

  // The drawing, and the same with noise.
  readPad() {
    const sigma = Number(find("noise").value), normal = normals(this.seed);
    find("noise-value").textContent = sigma.toFixed(2);
    this.clean = this.pad.read();
    this.noisy = this.clean.map((value) => Math.min(1, Math.max(0, value + sigma * normal())));
  }

  encode() {
    this.readPad();
    paint(find("noisy"), this.noisy);
    this.compare();
    this.ask({ image: [...this.noisy].map((value) => Number(value.toFixed(4))) }, (answer) => {
      this.found = answer.code;
      this.showCode(answer.code);
      paintMaps(find("first"), answer.first ?? [], { side: 14, columns: 8, rows: 4 });
      paintMaps(find("second"), answer.second ?? [], { side: 7, columns: 16, rows: 16 });
      this.showDrawn(answer.image, "What the decoder draws from the encoder's numbers.");
    });
  }

  decode() {
    const changed = this.code.filter((value, at) => Math.abs(value - this.found[at]) > 0.05).length;
    const words = changed === 1 ? "one number" : `${changed} numbers`;
    this.ask({ code: this.code }, (answer) => {
      this.showDrawn(answer.image, changed ? `With ${words} changed.` : "What the decoder draws from the encoder's numbers.");
    });
  }

  // One request runs at a time; of those that come meanwhile only the last is kept.
  async ask(question, use) {
    this.waiting = [question, use];
    if (this.asking) return;
    this.asking = true;
    find("drawn-text").textContent ||= "Waiting for the network.";
    while (this.waiting) {
      const [what, then] = this.waiting;
      this.waiting = null;
      try {
        then(await this.engine.digit(what));
      } catch (error) {
        find("drawn-text").textContent = error.message;
      }
    }
    this.asking = false;
  }

  showCode(code) {
    if (!this.sliders) this.makeSliders(code.length);
    this.code = [...code];
    this.setScale(Math.max(LEAST_SCALE, ...code.map((value) => Math.ceil(1.1 * Math.abs(value)))));
    code.forEach((value, at) => this.showNumber(at, value));
    find("restore").disabled = true;
  }

  makeSliders(length) {
    this.sliders = Array.from({ length }, (_, at) => {
      const slider = Object.assign(document.createElement("input"),
        { type: "range", step: 0.1, id: `code-${at}` });
      slider.setAttribute("aria-label", `Number ${at + 1} of the code`);
      slider.setAttribute("aria-orientation", "vertical");
      const output = document.createElement("output");
      output.setAttribute("for", slider.id);
      output.setAttribute("aria-live", "off"); // all sixteen change at once
      const column = Object.assign(document.createElement("div"), { className: "number" });
      column.append(slider, output);
      find("code").append(column);
      slider.addEventListener("input", () => {
        this.code[at] = Number(slider.value);
        this.showNumber(at, this.code[at]);
        find("restore").disabled = false;
        this.decode();
      });
      return { slider, output, column };
    });
  }

  // One scale for all, so that the bars can be compared.
  setScale(most) {
    this.most = most;
    for (const { slider } of this.sliders) Object.assign(slider, { min: -most, max: most });
  }

  showNumber(at, value) {
    const { slider, output, column } = this.sliders[at];
    if (Number(slider.value) !== value) slider.value = value;
    slider.style.setProperty("--at", `${50 + (50 * value) / this.most}%`);
    output.textContent = value.toFixed(1);
    column.classList.toggle("changed", Math.abs(value - this.found[at]) > 0.05);
  }

  // The same noisy digit through principal components.
  compare() {
    if (!this.components || !this.noisy) return;
    const drawn = this.components.reconstruct(this.noisy);
    paint(find("linear"), drawn);
    find("linear-error").textContent = this.describeError(drawn);
  }

  describeError(drawn) {
    const squares = this.clean.reduce((sum, value, at) => sum + (value - drawn[at]) ** 2, 0);
    return `Difference from your drawing: ${Math.sqrt(squares / this.clean.length).toFixed(3)}`;
  }

  showDrawn(image, text) {
    paint(find("drawn"), image);
    find("drawn-error").textContent = this.describeError(image);
    setText(find("drawn-text"), text);
  }
}

function paint(canvas, image) {
  canvas.getContext("2d").putImageData(grayPixels(image, SIDE, SIDE), 0, 0);
}

// Small pictures side by side, with lines between them. The brightest value of each is white, unless it
// is faint beside those of the others.
function paintMaps(canvas, values, { side, columns, rows }) {
  Object.assign(canvas, { width: columns * (side + 1) - 1, height: rows * (side + 1) - 1 });
  const highest = (map) => map.reduce((most, value) => Math.max(most, value), 1e-6);
  const least = 0.2 * highest(values), context = canvas.getContext("2d");
  context.fillStyle = "#444"; // lines between the maps
  if (values.length) context.fillRect(0, 0, canvas.width, canvas.height);
  for (let at = 0; at * side * side < values.length; at++) {
    const map = values.slice(at * side * side, (at + 1) * side * side), white = Math.max(highest(map), least);
    context.putImageData(grayPixels(map.map((value) => value / white), side, side), (at % columns) * (side + 1), Math.floor(at / columns) * (side + 1));
  }
}
