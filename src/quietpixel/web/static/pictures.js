// The tab of pictures: brings files, settings, stage, preview and list together.

import { act, listen } from "./gestures.js";
import { download, droppedFiles, openImage } from "./images.js";
import { List, describe, describeFacts, duration } from "./list.js";
import { Preview, keyOf } from "./preview.js";
import { Runs } from "./runs.js";
import { describeCard } from "./settings.js";
import { Stage } from "./stage.js";
import { makeZip } from "./zip.js";

const find = (id) => document.getElementById(id);

export class Pictures {
  constructor(setup, settings, say) {
    Object.assign(this, { settings, say, chosen: null, whole: null });
    this.runs = new Runs({
      atOnce: setup.in_hand, largest: setup.body,
      settings: () => ({ key: settings.key, words: settings.words }),
    });
    this.stage = new Stage({ stage: find("stage"), canvas: find("canvas"), split: find("split"), zoom: find("zoom") });
    this.preview = new Preview(this.stage, setup.preview);
    this.list = new List(find("list"), {
      onPick: (item) => this.choose(item),
      onRemove: (item) => this.remove(item),
      onDownload: (item) => download(item.result, item.resultName),
    });
    listen(this.stage);
    this.wireFiles();
    this.wireControls();
    this.stage.open(null);
  }

  wireFiles() {
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
  }

