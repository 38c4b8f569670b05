// The worker behind BrowserEngine: decodes, denoises with onnxruntime-web, encodes.

import { denoiseImage, estimateLevel } from "./denoise.js";
import { readPicture, writePicture } from "./picture_file.js";
import { isGray } from "./pnm.js";

const BYTES = { stride: 4, white: 255 };
let runtime, settings;
const sessions = new Map(), stopped = new Set();

const calls = {
  // Loads the runtime; `base` is the address of the folder that `quietpixel page` wrote.
  async start({ base }) {
    const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
    const gpu = adapter && !adapter.info?.isFallbackAdapter;
    runtime = await import(`${base}runtime/${gpu ? "ort.webgpu.bundle.min.mjs" : "ort.wasm.bundle.min.mjs"}`);
    runtime.env.wasm.wasmPaths = `${base}runtime/`;
    runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 8) : 1;
    runtime.env.logLevel = "error";
    const [models, weights] = await Promise.all(["models.json", "noise-level.json"].map(async (name) => (await fetch(base + name)).json()));
    const provider = gpu ? "webgpu" : "wasm";
    settings = { base, models, weights, provider, side: gpu || self.crossOriginIsolated ? 768 : 512 };
    return { models, provider, threads: runtime.env.wasm.numThreads };
  },

  // Denoises floats; options as for `denoiseImage`, and the name of the model.
  async denoiseArray({ image, options }, report) {
    return { ...image, ...(await denoise(image, options, report)) };
  },

  async estimate({ image }) {
    return estimateLevel(asPixels(image), settings.weights);
  },

  async preview({ image, options }, report) {
    await denoise(asPixels(image), options, report, true);
    return image;
  },

  async denoise({ file, options, format }, report) {
    const picture = await readPicture(file);
    if (picture.hasProfile) Object.assign(options, { channels: "rgb", law: "none" });
    const { level, notes } = await denoise(asPixels(picture.pixels), options, report);
    const written = await writePicture(picture, format);
    return { ...written, notes: [...written.notes, ...notes], level };
  },

  async digit(question) {
    const { encoder, decoder } = settings.models.digits;
    const found = {};
    if (question.image) {
      const [session, feeds] = [await open(encoder), { image: tensor(question.image, [1, 28, 28, 1]) }];
      Object.assign(found, await turn(() => session.run(feeds)));
    } else found.code = tensor(question.code, [1, question.code.length]);
    const session = await open(decoder);
    Object.assign(found, await turn(() => session.run({ code: found.code })));
    return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, Array.from(data)]));
  },
};

const tensor = (values, shape) => new runtime.Tensor("float32", Float32Array.from(values), shape);

const asPixels = ({ data, width, height }) => ({ ...BYTES, data, width, height, channels: isGray(data) ? 1 : 3 });

function denoise(image, { model, ...options }, report, urgent = false) {
  const { models, weights, side } = settings;
  const modelFor = (channels) => openModel(model || models.default[channels === 1 ? "gray" : "rgb"], urgent);
  return denoiseImage(image, modelFor, { ...options, weights, side, onTile: report });
}

async function openModel(name, urgent) {
  const card = settings.models.models.find((each) => each.name === name);
  const session = await open(`${card.name}.onnx`);
  const [input, sigmaInput] = [session.inputNames.find((each) => !each.includes("sigma")), session.inputNames.find((each) => each.includes("sigma"))];
  const run = (batch, shape, sigma) => turn(async () => {
    const feeds = { [input]: new runtime.Tensor("float32", batch, shape) };
    if (sigmaInput) feeds[sigmaInput] = new runtime.Tensor("float32", sigma, [...shape.slice(0, 3), 1]);
    const answer = await session.run(feeds);
    return answer[session.outputNames[0]].data;
  }, urgent);
  return { card, run };
}

function open(file) {
  if (!sessions.has(file)) {
    const executionProviders = settings.provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"]; // some drivers fail
    const opened = runtime.InferenceSession.create(`${settings.base}models/${file}`, { executionProviders });
    sessions.set(file, opened);
    opened.catch(() => sessions.delete(file)); // a failed download may succeed later
  }
  return sessions.get(file);
}

// One computation at a time; previews go before the tiles of whole images.
const queue = [];
let busy = false;

function turn(work, urgent = false) {
  return new Promise((resolve, reject) => {
    const task = () => work().then(resolve, reject);
    if (urgent) queue.unshift(task);
    else queue.push(task);
    next();
  });
}

async function next() {
  if (busy) return;
  busy = true;
  while (queue.length) {
    await queue.shift()();
    await new Promise((resolve) => setTimeout(resolve)); // lets messages in, such as a stop
  }
  busy = false;
}

self.addEventListener("message", async ({ data: { id, name, words, stop } }) => {
  if (stop) return void stopped.add(stop);
  const report = (share) => {
    if (stopped.has(id)) throw new DOMException("stopped", "AbortError");
    self.postMessage({ id, share });
  };
  try {
    self.postMessage({ id, value: await calls[name](words, report) });
  } catch (error) {
    self.postMessage({ id, error: { name: error.name, message: error.message } });
  }
  stopped.delete(id);
});
