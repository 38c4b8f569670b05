// The settings of the page, as parameters of a request.

import { setText } from "./text.js";

const PURPOSES = { photo: "Photos (photo)", "photo-gray": "Photos, gray, no level (photo-gray)",
                   "gaussian-gray": "Gray, white noise (gaussian-gray)" };

const find = (id) => document.getElementById(id);

export class Settings extends EventTarget {
  constructor({ models, default: usual, written }) {
    super();
    this.models = new Map(models.map((model) => [model.name, model]));
    this.usual = usual;
    this.controls = Object.fromEntries(
      ["model", "strength", "colour-strength", "colour-strength-auto", "sigma", "sigma-auto", "format"].map((id) => [id, find(id)]));
    this.amounts = [...document.querySelectorAll("[name=amount]")];
    for (const amount of this.amounts) amount.addEventListener("change", () => this.set({ strength: amount.value }));
    this.fillModels();
    this.controls.format.append(...written.map((name) => new Option(name === "webp" ? "WebP" : name.toUpperCase(), name)));
    for (const control of Object.values(this.controls)) {
      control.addEventListener("input", () => this.changed(control.id));
    }
    this.show();
  }

  fillModels() {
    const { model } = this.controls;
    const { gray, rgb } = this.usual;
    if (rgb || gray) model.append(new Option("Photos (automatic)", ""));
    for (const { name, size } of this.models.values()) {
      model.append(new Option(size ? `Digits, ${size[1]} × ${size[0]} only (${name})` : PURPOSES[name] ?? `Your own (${name})`, name));
    }
    find("model-help").hidden = Boolean(rgb || gray);
    if (!rgb && !gray) {
      const fitting = [...this.models.values()].find(({ size }) => !size);
      if (fitting) model.value = fitting.name;
    }
  }

  changed(id) {
    this.show();
    this.dispatchEvent(new CustomEvent("changed", { detail: id }));
  }

  // Changes controls by their names, such as {strength: 60}; values as `values` returns them.
  set(values) {
    for (const [id, value] of Object.entries(values)) {
      const control = this.controls[id];
      control[control.type === "checkbox" ? "checked" : "value"] = value;
    }
    this.changed(Object.keys(values)[0]);
  }

  get values() {
    const entries = Object.entries(this.controls);
    return Object.fromEntries(entries.map(([id, control]) => [id, control.type === "checkbox" ? control.checked : control.value]));
  }

  // The card of the chosen model.
  get card() {
    return this.models.get(this.controls.model.value || this.usual.rgb || this.usual.gray);
  }

  get takesSigma() { return Boolean(this.card?.sigma_input); }
  get strength() { return this.controls.strength.value / 100; }
  // A level that the model is given can be raised; one that it finds by itself cannot.
  get raisesLevel() { return this.takesSigma && !this.card.blind; }
  // The strength of colour alone; null takes that of the whole.
  get colour() {
    const { "colour-strength": colour, "colour-strength-auto": auto } = this.controls;
    return auto.checked ? null : colour.value / 100;
  }
  get isAuto() { return this.controls["sigma-auto"].checked; }

  // The noise level that is set by hand, on the [0, 1] scale; null leaves it to the estimate.
  get sigma() {
    return this.takesSigma && !this.isAuto ? this.controls.sigma.value / 255 : null;
  }

  get parameters() {
    const { model, format } = this.controls;
    return { model: model.value, strength: this.strength, format: format.value,
             colour_strength: this.colour ?? "",
             sigma: this.sigma === null ? "" : this.sigma.toFixed(6) };
  }

  get key() { return JSON.stringify(this.parameters); }

  // The parameters of a preview, given the estimated noise of the image, and how the page blends its
  // answer. Strengths up to 1 are blended here. So is a level for a model that finds the level by
  // itself, because it only limits the share of the noise that is removed (inference/level.py).
  // Strengths above 1 raise the level, so the service computes them.
  forPreview(noise) {
    const estimate = noise?.sigma, blind = Boolean(this.card?.blind);
    const sigma = !this.raisesLevel ? "" : this.sigma === null ? levelOf(noise) : this.sigma.toFixed(6);
    const law = (this.sigma === null && noise?.law) || ""; // measured in the whole image
    const share = () => (blind && this.sigma !== null && estimate ? Math.min(this.sigma / estimate, 1) : 1);
    const strengths = { strength: this.strength, colour_strength: this.colour ?? "" };
    const above = Math.max(this.strength, this.colour ?? 0) > 1 ? strengths : {};
    const amount = () => above === strengths ? { strength: 1 }
      : { strength: this.strength, colour: this.colour ?? this.strength, share: share() };
    const { channels = "", camera = "" } = noise ?? {};
    return { model: this.controls.model.value, sigma, law, channels, camera, above, amount };
  }

