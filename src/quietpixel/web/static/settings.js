// The settings: what is asked of the service for each picture.

const find = (id) => document.getElementById(id);

export class Settings extends EventTarget {
  constructor({ models, default: usual }) {
    super();
    this.models = new Map(models.map((model) => [model.name, model]));
    this.usual = usual;
    this.controls = Object.fromEntries(
      ["model", "strength", "colour-strength", "colour-strength-auto", "sigma", "sigma-auto", "format"].map((id) => [id, find(id)]));
    this.fillModels();
    for (const control of Object.values(this.controls)) {
      control.addEventListener("input", () => this.changed(control.id));
    }
    this.show();
  }

  fillModels() {
    const { model } = this.controls;
    const { gray, rgb } = this.usual;
    if (rgb || gray) model.append(new Option(`Automatic: ${rgb ?? gray}`, ""));
    for (const { name, size } of this.models.values()) {
      model.append(new Option(size ? `${name} (${size[1]} × ${size[0]} only)` : name, name));
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

  get words() {
    const { model, format } = this.controls;
    return { model: model.value, strength: this.strength, format: format.value,
             colour_strength: this.colour ?? "",
             sigma: this.sigma === null ? "" : this.sigma.toFixed(6) };
  }

  get key() { return JSON.stringify(this.words); }

  // What a preview of a picture with this estimate is asked with, and how it is shown. A model that
  // finds the level by itself is not asked again for another one: a level that is given only limits
  // the share of the noise that goes (inference/level.py), which the page takes by itself. Strengths
  // up to 1 are blended here too; those above change the level, so the service is asked.
  forPreview(estimate) {
    const blind = Boolean(this.card?.blind);
    const sigma = this.takesSigma && !blind ? this.sigma ?? estimate : null;
    const share = () => (blind && this.sigma !== null && estimate ? Math.min(this.sigma / estimate, 1) : 1);
    const strengths = { strength: this.strength, colour_strength: this.colour ?? "" };
    const above = Math.max(this.strength, this.colour ?? 0) > 1 ? strengths : {};
    const amount = () => above === strengths ? { strength: 1 }
      : { strength: this.strength, colour: this.colour ?? this.strength, share: share() };
    return { model: this.controls.model.value, sigma: sigma == null ? "" : sigma.toFixed(6), above, amount };
  }

  show(estimate = this.estimate) {
    this.estimate = estimate;
    const { sigma, "sigma-auto": auto } = this.controls;
    const { strength, "colour-strength": colour, "colour-strength-auto": same } = this.controls;
    strength.max = colour.max = this.raisesLevel ? 200 : 100;
    if (same.checked) colour.value = strength.value;
    colour.disabled = same.checked;
    find("strength-value").textContent = `${strength.value} %`;
    find("colour-strength-value").textContent = same.checked ? "" : `${colour.value} %`;
    find("strength-help").textContent = this.raisesLevel
      ? "Below 100 % the original shows through; above, the noise level is raised."
      : "Below 100 % the original shows through.";
    auto.disabled = !this.takesSigma;
    sigma.disabled = !this.takesSigma || auto.checked;
    if (auto.checked && estimate != null) sigma.value = Math.round(estimate * 510) / 2;
    const level = this.sigma === null ? estimate : this.sigma;
    const word = this.sigma === null ? "estimated " : "";
    find("sigma-value").textContent = level == null ? "" : `${word}${(level * 255).toFixed(1)} of 255`;
    find("sigma-help").textContent = this.takesSigma
      ? "How far the values of one colour are spread."
      : "This model finds the noise by itself.";
  }
}

// What a card says, as pairs of a word and a text.
export function describeCard(card) {
  const number = (value) => value?.toLocaleString("en");
  const colours = card.channels === 1 ? "gray" : "RGB";
  return [
    ["Layers", card.architecture],
    ["Pictures", card.size ? `${colours}, ${card.size[1]} × ${card.size[0]} pixels only` : `${colours}, any size`],
    ["Noise", card.noise + (card.sigma_input ? " (takes the noise level)" : "")],
    ["Weights", number(card.parameters)],
    ["Cost", card.operations && `${number(card.operations)} multiply-adds per pixel`],
    ["Scores", Object.entries(card.scores ?? {}).map(([name, score]) => describeScore(name, score)).join("; ")],
    ["Trained on", card.data],
    ["Licence", card.licence],
    ["Not for", card.not_for],
  ].filter(([, text]) => text);
}

function describeScore(name, score) {
  if (typeof score !== "object" || score === null) return `${name} ${score}`;
  const simple = Object.entries(score).filter(([, value]) => ["number", "string"].includes(typeof value));
  return `${name}: ${simple.map(([word, value]) => `${word.replaceAll("_", " ")} ${short(value)}`).join(", ")}`;
}

const short = (value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value);
