// Shows what the settings do to what is in view at once, before and after the whole picture is
// computed: the service is asked only for what no answer or result that is there can tell.

import { postBytes, query } from "./api.js";
import { decodePnm, encodePnm, mix } from "./pnm.js";

const SOON = 220; // milliseconds that the first answer may take
const GRID = 64; // sides are multiples of this, so that the engine meets few sizes
const SAMPLE = 512; // side of the square whose noise is estimated
const WAIT = 90; // milliseconds of rest before a moved picture is asked for

export class Preview {
  constructor(stage, mostPixels) {
    this.stage = stage;
    this.most = mostPixels;
    this.speed = 1500; // pixels per millisecond, measured as we go
    this.working = false;
    this.forget();
  }

  forget() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.wish = this.noisy = this.clean = this.key = null;
  }

  // Asks for the noise of the middle of a picture.
  async estimate(image) {
    const width = Math.min(SAMPLE, image.width), height = Math.min(SAMPLE, image.height);
    const part = read(image, {
      x: (image.width - width) >> 1, y: (image.height - height) >> 1, width, height,
    });
    const answer = await postBytes("/page/estimate", encodePnm(part));
    return (await answer.json()).sigma;
  }

  // Shows the part in view with these settings; `onState` gets "busy", "shown" or an error.
  // `whole`, if there is one, is the whole picture denoised at full strength: {key, image}.
  refresh(image, settings, onState, { now = false, whole = null } = {}) {
    const key = keyOf(settings);
    clearTimeout(this.timer);
    if (this.key === key && this.clean && covers(this.where, this.wanted())) {
      this.wish = null;
      this.show(settings.amount());
      return;
    }
    const known = whole?.key === key ? whole.image : null;
    this.wish = { image, settings, key, known, onState };
    this.timer = setTimeout(() => this.work(), now ? 0 : WAIT);
  }

  // One question is under way at a time: the service would only put others into its line. When the
  // answer is there, the last wish is next.
  async work() {
    if (this.working) return;
    this.working = true;
    while (this.wish) {
      const wish = this.wish;
      this.wish = null;
      await this.ask(wish);
    }
    this.working = false;
  }

  show(amount) {
    const pixels = mix(this.noisy, this.clean, amount);
    const canvas = new OffscreenCanvas(pixels.width, pixels.height);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    this.stage.showPatch({ image: canvas, x: this.where.x, y: this.where.y });
  }

  wanted() {
    return shrink(this.stage.visible, this.most);
  }

  async ask({ image, settings, key, known, onState }) {
    const running = (this.running = new AbortController());
    const all = this.wanted();
    if (known) {
      this.take(read(image, all), read(known, all), all, { key, settings });
      onState("shown");
      return;
    }
    onState("busy");
    try {
      // First what can be there at once, then all that is in view.
      const first = shrink(all, Math.max(this.speed * SOON, 192 * 192));
      const steps = area(first) < 0.8 * area(all) ? [first, all] : [all];
      for (const where of steps) {
        if (this.wish) return;
        await this.askFor(image, where, { key, settings }, running);
        onState("shown");
      }
    } catch (error) {
      if (!running.signal.aborted) onState(error);
    }
  }

  async askFor(image, where, { key, settings }, running) {
    const noisy = read(image, where);
    const start = performance.now();
    const words = query({ model: settings.model, sigma: settings.sigma, ...settings.above, format: "pnm" });
    const answer = await postBytes(`/page/preview${words}`, encodePnm(noisy), running.signal);
    const clean = decodePnm(await answer.arrayBuffer(), noisy);
    if (running.signal.aborted) throw new DOMException("stopped", "AbortError");
    this.speed = 0.5 * this.speed + 0.5 * (area(where) / (performance.now() - start));
    this.take(noisy, clean, where, { key, settings });
  }

  take(noisy, clean, where, { key, settings }) {
    Object.assign(this, { noisy, clean, where, key });
    this.show(settings.amount());
  }
}

// What decides the pixels that the service answers: `above` holds strengths, if one is above 1.
export const keyOf = ({ model, sigma, above = {} }) => JSON.stringify([model, sigma, above]);

const area = ({ width, height }) => width * height;

function covers(outer, inner) {
  return outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.width >= inner.x + inner.width &&
    outer.y + outer.height >= inner.y + inner.height;
}

// The middle of a rectangle, with at most so many pixels; sides are cut to the grid where possible.
function shrink({ x, y, width, height }, most) {
  const factor = Math.min(1, Math.sqrt(most / Math.max(width * height, 1)));
  const side = (length) => (factor === 1 ? length : Math.max(1, Math.floor((length * factor) / GRID) * GRID || length));
  const w = Math.min(width, side(width)), h = Math.min(height, side(height));
  return { x: x + ((width - w) >> 1), y: y + ((height - h) >> 1), width: w, height: h };
}

function read(image, { x, y, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, -x, -y);
  return context.getImageData(0, 0, width, height);
}
