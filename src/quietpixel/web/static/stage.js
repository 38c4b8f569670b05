// The stage: before and after of one picture, zoomed and moved together.

import { difference } from "./difference.js";

const SMALLEST = 0.02, LARGEST = 32;

export class Stage extends EventTarget {
  constructor({ stage, canvas, split, zoom }) {
    super();
    Object.assign(this, { stage, canvas, splitter: split, readout: zoom });
    this.context = canvas.getContext("2d");
    this.mode = "compare";
    this.before = this.after = this.patch = null; // patch: {image, x, y}, in place of `after`
    this.scale = 1; // pixels of the screen for one of the picture
    this.centre = { x: 0, y: 0 }; // point of the picture in the middle of the stage
    this.fitted = true;
    this.gain = 1;
    split.addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.resize()).observe(stage);
    this.resize();
  }

  get ratio() { return window.devicePixelRatio || 1; }
  get size() { return this.before && { width: this.before.width, height: this.before.height }; }

  resize() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width) return;
    this.canvas.width = Math.round(box.width * this.ratio);
    this.canvas.height = Math.round(box.height * this.ratio);
    if (this.fitted) this.fit();
    else this.moved();
  }

  // Shows another picture; null shows none.
  open(before) {
    this.before = before;
    this.after = this.patch = null;
    this.stage.classList.toggle("empty", !before);
    if (before) this.fit();
    else this.draw();
  }

  showAfter(image) {
    this.after = image;
    this.patch = null;
    this.regain();
  }

  showPatch(patch) {
    this.patch = patch;
    this.regain();
  }

  setMode(mode) {
    this.mode = mode;
    this.stage.dataset.mode = mode;
    this.regain();
  }

  regain() {
    this.gain = 0; // found again from what is in view
    this.draw();
  }

  fit() {
    if (!this.before) return;
    const { width, height } = this.size;
    this.centre = { x: width / 2, y: height / 2 };
    // Small pictures are shown pixel by pixel, in whole numbers, up to a third of the stage's size.
    const room = Math.min(this.canvas.width / width, this.canvas.height / height);
    this.scale = room > 1.5 ? Math.max(1, Math.min(Math.floor(room), 8)) : Math.min(room, 1);
    this.fitted = true;
    this.moved();
  }

  // Zooms so that the point of the screen `at` stays where it is.
  zoomTo(scale, at) {
    if (!this.before) return;
    const point = at ?? { x: this.canvas.width / 2, y: this.canvas.height / 2 };
    const held = this.toPicture(point);
    this.scale = Math.min(Math.max(scale, SMALLEST), LARGEST);
    this.centre.x = held.x - (point.x - this.canvas.width / 2) / this.scale;
    this.centre.y = held.y - (point.y - this.canvas.height / 2) / this.scale;
    this.fitted = false;
    this.moved();
  }

  moveBy(x, y) {
    this.centre.x -= x / this.scale;
    this.centre.y -= y / this.scale;
    this.fitted = false;
    this.moved();
  }

  moved() {
    if (this.before) {
      this.centre.x = clamp(this.centre.x, 0, this.size.width);
      this.centre.y = clamp(this.centre.y, 0, this.size.height);
    }
    this.readout.textContent = `${percent(this.scale)} %`;
    this.draw();
    this.dispatchEvent(new Event("moved"));
  }

  toPicture({ x, y }) {
    return {
      x: this.centre.x + (x - this.canvas.width / 2) / this.scale,
      y: this.centre.y + (y - this.canvas.height / 2) / this.scale,
    };
  }

  toScreen({ x, y }) {
    return {
      x: Math.round((x - this.centre.x) * this.scale + this.canvas.width / 2),
      y: Math.round((y - this.centre.y) * this.scale + this.canvas.height / 2),
    };
  }

  // The part of the picture in view, in whole pixels.
  get visible() {
    const from = this.toPicture({ x: 0, y: 0 });
    const to = this.toPicture({ x: this.canvas.width, y: this.canvas.height });
    const x = Math.max(0, Math.floor(from.x)), y = Math.max(0, Math.floor(from.y));
    return {
      x, y,
      width: Math.max(0, Math.min(this.size.width, Math.ceil(to.x)) - x),
      height: Math.max(0, Math.min(this.size.height, Math.ceil(to.y)) - y),
    };
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.before) return;
    if (this.mode === "taken" && (this.after || this.patch)) this.paintTaken();
    else this.paintCompared();
    this.dispatchEvent(new Event("painted"));
  }

  paintCompared() {
    const { context, canvas } = this;
    this.place(context, this.before, 0, 0);
    if (this.mode !== "compare" || !(this.after || this.patch)) return;
    const border = (canvas.width * this.splitter.value) / 100;
    context.save();
    context.beginPath();
    context.rect(border, 0, canvas.width - border, canvas.height);
    context.clip();
    this.placeAfter(context);
    context.restore();
    if (this.patch) this.frameOf(this.patch);
  }

  placeAfter(context) {
    if (this.patch) this.place(context, this.patch.image, this.patch.x, this.patch.y);
    else this.place(context, this.after, 0, 0);
  }

  place(context, image, x, y) {
    const from = this.toScreen({ x, y });
    const to = this.toScreen({ x: x + image.width, y: y + image.height });
    context.clearRect(from.x, from.y, to.x - from.x, to.y - from.y);
    context.imageSmoothingEnabled = this.scale < 2;
    context.imageSmoothingQuality = this.scale < 1 ? "high" : "medium";
    context.drawImage(image, from.x, from.y, to.x - from.x, to.y - from.y);
  }

  // A thin frame around a preview that is smaller than what is in view.
  frameOf({ image, x, y }) {
    const seen = this.visible;
    const whole = x <= seen.x && y <= seen.y && x + image.width >= seen.x + seen.width &&
      y + image.height >= seen.y + seen.height;
    if (whole) return;
    const from = this.toScreen({ x, y });
    const to = this.toScreen({ x: x + image.width, y: y + image.height });
    this.context.strokeStyle = "rgb(255 255 255 / .8)";
    this.context.lineWidth = this.ratio;
    this.context.strokeRect(from.x + 0.5, from.y + 0.5, to.x - from.x - 1, to.y - from.y - 1);
  }

  paintTaken() {
    const { width, height } = this.canvas;
    const first = this.layer(width, height, (context) => this.place(context, this.before, 0, 0));
    const second = this.layer(width, height, (context) => {
      this.place(context, this.before, 0, 0);
      this.placeAfter(context);
    });
    const { image, gain } = difference(first, second, this.gain);
    this.gain = gain;
    this.context.putImageData(image, 0, 0);
  }

  layer(width, height, paint) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    paint(context);
    return context.getImageData(0, 0, width, height);
  }
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const percent = (scale) => (scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100));
