// The welcome screen: an example that is denoised while it is looked at, and samples to try.

import { readLevelSample, readPart } from "./regions.js";
import { Stage } from "./stage.js";

const SAMPLES = [
  { file: "sample-photo.jpg", name: "high-iso-photo.jpg", title: "High-ISO photo" },
  { file: "sample-print.jpg", name: "old-print.jpg", title: "Old print" },
  { file: "sample-microscope.png", name: "microscope.png", title: "Microscope" },
];

const find = (id) => document.getElementById(id);
const address = (file) => new URL(`./${file}`, import.meta.url).href;

export function showSamples(onPick) {
  for (const sample of SAMPLES) {
    const picture = Object.assign(new Image(), { src: address(sample.file), alt: "" });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(picture, sample.title);
    button.addEventListener("click", async () => onPick(await readSample(sample)));
    const item = document.createElement("li");
    item.append(button);
    find("samples").append(item);
  }
}

async function readSample({ file, name }) {
  const blob = await (await fetch(address(file))).blob();
  return new File([blob], name, { type: blob.type });
}

// A sample before and after. It stops while there are pictures, whose preview it would delay.
export class Example {
  constructor(engine) {
    const split = find("demo-split");
    this.engine = engine;
    this.stage = new Stage({
      stage: find("demo-stage"), canvas: find("demo-canvas"), split,
      zoom: document.createElement("output"), navigator: document.createElement("canvas"), covers: true,
    });
    split.addEventListener("input", () => split.setAttribute("aria-valuetext", `${Math.round(split.value)} % before`));
  }

  stop() {
    this.stopper?.abort();
  }

  async start() {
    const { engine, stage } = this, { signal } = (this.stopper = new AbortController());
    if (!stage.before) {
      const image = await createImageBitmap(await readSample(SAMPLES[0]));
      stage.open(image, () => ({ x: image.width / 2, y: image.height / 2 }));
      stage.fit();
    }
    if (stage.result) return;
    const image = stage.before, whole = { x: 0, y: 0, width: image.width, height: image.height };
    try {
      const { sigma, camera } = await engine.estimate(readLevelSample(image), { signal });
      if (signal.aborted) return;
      const clean = await engine.preview(readPart(image, whole), { sigma: sigma.toFixed(6), camera }, { signal });
      stage.show({ image: await createImageBitmap(clean), x: 0, y: 0, isWhole: true });
      find("demo-tag").textContent = "After";
    } catch (error) {
      if (!signal.aborted) find("demo-tag").textContent = error.message;
    }
  }
}
