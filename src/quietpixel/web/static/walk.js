// The walk between the codes of two digits.

import { GLYPHS } from "./glyphs.js";
import { Pad } from "./pad.js";

const SIDE = 28, STEPS = 9, GAP = 1;

const find = (id) => document.getElementById(id);

export class Walk {
  constructor(engine) {
    this.engine = engine;
    this.pad = new Pad(Object.assign(document.createElement("canvas"), { width: 280, height: 280 }));
    for (const [id, digit] of [["walk-from", 4], ["walk-to", 9]]) {
      find(id).append(...GLYPHS.map((_, at) => new Option(at, at)));
      find(id).value = digit;
      find(id).addEventListener("change", () => this.show());
    }
    this.show();
  }

  async show() {
    const run = (this.run = {}); // a later change takes over
    const ends = [find("walk-from"), find("walk-to")].map(({ value }) => this.draw(value));
    this.paint(find("fade"), ends);
    try {
      const codes = [];
      for (const image of ends) codes.push((await this.engine.digit({ image: [...image] })).code);
      const images = [];
      for (let step = 0; step < STEPS && run === this.run; step++) {
        images.push((await this.engine.digit({ code: mix(...codes, step / (STEPS - 1)) })).image);
      }
      if (run === this.run) this.paint(find("walk"), images);
    } catch {
      // The drawing above says what is wrong.
    }
  }

  draw(digit) {
    this.pad.draw(GLYPHS[digit]);
    return this.pad.read();
  }

  // Paints `STEPS` images, or the two ends faded into each other.
  paint(canvas, images) {
    Object.assign(canvas, { width: STEPS * (SIDE + GAP) - GAP, height: SIDE });
    for (let step = 0; step < STEPS; step++) {
      const image = images.length === STEPS ? images[step] : mix(...images, step / (STEPS - 1));
      canvas.getContext("2d").putImageData(grayPixels(image, SIDE, SIDE), step * (SIDE + GAP), 0);
    }
  }
}

const mix = (first, second, share) => Array.from(first, (value, at) => (1 - share) * value + share * second[at]);

export function grayPixels(values, width, height) {
  const pixels = new ImageData(width, height);
  values.forEach((value, at) => pixels.data.set([255 * value, 255 * value, 255 * value, 255], 4 * at));
  return pixels;
}
