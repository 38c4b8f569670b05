// The engine that computes in the browser, in a worker with onnxruntime-web. Nothing leaves the machine.
//
// Other pages can use it too, from the folder that `quietpixel page --static FOLDER` writes:
//
//   import { BrowserEngine } from "./FOLDER/static/browser_engine.js";
//   const engine = new BrowserEngine();
//   await engine.setup();
//   const noisy = { data: new Float32Array(64 * 64 * 3).fill(0.5), width: 64, height: 64, channels: 3 };
//   const { data, level } = await engine.denoiseArray(noisy, { strength: 1 });

import { openPicture } from "./picture_file.js";

const NEEDED = { "WebAssembly": () => WebAssembly.validate, "OffscreenCanvas": () => OffscreenCanvas,
                 "Worker": () => Worker, "createImageBitmap": () => createImageBitmap };
const WRITTEN = { jpeg: "jpg", png: "png", webp: "webp" };

export class BrowserEngine {
  // `base` is the address of the folder that holds static/, models/ and runtime/.
  constructor({ base = new URL("../", import.meta.url).href } = {}) {
    Object.assign(this, { base, count: 0, calls: new Map() });
  }

  async setup() {
    const missing = Object.keys(NEEDED).filter((name) => {
      try {
        return !NEEDED[name]();
      } catch {
        return true;
      }
    });
    if (missing.length) throw new Error(`This browser lacks ${missing.join(" and ")}. ${UPDATE}`);
    this.worker = new Worker(new URL("./browser_worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.receive(data));
    this.worker.addEventListener("error", (event) => this.fail(event.message));
    const { models, provider, threads } = await this.call("start", { base: this.base });
    Object.assign(this, { provider, threads });
    return {
      models: models.models, default: models.default, digits: models.digits, atOnce: 1, largest: Infinity,
      accept: "image/jpeg,image/png,image/webp", formats: "JPEG, PNG and WebP.", written: Object.keys(WRITTEN),
      privacy: "Pictures stay in this browser: nothing is uploaded.",
    };
  }

  async openImage(blob) {
    return { image: (await openPicture(blob)).bitmap, range: null };
  }

  estimate(pixels, { signal } = {}) {
    return this.call("estimate", { image: pixels }, { signal });
  }

  preview(pixels, parameters, { signal } = {}) {
    // The channels of a flat part have nothing in common but its noise, which says nothing of the whole.
    const options = readParameters({ channels: "rgb", ...parameters });
    return this.call("preview", { image: pixels, options }, { signal });
  }

  async denoise(file, parameters, { signal, onProgress } = {}) {
    const options = readParameters(parameters);
    const calls = { signal, onProgress: (share) => onProgress?.(0.97 * share) }; // writing the file takes the rest
    const { blob, level, ...rest } = await this.call("denoise", { file, options, format: parameters.format }, calls);
    const stem = file.name.replace(/\.[^.]*$/, "") || "picture", own = file.name.slice(stem.length + 1);
    const kind = blob.type.slice(6), same = own && WRITTEN[kind] === own.toLowerCase().replace("jpeg", "jpg");
    return { ...rest, blob, name: `${stem}-clean.${same ? own : WRITTEN[kind]}`, sigma: level?.sigma ?? null };
  }

  // Denoises floats in [0, 1], channels last: {data, width, height, channels}. Options: model, sigma
  // (null estimates it), strength, colourStrength, channels. Resolves with the same, the level and notes.
  denoiseArray(image, options = {}, calls) {
    return this.call("denoiseArray", { image, options }, calls);
  }

  digit(question) {
    return this.call("digit", question);
  }

  call(name, words, { signal, onProgress } = {}) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", () => this.worker.postMessage({ stop: id }), { once: true });
      this.worker.postMessage({ id, name, words });
    });
  }

  receive({ id, share, value, error }) {
    const call = this.calls.get(id);
    if (share !== undefined) return void call?.onProgress?.(share);
    this.calls.delete(id);
    if (error) call.reject(Object.assign(new Error(error.message), { name: error.name }));
    else call.resolve(value);
  }

  fail(message) {
    const error = new Error(`The denoiser does not start in this browser${message ? ` (${message})` : ""}. ${UPDATE}`);
    for (const { reject } of this.calls.values()) reject(error);
    this.calls.clear();
  }
}

const UPDATE = "Update it, or use Chrome, Edge, Firefox or Safari of the last two years.";

function readParameters({ model, sigma, law, camera, strength, colour_strength: colour, channels }) {
  const given = (value) => (value === "" || value == null ? null : Number(value));
  return { model, sigma: given(sigma), law, camera: given(camera), strength: given(strength) ?? 1, colourStrength: given(colour), channels: channels || "auto" };
}
