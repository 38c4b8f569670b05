// The tab of pictures: brings files, settings, stage, preview and film strip together.

import { FilmStrip, describe, describeFacts, duration } from "./filmstrip.js";
import { act, listen } from "./gestures.js";
import { droppedFiles, saveFile } from "./images.js";
import { Preview, keyOf } from "./preview.js";
import { findNoisyPlace, looksGray } from "./regions.js";
import { Runs } from "./runs.js";
import { describeCard, describeStrength, inWordsOfPage, levelOf } from "./settings.js";
import { Stage } from "./stage.js";
import { setText } from "./text.js";
import { makeZip } from "./zip.js";

const HOLD = 10_000; // milliseconds that uploads wait at most for the first preview
const AGAIN = 3000; // milliseconds after which a service that cannot be reached is asked again

const find = (id) => document.getElementById(id);

export class Pictures {
  constructor(engine, setup, settings, { say, example }) {
    Object.assign(this, { engine, settings, say, example, chosen: null, shown: null, removals: [] });
    this.runs = new Runs({
      engine, atOnce: setup.atOnce,
      settings: () => ({ key: settings.key, parameters: settings.parameters }),
    });
    this.stage = new Stage({
      stage: find("stage"), canvas: find("canvas"), split: find("split"), zoom: find("zoom"), navigator: find("navigator"),
    });
    this.preview = new Preview(engine, this.stage);
    this.strip = new FilmStrip(find("list"), {
      onPick: (item) => this.choose(item),
      onRemove: (item) => this.remove([item]),
      onDownload: (item) => this.download(item),
      onRetry: (item) => this.retry(item),
    });
    listen(this.stage, find("original"));
    this.listenForFiles();
    this.listenToControls();
    this.stage.open(null);
  }

