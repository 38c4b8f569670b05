// The stage: before and after of one image, zoomed and moved together. Only what has been computed
// with the present settings is shown as "after"; the rest is veiled.

import { difference } from "./difference.js";
import { setText } from "./text.js";

const SMALLEST = 0.02, LARGEST = 32;
const NAVIGATOR = 160; // pixels of the longer side of the small image of the whole

export class Stage extends EventTarget {
  constructor({ stage, canvas, split, zoom, navigator, covers = false }) {
    super();
    Object.assign(this, { stage, canvas, splitter: split, readout: zoom, navigator, covers });
    this.context = canvas.getContext("2d");
    this.mode = "compare";
    this.held = false; // whether the original covers all, for as long as a key or button is held
    this.reference = null; // in place of the original on the left: {image, x, y}, without `image` none yet
    this.before = null;
    this.result = null; // {image, x, y, isWhole}: at this place of the original, denoised
    this.outdated = false; // whether `result` was computed with other settings
    this.scale = 1; // pixels of the screen for one of the image
    this.centre = { x: 0, y: 0 }; // point of the image in the middle of the stage
    this.fitted = true;
    this.gain = 1;
    split.addEventListener("input", () => this.draw());
    for (const name of ["pointerdown", "pointermove"]) navigator.addEventListener(name, (event) => this.navigate(event));
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
    if (this.fitted || !this.before) this.fit();
    else {
      this.keepInside();
      this.moved();
    }
  }

  // Shows another image, pixel by pixel around the point that `place()` returns if it is larger
  // than the stage: noise averages out in an image that is made smaller. null shows none.
  open(before, place) {
    this.before = before;
    this.result = this.thumb = null;
    this.stage.classList.toggle("empty", !before);
    if (!before) {
      this.draw();
      return;
    }
    this.fit();
    if (this.scale < 1) {
      this.centre = place();
      this.scale = 1;
      this.fitted = false;
      this.keepInside();
      this.moved();
    }
  }

  show(result, outdated = false) {
    Object.assign(this, { result, outdated });
    this.regain();
  }

  // Veils what is shown until something computed with the present settings replaces it.
  markOutdated() {
    this.outdated = true;
    this.draw();
  }

  hold(held) {
    if (held === this.held) return;
    this.held = held;
    this.stage.classList.toggle("held", held);
    this.draw();
  }

  // Shows another result on the left; null shows the original there.
  showReference(reference) {
    this.reference = reference;
    this.draw();
  }

  // How much of the right side has been computed with the present settings.
  get computed() { return this.outdated ? "none" : this.coverage(this.result); }

  // How much an image at a place shows: the "whole", the "view", "part" of the view, "none".
  coverage(placed) {
    if (!placed?.image) return "none";
    const { image, x, y, isWhole } = placed, seen = this.visible;
    if (isWhole) return "whole";
    const covers = x <= seen.x && y <= seen.y && x + image.width >= seen.x + seen.width &&
      y + image.height >= seen.y + seen.height;
    return covers ? "view" : "part";
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
    // Small images are enlarged by whole numbers where the screen's pixels are coarse enough to tell.
    const ratios = [this.canvas.width / width, this.canvas.height / height], room = Math.min(...ratios);
    this.scale = this.covers ? Math.max(...ratios) : room < 1 ? room : Math.min(this.ratio < 2 ? Math.floor(room) : room, 8);
    this.fitted = true;
    this.gain = 0;
    this.moved();
  }

  // Leaves no empty margin where the image is larger than the stage.
  keepInside() {
    const half = { x: this.canvas.width / 2 / this.scale, y: this.canvas.height / 2 / this.scale };
    this.centre.x = clamp(this.centre.x, Math.min(half.x, this.size.width / 2), Math.max(this.size.width - half.x, this.size.width / 2));
    this.centre.y = clamp(this.centre.y, Math.min(half.y, this.size.height / 2), Math.max(this.size.height - half.y, this.size.height / 2));
  }

  // Zooms so that the point of the screen `at` stays where it is.
  zoomTo(scale, at) {
    if (!this.before) return;
    const point = at ?? { x: this.canvas.width / 2, y: this.canvas.height / 2 };
    const held = this.toImage(point);
    this.scale = Math.min(Math.max(scale, SMALLEST), LARGEST);
    this.centre.x = held.x - (point.x - this.canvas.width / 2) / this.scale;
    this.centre.y = held.y - (point.y - this.canvas.height / 2) / this.scale;
    this.fitted = false;
    this.gain = 0; // noise averages out in an image that is made smaller
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
    setText(this.readout, `${percent(this.scale)} %`);
    this.draw();
    this.dispatchEvent(new Event("moved"));
  }

