// Shows what the settings do to the part in view, before and after the whole image is computed. The
// engine is asked only for what earlier answers and results do not contain.

import { mix } from "./pnm.js";
import { readLevelSample, readPart } from "./regions.js";

const SOON = 220; // milliseconds that the first answer may take
const GRID = 64; // sides are multiples of this, so that the engine meets few sizes
const BLENDED = 9_000_000; // most pixels that are blended from a result, which needs no engine: a screen of 3840 x 2160
const WAIT = 90; // milliseconds of rest before the part in view is asked for

export class Preview {
  constructor(engine, stage, mostPixels) {
    Object.assign(this, { engine, stage, most: mostPixels });
    this.speed = 1000; // pixels per millisecond, measured with each answer
    this.working = false;
    this.forget();
  }

  forget() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.pending = this.noisy = this.clean = this.key = null;
  }

  // Asks for the noise {sigma, kinds, channels} of an image, from the squares that its result will be based on.
  async estimate(image) {
    this.estimating?.abort(); // that of another image; `forget` is also called when a result is there
    this.estimating = new AbortController();
    return this.engine.estimate(readLevelSample(image), { signal: this.estimating.signal });
  }

  // Shows the part in view with these settings; `onState` gets "busy", "shown" or an error.
  // `whole`, if there is one, is the whole image denoised at full strength: {key, image}.
  refresh(image, settings, onState, { now = false, whole = null } = {}) {
    const key = keyOf(settings);
    clearTimeout(this.timer);
    this.latest = key;
    if (this.key === key && this.clean && covers(this.where, this.wanted())) {
      this.pending = null;
      this.show(settings.amount());
      return;
    }
    const known = whole?.key === key ? whole.image : null;
    this.pending = { image, settings, key, known, onState };
    this.timer = setTimeout(() => this.work(), now ? 0 : WAIT);
  }

  // One request runs at a time, because the engine would only queue others. After its answer the
  // latest of those that came meanwhile is next.
  async work() {
    if (this.working) return;
    this.working = true;
    while (this.pending) {
      const next = this.pending;
      this.pending = null;
      await this.ask(next);
    }
    this.working = false;
  }

  show(amount) {
    const pixels = mix(this.noisy, this.clean, amount);
    const canvas = new OffscreenCanvas(pixels.width, pixels.height);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    // While a slider moves, an answer may be for the value before; it is shown, but as outdated.
    this.stage.show({ image: canvas, x: this.where.x, y: this.where.y }, this.key !== this.latest);
  }

  wanted() {
    return shrink(this.stage.visible, this.most);
  }

  async ask({ image, settings, key, known, onState }) {
    const running = (this.running = new AbortController());
    const all = known ? shrink(this.stage.visible, BLENDED) : this.wanted();
    if (known) {
      this.take(readPart(image, all), readPart(known, all), all, { key, settings });
      onState("shown");
      return;
    }
    onState("busy");
    try {
      // First what can be there at once, then all that is in view.
      const first = shrink(all, Math.max(this.speed * SOON, 192 * 192));
      const steps = area(first) < 0.8 * area(all) ? [first, all] : [all];
      for (const where of steps) {
        if (this.pending) return;
        await this.askFor(image, where, { key, settings }, running);
        onState("shown");
      }
    } catch (error) {
      if (!running.signal.aborted) onState(error);
    }
  }

  async askFor(image, where, { key, settings }, running) {
    const noisy = readPart(image, where);
    const start = performance.now();
    const parameters = { model: settings.model, sigma: settings.sigma, channels: settings.channels, law: settings.law, ...settings.above };
    const clean = await this.engine.preview(noisy, parameters, { signal: running.signal });
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
