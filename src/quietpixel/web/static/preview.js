// Shows what the settings do to the part in view, before and after the whole image is computed. The
// engine is asked only for what earlier answers and results do not contain.

import { mix } from "./pnm.js";
import { readLevelSample, readPart } from "./regions.js";
import { onScreen } from "./stage.js";

const SOON = 80; // milliseconds that the first answer may take
const GRID = 64; // sides are multiples of this, so that the engine meets few sizes
const MOST = 9_000_000; // most pixels of a preview: a screen of 3840 x 2160
const FURTHER = 16; // how many times as many pixels each further answer has, until all in view is there
const MARGIN = 32; // pixels around a part that the model sees too; parts begin on multiples, as tiles of the whole and of its copies do
const WAIT = 90; // milliseconds of rest before the part in view is asked for

export class Preview {
  constructor(engine, stage) {
    Object.assign(this, { engine, stage });
    this.speed = 1000; // pixels per millisecond, measured with each answer
    this.working = false;
    this.forget();
  }

  forget() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.pending = this.noisy = this.clean = this.key = null;
  }

  // Asks for the noise {sigma, kinds, channels, law, camera} of an image, from the squares that its result will be based on.
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
    if (this.isRefining) this.running.abort(); // what is small is shown still, so that the image follows a slider
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
    const { where, margin } = this, pixels = mix(this.noisy, this.clean, amount);
    const canvas = new OffscreenCanvas(where.width, where.height);
    canvas.getContext("2d").putImageData(pixels, -margin.x, -margin.y);
    // While a slider moves, an answer may be for the value before; it is shown, but as outdated.
    this.stage.show({ image: canvas, x: where.x, y: where.y }, this.key !== this.latest);
  }

  wanted() {
    return shrink(this.stage.visible, MOST);
  }

  // First what can be there at once, then more, then all that is in view.
  *steps(all) {
    for (let most = Math.max(this.speed * SOON, 192 * 192); ; most *= FURTHER) {
      const where = shrink(all, most);
      if (area(where) > 0.8 * area(all)) break;
      yield where;
    }
    yield all;
  }

  async ask({ image, settings, key, known, onState }) {
    const running = (this.running = new AbortController());
    const all = this.wanted();
    if (known) {
      this.take(readPart(image, all), readPart(known, all), all, all, { key, settings });
      onState("shown");
      return;
    }
    onState("busy");
    try {
      this.isRefining = false;
      for (const where of [...this.steps(all)]) {
        if (this.pending) return;
        await this.askFor(image, where, { key, settings }, running);
        await onScreen(); // what follows would delay it
        onState("shown");
        this.isRefining = true;
      }
    } catch (error) {
      if (!running.signal.aborted) onState(error);
    }
  }

  async askFor(image, where, { key, settings }, running) {
    const seen = widen(where, image), noisy = readPart(image, seen);
    const start = performance.now();
    const { model, sigma, channels, law, camera, above } = settings;
    const parameters = { model, sigma, channels, law, camera, ...above };
    const clean = await this.engine.preview(noisy, parameters, { signal: running.signal });
    if (running.signal.aborted) throw new DOMException("stopped", "AbortError");
    this.speed = 0.5 * this.speed + 0.5 * (area(seen) / (performance.now() - start));
    this.take(noisy, clean, where, seen, { key, settings });
  }

  // Takes the pixels of `seen`, of which `where` is shown.
  take(noisy, clean, where, seen, { key, settings }) {
    Object.assign(this, { noisy, clean, where, key, margin: { x: where.x - seen.x, y: where.y - seen.y } });
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
  const start = (from, room) => (room ? from + (room >> 1) - ((from + (room >> 1)) % MARGIN) : from);
  return { x: start(x, width - w), y: start(y, height - h), width: w, height: h };
}

// A part with its margin, as far as the image goes.
function widen({ x, y, width, height }, image) {
  const left = Math.max(0, x - (x % MARGIN) - MARGIN), top = Math.max(0, y - (y % MARGIN) - MARGIN);
  return {
    x: left, y: top, width: Math.min(image.width, x + width + MARGIN) - left, height: Math.min(image.height, y + height + MARGIN) - top,
  };
}