  // Shows the settings, and the noise that was found in an image.
  show({ sigma: estimate, kinds, gray } = this.noise ?? {}) {
    this.noise = { sigma: estimate, kinds, gray };
    const { sigma, "sigma-auto": auto } = this.controls;
    const { strength, "colour-strength": colour, "colour-strength-auto": same } = this.controls;
    strength.max = colour.max = this.raisesLevel ? 200 : 100;
    if (same.checked) colour.value = strength.value;
    for (const amount of this.amounts) {
      amount.checked = amount.value === strength.value;
      amount.disabled = Number(amount.value) > Number(strength.max);
    }
    setText(find("noise-words"), estimate == null ? "" : `Noise: ${describeNoise(estimate, kinds)}`);
    same.disabled = Boolean(gray);
    find("colour-help").hidden = !gray;
    colour.disabled = colour.hidden = gray || same.checked;
    find("strength-value").textContent = `${strength.value} %`;
    find("colour-strength-value").textContent = gray || same.checked ? "" : `${colour.value} %`;
    for (const slider of [strength, colour]) slider.setAttribute("aria-valuetext", `${slider.value} %`);
    find("strength-help").textContent = this.raisesLevel
      ? `Above 100 %, more than the ${this.sigma === null ? "estimated noise" : "noise level below"} is removed.` : "";
    auto.disabled = !this.takesSigma;
    sigma.disabled = sigma.hidden = !this.takesSigma || auto.checked;
    if (auto.checked && estimate != null) sigma.value = Math.round(estimate * 510) / 2;
    const level = this.sigma === null ? estimate : this.sigma;
    const word = this.sigma === null ? "estimated " : "";
    const text = level == null ? "" : `${(level * 255).toFixed(1)} of 255`;
    find("sigma-value").textContent = text && word + text;
    sigma.setAttribute("aria-valuetext", text || "not known yet");
    find("sigma-help").textContent = this.takesSigma ? "" : "This model finds the noise level by itself.";
  }
}

// The level of an image as a parameter; channels that are not colours have levels of their own, and
// photon noise has a law.
export const levelOf = (noise) => (noise?.sigma == null || noise.law || noise.channels === "separate" ? "" : noise.sigma.toFixed(6));

const NAMES = [[1.5, "hardly any"], [5, "light"], [15, "moderate"], [30, "strong"], [Infinity, "very strong"]];

// A level in words; the bounds are of 255.
function describeNoise(sigma, kinds = []) {
  const name = NAMES.find(([bound]) => sigma * 255 < bound)[1];
  return kinds.includes("coarse") ? `${name}, coarse grain` : name;
}

// The strength of some values of `Settings.values` in words.
export function describeStrength({ strength }) {
  return { 60: "Light", 100: "Normal", 150: "Strong" }[strength] ?? `${strength} %`;
}

// What the page calls an argument of the library, of those that its sentences name in backticks.
const CONTROLS = { sigma: "“Noise level”", strength: "“Fine-tune”", max_pixels: "--max-pixels" };

// A sentence of the library in the words of the page, which has controls in place of arguments.
export const inWordsOfPage = (text) => text.replace(/`(\w+)`/g, (_, name) => CONTROLS[name] ?? name).replace(/^./, capital);

const capital = (letter) => letter.toUpperCase();

const NETWORKS = { bottleneck: "Autoencoder with a narrow code", unet: "U-Net" };
const LAWS = { gaussian: "white noise", photo: "noise of processed photographs", camera: "noise of cameras", poisson: "photon noise",
               "salt-pepper": "black and white pixels", speckle: "speckle", uniform: "evenly spread noise" };

// A noise law in words: each kind once, with its highest level where it has one.
function describeLaw(text) {
  const highest = new Map();
  for (const [, word, range, number, unit] of text.matchAll(/([a-z-]+):([\d./]*\.\.)?([\d.]+)(\/255)?/g)) {
    const level = ["gaussian", "photo"].includes(word) ? Math.round(number * (unit ? 1 : 255)) : 0;
    const [above] = highest.get(word) ?? [-1];
    if (level > above) highest.set(word, [level, `${LAWS[word] ?? word}${level ? ` ${range ? "up to" : "of"} ${level} of 255` : ""}`]);
  }
  const words = new Intl.ListFormat("en-GB").format([...highest.values()].map(([, each]) => each));
  return words && `${words.replace(/^./, capital)}.`;
}

// A card as pairs of a term and a sentence.
export function describeCard(card) {
  const number = (value) => value.toLocaleString("en");
  const colours = card.channels === 1 ? "Gray" : "Colour and gray";
  const level = !card.sigma_input ? "The model finds the noise level by itself."
    : card.blind ? "It finds the noise level by itself; a level that is set limits what it removes." : "It is told the noise level, which is estimated or set by hand.";
  return [
    ["Network", card.architecture && `${NETWORKS[card.architecture] ?? card.architecture}${card.parameters ? ` with ${number(card.parameters)} weights` : ""}`],
    ["Images", card.size ? `${colours} images of ${card.size[1]} × ${card.size[0]} pixels only.` : `${colours} images of any size.`],
    ["Noise level", level],
    ["Trained on noise", describeLaw(card.noise)],
    ["Trained on", card.data],
    ["Cost", card.operations && `${number(card.operations)} multiplications per pixel.`],
    ["Quality", Object.entries(card.scores ?? {}).map(([data, score]) => describeScore(data, score)).filter(Boolean).join(" ")],
    ["Licence", card.licence],
    ["Do not use it for", card.not_for],
  ].filter(([, text]) => text);
}

// Training's own validation loss has no unit and cannot be compared, so it is not shown.
function describeScore(data, score) {
  const values = Object.entries(score ?? {}).filter(([name, value]) => /^(psnr|ssim)\b/.test(name) && typeof value === "number");
  if (data === "validation" || !values.length) return "";
  const words = values.map(([name, value]) => {
    const [metric, ...rest] = name.split(" ");
    const shown = metric === "psnr" ? `PSNR ${value.toFixed(2)} dB` : `SSIM ${value.toFixed(3)}`;
    return [shown, ...rest].join(" ").replace(/gaussian:([\d.]+)\/255/, "white noise of $1 of 255").replace(/of the noisy$/, "of the noisy images");
  });
  return `On ${data}: ${words.join(", ")}.`;
}