  toImage({ x, y }) {
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

  // The part of the image in view, in whole pixels.
  get visible() {
    const from = this.toImage({ x: 0, y: 0 });
    const to = this.toImage({ x: this.canvas.width, y: this.canvas.height });
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
    this.navigator.hidden = true;
    if (!this.before) return;
    if (this.mode === "difference" && !this.held && this.computed !== "none") this.paintDifference();
    else this.paintCompared();
    this.paintNavigator();
    this.dispatchEvent(new Event("painted"));
    if (this.result && this.thumb === null) onScreen().then(() => this.drawNavigator());
  }

  paintCompared() {
    const { context, canvas } = this;
    this.place(context, this.original);
    if (this.held) return;
    const border = (canvas.width * this.splitter.value) / 100;
    if (this.reference) {
      this.clip(0, border, () => {
        this.veil(this.original);
        if (this.reference.image) this.place(context, this.reference);
      });
    }
    this.clip(border, canvas.width - border, () => this.paintAfter());
  }

  clip(left, width, paint) {
    const { context, canvas } = this;
    context.save();
    context.beginPath();
    context.rect(left, 0, width, canvas.height);
    context.clip();
    paint();
    context.restore();
  }

  paintAfter() {
    const { result } = this;
    if (this.computed !== "whole" && this.computed !== "view") this.veil(this.original);
    if (!result) return;
    this.place(this.context, result);
    if (this.outdated) this.veil(result);
  }

  get original() { return { image: this.before, x: 0, y: 0 }; }

  // Where an image at a place of the whole lies on the screen.
  area({ image, x, y }) {
    const from = this.toScreen({ x, y });
    const to = this.toScreen({ x: x + image.width, y: y + image.height });
    return [from.x, from.y, to.x - from.x, to.y - from.y];
  }

  veil(placed) {
    this.context.fillStyle = "rgb(24 28 32 / .55)";
    this.context.fillRect(...this.area(placed));
  }

  place(context, placed) {
    const area = this.area(placed);
    context.clearRect(...area);
    context.imageSmoothingEnabled = this.scale < 2;
    context.imageSmoothingQuality = this.scale < 1 ? "high" : "medium";
    context.drawImage(placed.image, ...area);
  }

  paintDifference() {
    const { width, height } = this.canvas;
    const first = this.layer(width, height, this.original), second = this.layer(width, height, this.original, this.result);
    const { image, gain } = difference(first, second, this.gain);
    this.gain = gain;
    this.context.putImageData(image, 0, 0);
  }

  // Not before something is denoised: making a large image small blocks the page meanwhile.
  async drawNavigator() {
    if (this.thumb !== null || !this.before) return;
    this.thumb = undefined; // in work
    const { before } = this;
    const scale = NAVIGATOR / Math.max(before.width, before.height);
    const size = (length) => Math.max(1, Math.round(length * scale));
    const thumb = await createImageBitmap(before, {
      resizeWidth: size(before.width), resizeHeight: size(before.height), resizeQuality: "medium",
    });
    if (before !== this.before) return;
    this.thumb = thumb;
    this.draw();
  }

  // The whole image in a corner with a frame around the part in view; hidden where all is in view.
  paintNavigator() {
    const { navigator, thumb } = this, seen = this.visible;
    navigator.hidden = !thumb || (seen.width >= this.size.width && seen.height >= this.size.height);
    if (navigator.hidden) return;
    Object.assign(navigator, { width: thumb.width, height: thumb.height });
    const context = navigator.getContext("2d"), scale = thumb.width / this.size.width;
    context.drawImage(thumb, 0, 0);
    context.lineWidth = 2;
    const frame = [seen.x, seen.y, seen.width, seen.height].map((value) => value * scale);
    for (const [colour, inset] of [["#000", 0], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.strokeRect(frame[0] + inset, frame[1] + inset, Math.max(frame[2] - 2 * inset, 1), Math.max(frame[3] - 2 * inset, 1));
    }
  }

  navigate(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    event.stopPropagation();
    const box = this.navigator.getBoundingClientRect();
    this.centre = {
      x: ((event.clientX - box.left) / box.width) * this.size.width,
      y: ((event.clientY - box.top) / box.height) * this.size.height,
    };
    this.fitted = false;
    this.keepInside();
    this.moved();
  }

  layer(width, height, ...images) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    for (const placed of images) this.place(context, placed);
    return context.getImageData(0, 0, width, height);
  }
}

// Resolves once what has been drawn is on the screen.
export const onScreen = () => new Promise((resolve) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)));
  setTimeout(resolve, 200); // a page in the background has no frames
});

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const percent = (scale) => (scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100));