  listenForFiles() {
    const input = find("files");
    for (const id of ["choose", "more"]) find(id).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.add([...input.files]);
      input.value = "";
    });
    document.addEventListener("paste", (event) => this.add([...event.clipboardData.files]));
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dragging");
    });
    document.addEventListener("drop", async (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      this.add(await droppedFiles(event.dataTransfer));
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.runs.items.some((item) => item.isOpen || (item.result && !item.saved))) event.preventDefault();
    });
  }

  listenToControls() {
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => act(this.stage, button.dataset.zoom));
    }
    for (const radio of document.querySelectorAll("[name=mode]")) {
      radio.addEventListener("change", () => this.stage.setMode(radio.value));
    }
    find("split").addEventListener("input", (event) => {
      event.target.setAttribute("aria-valuetext", `${Math.round(event.target.value)} % before`);
    });
    find("apply").addEventListener("click", () => this.runs.rerun(this.runs.items.filter((item) => item.key && item.key !== this.settings.key)));
    find("save").addEventListener("click", () => this.download(this.chosen));
    find("zip").addEventListener("click", () => this.downloadAll());
    find("bench").addEventListener("click", ignoreSecondClick, { capture: true });
    find("clear").addEventListener("click", () => this.remove([...this.runs.items]));
    find("undo").addEventListener("click", () => this.undo());
    find("dismiss").addEventListener("click", () => this.offerUndo([]));
    document.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== "z" || !this.removals.length) return;
      event.preventDefault();
      this.undo();
    });
    find("rival").addEventListener("click", () => this.compareSettings());
    find("keep-first").addEventListener("click", () => this.keep(true));
    find("keep-second").addEventListener("click", () => this.keep(false));
    find("card-open").addEventListener("click", () => showCard(this.settings.card));
    this.runs.addEventListener("changed", ({ detail }) => this.changed(detail));
    this.settings.addEventListener("changed", () => this.settingsChanged());
    this.stage.addEventListener("moved", () => this.look());
    this.stage.addEventListener("painted", () => this.caption());
  }

  add(files) {
    if (!files.length) return;
    if (find("pictures").hidden) find("tab-pictures").click();
    const hadFocus = find("welcome").contains(document.activeElement);
    this.showBench(true);
    if (hadFocus) find("stage").focus({ preventScroll: true });
    if (!this.chosen) this.hold();
    const items = this.runs.add(files);
    if (!this.chosen || this.chosen.state === "failed") this.choose(items[0]);
    this.runs.next();
    this.drawThumbs();
  }

  // The first preview is computed before whole images, which would take its processor time.
  hold() {
    this.runs.held = true;
    setTimeout(() => this.release(), HOLD);
  }

  release() {
    if (!this.runs.held) return;
    this.runs.held = false;
    this.runs.next();
    this.drawThumbs();
  }

  showBench(shown) {
    find("welcome").hidden = shown;
    find("bench").hidden = !shown;
    if (shown) this.example.stop();
    else this.example.start();
  }

  remove(items) {
    const at = this.runs.items.indexOf(items[0]);
    const hadFocus = find("list").contains(document.activeElement);
    const places = this.runs.remove(items);
    const next = this.runs.items[Math.min(at, this.runs.items.length - 1)] ?? null;
    if (items.includes(this.chosen)) this.choose(next);
    if (next && hadFocus) this.strip.focus(next);
    this.offerUndo([...this.removals, places]);
    if (next) return;
    this.showBench(false);
    find("choose").focus();
  }

  // Each removal can be undone, the last one first, until the offer is dismissed.
  offerUndo(removals) {
    this.removals = removals;
    const places = removals.at(-1);
    find("toast").hidden = !places;
    if (!places) return;
    find("toast-text").textContent = places.length === 1 ? `Removed ${places[0].item.name}.` : `Removed ${places.length} pictures.`;
  }

  undo() {
    const places = this.removals.pop();
    this.offerUndo(this.removals);
    this.showBench(true);
    this.runs.restore(places);
    this.choose(places[0].item);
    this.strip.focus(places[0].item);
  }

  retry(item) {
    this.runs.rerun([item]);
    if (item === this.chosen) this.choose(item);
  }

  async choose(item) {
    if (item && item === this.chosen && item.image) return;
    this.chosen = item;
    this.shown = this.previewError = null;
    this.preview.forget();
    this.forgetRival();
    this.stage.open(null);
    this.settings.show(item ?? {}); // not the noise of the one before
    this.render();
    if (!item) return;
    try {
      if (!item.image) Object.assign(item, { trouble: null }, await this.engine.openImage(item.file, item.name));
    } catch (error) {
      item.trouble = inWordsOfPage(error.message);
      if (item === this.chosen) this.askAgain(error);
    }
    if (item !== this.chosen) return;
    if (!item.image) {
      this.release();
      this.render();
      return;
    }
    const estimating = this.estimate(item); // first, so that it goes on beside what follows
    item.gray ??= looksGray(item.image);
    this.stage.open(item.image, () => (item.place ??= findNoisyPlace(item.image)));
    this.render();
    if (item.isCurrent) this.look();
    await estimating;
    this.drawThumbs();
  }

  // Finds the noise of an image and shows a preview, which needs it.
  async estimate(item) {
    const estimating = item.channels ? null : this.preview.estimate(item.image); // a result has told the level, but not this
    try {
      const found = await estimating;
      if (found) {
        const { sigma, kinds, channels, law, camera } = found;
        Object.assign(item, { sigma: item.sigma ?? sigma, kinds, channels, law, camera });
      }
    } catch (error) {
      if (item === this.chosen && this.askAgain(error)) {
        if (!item.isCurrent) this.previewError = error.message;
        return void this.caption();
      }
      item.sigma ??= null; // the result has it too
    }
    if (item !== this.chosen) return;
    this.settings.show(item);
    this.look({ now: true });
  }

  // Returns whether the service cannot be reached; then what is shown is asked for again soon.
  askAgain(error) {
    if (error.status !== 0) return false;
    const item = this.chosen, ask = () => (item.image ? this.estimate(item) : this.choose(item));
    clearTimeout(this.again);
    this.again = setTimeout(() => item === this.chosen && ask(), AGAIN);
    return true;
  }

  // Shows the best there is with the present settings: the whole result, else a preview.
  async look(options) {
    const item = this.chosen;
    if (!item?.image) return;
    if (this.rival && item.sigma !== undefined) {
      this.rival.preview.refresh(item.image, this.rival.settings(item), () => this.caption(), options);
    }
    if (item.isCurrent) {
      this.preview.forget();
      this.previewError = null;
      if (this.shown?.result !== item.result) await this.openResult(item);
      const { stage } = this;
      if (this.shown?.result !== item.result || !item.isCurrent) return;
      if (stage.outdated || stage.result?.image !== this.shown.image) stage.show({ image: this.shown.image, x: 0, y: 0, isWhole: true });
      return;
    }
    if (item.sigma === undefined) return; // a preview follows once the level is known
    this.preview.refresh(item.image, this.settings.forPreview(item), (state) => {
      this.previewError = state instanceof Error ? inWordsOfPage(state.message) : null;
      if (this.previewError) this.askAgain(state);
      if (state !== "busy") this.release();
      this.caption();
    }, { ...options, whole: this.shown?.whole });
  }

  async openResult(item) {
    const { result } = item;
    if (this.opening === result) return;
    this.opening = result;
    try {
      const { image } = await this.engine.openImage(result, item.resultName, item.range);
      if (item === this.chosen && item.isCurrent && item.result === result) {
        // At full strength it also shows what weaker settings do, without the service.
        const full = this.settings.strength === 1 && this.settings.colour === null;
        const whole = full ? { key: keyOf(this.settings.forPreview(item)), image } : null;
        this.shown = { result, image, whole };
      }
    } catch (error) {
      this.previewError = inWordsOfPage(error.message);
    }
    this.opening = null;
    this.caption();
  }

  // Keeps the present settings as A, on the left; what is set from now on is B, on the right.
  compareSettings() {
    const { settings, stage } = this, values = settings.values;
    const present = settings.forPreview(this.chosen), amount = present.amount();
    const isAuto = settings.sigma === null;
    this.rival = {
      values, preview: new Preview(this.engine, { get visible() { return stage.visible; }, show: (part) => stage.showReference(part) }),
      settings: (item) => ({
        ...present, amount: () => amount, channels: item.channels ?? "", camera: item.camera ?? "",
        law: (isAuto && item.law) || "", sigma: isAuto && settings.raisesLevel ? levelOf(item) : present.sigma,
      }),
    };
    stage.showReference({});
    this.look({ now: true });
    this.render();
    find("keep-second").focus();
  }

  keep(first) {
    const { values } = this.rival;
    this.forgetRival();
    this.rival = null;
    this.stage.showReference(null);
    if (first) this.settings.set(values);
    this.render();
    find("rival").focus();
  }

  forgetRival() {
    if (!this.rival) return;
    this.rival.preview.forget();
    this.stage.showReference({});
  }

  settingsChanged() {
    this.settings.show(this.chosen ?? undefined);
    this.stage.markOutdated();
    this.look({ now: true });
    this.render();
  }

  changed(item) {
    if (item && item === this.chosen && item.state === "done") {
      this.settings.show(item);
      this.look();
    }
    if (item?.state === "failed") this.say(`${item.name}: ${item.error}`);
    if (item?.state === "done") this.say(`${item.name} is clean.`);
    if (item && item.isOpen) {
      this.strip.update(item, item === this.chosen);
      this.renderOverall();
      this.caption();
    } else {
      this.render();
    }
  }

  render() {
    const { items } = this.runs, focused = document.activeElement;
    this.strip.render(items, this.chosen);
    const outdated = items.some((item) => item.key && item.key !== this.settings.key);
    find("apply").disabled = !outdated;
    find("apply").textContent = items.length > 1 ? `Apply to all ${items.length} pictures` : "Apply to the whole picture";
    find("rival").hidden = Boolean(this.rival);
    find("keep-first").hidden = find("keep-second").hidden = !this.rival;
    find("zip").hidden = items.length < 2;
    find("zip").disabled = this.zipping || !items.some((item) => item.state !== "failed");
    this.renderSave();
    this.renderOverall();
    this.renderTrouble();
    this.caption();
    if (focused.disabled) this.strip.focus(this.chosen, { preventScroll: true }); // it would be on nothing
  }

  renderSave() {
    const item = this.chosen;
    const ready = item?.state === "done";
    find("save").disabled = !ready;
    find("save").textContent = ready && item.isOutdated ? "Update and download" : "Download";
    const text = !item || item.state === "failed" ? ""
      : !ready ? `${item.downloads ? "Starts" : "Ready"} when the picture is clean.`
      : item.isOutdated ? "The settings have changed since this result." : `${fileSize(item.file)} before, ${fileSize(item.result)} after`;
    setText(find("save-sizes"), text);
  }

  renderOverall() {
    const { share, left, open } = this.runs.overall();
    const total = this.runs.items.length;
    find("overall").hidden = !open || total < 2;
    find("overall-bar").value = share;
    const time = !left ? "" : `, ${duration(left)} left`;
    find("overall-text").textContent = `${total - open} of ${total} done${time}`;
  }

  renderTrouble() {
    const item = this.chosen;
    const text = item && !item.image && (item.error || item.trouble);
    const box = find("trouble");
    box.hidden = !text;
    if (!text) return;
    box.replaceChildren(Object.assign(document.createElement("p"), { textContent: text }));
    box.prepend(Object.assign(document.createElement("strong"), { textContent: item.name }));
  }

  caption() {
    const text = this.describeView();
    setText(find("caption"), text);
    const item = this.chosen;
    const after = item ? this.describeAfter(item) : "", isDone = ["After", "Preview"].includes(after);
    find("tag-before").textContent = this.rival ? `A: ${this.describeReference()}` : "Before";
    find("tag").textContent = !this.rival ? after : isDone ? `B: ${describeStrength(this.settings.values)}` : `B: ${after}`;
    find("canvas").setAttribute("aria-label", item ? `${item.name}, before and after. ${text}` : "No picture yet");
  }

  // What the left side shows while two settings are compared.
  describeReference() {
    const computed = this.stage.coverage(this.stage.reference);
    if (computed === "view") return describeStrength(this.rival.values);
    return computed === "part" ? "Preview of a part" : "Not denoised yet";
  }

  // What the right side shows.
  describeAfter(item) {
    const { computed } = this.stage;
    if (computed === "whole") return "After";
    if (computed === "view") return "Preview";
    if (item.state === "failed" || this.previewError) return "Not denoised";
    if (computed === "part") return "Preview of a part";
    if (item.state === "done") return item.isOutdated ? "Updating" : "Opening";
    return item.share ? `Denoising ${Math.round(100 * item.share)} %` : "Not denoised yet";
  }

  describeView() {
    const item = this.chosen;
    if (!item) return "";
    if (item.state === "failed") return item.image ? item.error : "";
    if (this.previewError) return this.previewError;
    if (!item.image) return item.trouble ? "" : "Opening";
    const times = this.stage.mode === "difference" && this.stage.gain > 1 ? `, amplified ${this.stage.gain} times` : "";
    const { computed } = this.stage;
    if (computed === "view") return `Preview of the part in view${times}`;
    if (computed === "part") return `Preview of the middle of the part in view${times}`;
    const first = item.facts?.pages > 1 ? ["The first page is shown."] : [];
    if (computed === "whole") return [describeFacts(item.facts) + times, ...first, ...(item.notes ?? [])].join(" · ");
    return describe(item);
  }

  // Not before something is denoised: making a large image small blocks the page meanwhile.
  async drawThumbs() {
    if (this.runs.held) return;
    for (const item of this.runs.items) {
      if (item.image) this.strip.drawThumb(item, item.image);
      if (item.hasThumb || item.thumbTried || item.removed || item === this.chosen || item.file.size > 60e6) continue;
      item.thumbTried = true;
      try {
        const small = await createImageBitmap(item.file, { resizeHeight: 192, resizeQuality: "medium" });
        this.strip.drawThumb(item, small);
        small.close();
      } catch {
        // Browsers do not decode this format: it is drawn when the image is opened.
      }
    }
  }

  // What is outdated is computed again first, so that a download is what the stage shows.
  async download(item) {
    if (item?.state !== "done" && !item?.isOpen) return;
    item.downloads = true;
    this.renderSave();
    await this.runs.bringUpToDate([item]);
    item.downloads = false;
    if (!item.isCurrent || item.removed) return; // its tile says why
    this.save(item.result, item.resultName, [item]);
  }

  async downloadAll() {
    this.zipping = true;
    this.render();
    try {
      await this.runs.bringUpToDate(this.runs.items);
      const done = this.runs.items.filter((item) => item.isCurrent);
      const files = done.map(({ resultName, result }) => ({ name: resultName, blob: result }));
      if (files.length) this.save(await makeZip(files), "quietpixel.zip", done);
    } catch (error) {
      this.say(error.message);
      find("notice").textContent = error.message;
      find("notice").hidden = false;
    }
    this.zipping = false;
    this.render();
  }

  save(blob, name, items) {
    saveFile(blob, name);
    for (const item of items) item.saved = true;
  }
}

// Else a double click would download twice, or end the comparison that it began.
function ignoreSecondClick(event) {
  if (event.detail > 1 && event.target.closest("#save, #zip, #rival, #keep-first, #keep-second, .download")) event.stopPropagation();
}

function fileSize({ size }) {
  return size < 999_500 ? `${Math.max(1, Math.round(size / 1e3))} KB` : `${(size / 1e6).toFixed(1)} MB`;
}

function showCard(card) {
  if (!card) return;
  find("card-title").textContent = card.name;
  const facts = Object.assign(document.createElement("dl"), { className: "facts" });
  for (const [word, text] of describeCard(card)) {
    facts.append(Object.assign(document.createElement("dt"), { textContent: word }),
      Object.assign(document.createElement("dd"), { textContent: text }));
  }
  find("card-body").replaceChildren(facts);
  find("card").showModal();
}