  wireControls() {
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => act(this.stage, button.dataset.zoom));
    }
    for (const radio of document.querySelectorAll("[name=mode]")) {
      radio.addEventListener("change", () => this.stage.setMode(radio.value));
    }
    find("split").addEventListener("input", (event) => {
      event.target.setAttribute("aria-valuetext", `${Math.round(event.target.value)} % before`);
    });
    find("apply").addEventListener("click", () => this.runs.again(this.settings.key));
    find("zip").addEventListener("click", () => this.downloadAll());
    find("clear").addEventListener("click", () => [...this.runs.items].forEach((item) => this.remove(item)));
    find("card-open").addEventListener("click", () => showCard(this.settings.card));
    this.runs.addEventListener("changed", ({ detail }) => this.changed(detail));
    this.settings.addEventListener("changed", () => this.settingsChanged());
    this.stage.addEventListener("moved", () => this.chosen?.image && this.look());
    this.stage.addEventListener("painted", () => this.caption());
  }

  add(files) {
    if (!files.length) return;
    find("welcome").hidden = true;
    find("bench").hidden = false;
    const items = this.runs.add(files);
    if (!this.chosen || this.chosen.state === "failed") this.choose(items[0]);
    this.drawThumbs();
  }

  remove(item) {
    const at = this.runs.items.indexOf(item);
    this.runs.remove(item);
    if (item === this.chosen) this.choose(this.runs.items[Math.min(at, this.runs.items.length - 1)] ?? null);
    if (!this.runs.items.length) {
      find("bench").hidden = true;
      find("welcome").hidden = false;
      find("choose").focus();
    }
  }

  async choose(item) {
    this.chosen = item;
    this.whole = null;
    this.preview.forget();
    this.stage.open(null);
    this.render();
    if (!item) return;
    try {
      Object.assign(item, await openImage(item.file, item.name));
    } catch (error) {
      item.trouble = error.message;
    }
    if (item !== this.chosen || !item.image) {
      this.render();
      return;
    }
    this.list.drawThumb(item, item.image);
    this.stage.open(item.image);
    this.render();
    this.look({ now: true });
    this.estimate(item);
  }

  async estimate(item) {
    if (item.sigma == null) {
      try {
        item.sigma = await this.preview.estimate(item.image);
      } catch {
        return; // it is shown again with the result
      }
    }
    if (item !== this.chosen) return;
    this.settings.show(item.sigma);
    if (this.settings.sigma !== null) this.look({ now: true }); // a limit acts once the level is known
  }

  // Shows the best that is there: the whole result if it has these settings, else a preview.
  async look(options) {
    const item = this.chosen;
    if (!item?.image) return;
    if (item.state === "done" && item.key === this.settings.key) {
      this.busy = false;
      this.preview.forget();
      if (item.shownKey !== item.key || !this.stage.after) await this.showResult(item);
      return;
    }
    this.preview.refresh(item.image, this.settings.forPreview(item.sigma), (state) => {
      this.busy = state === "busy";
      this.previewError = state instanceof Error ? state.message : null;
      this.caption();
    }, { ...options, whole: this.whole });
  }

  async showResult(item) {
    item.shownKey = item.key;
    try {
      const { image } = await openImage(item.result, item.resultName, item.range);
      if (item === this.chosen && item.state === "done") {
        this.stage.showAfter(image);
        if (item.words.strength === 1 && item.words.colour_strength === "") this.whole = { key: keyOf(item.words), image };
      }
    } catch (error) {
      this.previewError = error.message;
    }
    this.caption();
  }

  settingsChanged() {
    this.settings.show(this.chosen?.sigma);
    this.look({ now: true });
    this.render();
  }

  changed(item) {
    if (item && item === this.chosen && item.state === "done") {
      this.settings.show(item.sigma);
      this.look();
    }
    if (item?.state === "failed") this.say(`${item.name}: ${item.error}`);
    if (item?.state === "done") this.say(`${item.name} is clean.`);
    if (item && item.isOpen) {
      this.list.update(item, item === this.chosen);
      this.renderOverall();
      this.caption();
    } else {
      this.render();
    }
  }

  render() {
    const { items } = this.runs;
    this.list.render(items, this.chosen);
    const stale = items.filter((item) => item.key && item.key !== this.settings.key);
    find("apply").disabled = !stale.length;
    find("apply").textContent = items.length > 1 ? `Apply to all ${items.length} pictures` : "Apply to the whole picture";
    find("zip").disabled = !items.some((item) => item.result);
    this.renderOverall();
    this.renderTrouble();
    this.caption();
  }

  renderOverall() {
    const { share, left, open } = this.runs.overall();
    const total = this.runs.items.length;
    find("overall").hidden = !open || total < 2;
    find("overall-bar").value = share;
    const time = left == null ? "" : `, ${duration(left)} left`;
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
    if (find("caption").textContent !== text) find("caption").textContent = text;
    const item = this.chosen;
    find("canvas").setAttribute("aria-label", item ? `${item.name}, before and after. ${text}` : "No picture yet");
  }

  describeView() {
    const item = this.chosen;
    if (!item) return "";
    if (item.state === "failed") return item.image ? item.error : "";
    if (this.previewError) return this.previewError;
    if (!item.image) return item.trouble ? "" : "Opening";
    const times = this.stage.mode === "taken" && this.stage.gain > 1 ? `, ${this.stage.gain} times as strong` : "";
    if (this.stage.patch) return `Preview of the part in view${times}`;
    if (this.stage.after) return [describeFacts(item.facts) + times, ...notesOf(item)].join(" · ");
    return this.busy || item.isOpen ? describe(item) : "";
  }

  async drawThumbs() {
    for (const item of this.runs.items) {
      if (item.hasThumb || item.thumbTried || item.removed || item === this.chosen || item.file.size > 60e6) continue;
      item.thumbTried = true;
      try {
        const small = await createImageBitmap(item.file, { resizeHeight: 176, resizeQuality: "medium" });
        this.list.drawThumb(item, small);
        small.close();
      } catch {
        // Not a kind that browsers show: it is drawn when it is looked at.
      }
    }
  }

  async downloadAll() {
    const done = this.runs.items.filter((item) => item.result);
    try {
      download(await makeZip(done.map(({ resultName, result }) => ({ name: resultName, blob: result }))), "quietpixel.zip");
    } catch (error) {
      this.say(error.message);
      find("overall-text").textContent = error.message;
      find("overall").hidden = false;
    }
  }
}

// The noise level has a place of its own.
function notesOf(item) {
  return (item.notes ?? []).filter((note) => !note.startsWith("The noise level is estimated"));
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
