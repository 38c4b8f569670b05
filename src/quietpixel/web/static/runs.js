// The images of the page and their work, a few at a time.

import { Countdown } from "./countdown.js";
import { inWordsOfPage } from "./settings.js";

const TICK = 400; // milliseconds between two looks at the time left
const FIRST = 0.16; // share from which the time left is told: sending says little about computing

let count = 0;

class Item {
  constructor(file, settings) {
    Object.assign(this, { file, name: file.name || "pasted.png", id: ++count, state: "waiting", share: 0, settings });
  }

  get isOpen() { return this.state === "waiting" || this.state === "working"; }

  // Whether its result, or the one in work, has other settings than those that are set now.
  get isOutdated() {
    return (this.state === "done" || this.state === "working") && this.key !== this.settings().key;
  }

  get isCurrent() { return this.state === "done" && !this.isOutdated; }
}

export class Runs extends EventTarget {
  constructor({ engine, atOnce, settings }) {
    super();
    Object.assign(this, { engine, atOnce, settings, items: [] });
  }

  // Adds files; `next` starts them.
  add(files) {
    const items = files.map((file) => new Item(file, this.settings));
    this.items.push(...items);
    this.clock = null;
    this.changed();
    return items;
  }

  // Takes images away and returns what `restore` needs to bring them back.
  remove(items) {
    const places = items.map((item) => ({ item, at: this.items.indexOf(item) }));
    this.items = this.items.filter((each) => !items.includes(each));
    for (const item of items) {
      item.removed = true;
      item.stopper?.abort();
    }
    this.changed();
    this.next();
    return places;
  }

  restore(places) {
    for (const { item, at } of places) {
      this.items.splice(at, 0, item);
      item.removed = false;
      if (item.isOpen) item.state = "waiting";
    }
    this.changed();
    this.next();
  }

  // Computes images again.
  rerun(items) {
    for (const item of items) {
      item.stopper?.abort();
      Object.assign(item, { state: "waiting", share: 0, result: null, error: null, key: null });
    }
    if (!items.length) return;
    this.clock = null;
    this.changed();
    this.next();
  }

  // Computes again what is outdated; resolves once each item is current, failed or removed.
  async bringUpToDate(items) {
    for (;;) {
      this.rerun(items.filter((item) => item.isOutdated && !item.removed));
      if (!items.some((item) => item.isOpen && !item.removed)) return;
      await new Promise((resolve) => this.addEventListener("changed", resolve, { once: true }));
    }
  }

  next() {
    if (this.held) return;
    const working = this.items.filter((item) => item.state === "working").length;
    const waiting = this.items.filter((item) => item.state === "waiting");
    if (!working && !waiting.length) this.clock = null;
    for (const item of waiting.slice(0, Math.max(0, this.atOnce - working))) this.run(item);
    this.follow();
  }

  async run(item) {
    const stopper = (item.stopper = new AbortController());
    const { key, parameters } = this.settings();
    Object.assign(item, { state: "working", share: 0, key, parameters, clock: new Countdown(), saved: false });
    this.changed(item);
    const onLost = (lost) => {
      item.lost = lost;
      this.changed(item);
    };
    try {
      const { blob, name, sigma, ...rest } = await this.engine.denoise(item.file, parameters, {
        signal: stopper.signal, onLost, onProgress: (share) => this.report(item, share),
      });
      if (stopper.signal.aborted) return;
      // A given level is no estimate.
      Object.assign(item, rest, { notes: rest.notes.map(inWordsOfPage), result: blob, resultName: name, state: "done", share: 1 });
      if (!parameters.sigma && sigma !== null) item.sigma = sigma;
    } catch (error) {
      if (stopper.signal.aborted) return;
      Object.assign(item, { state: "failed", error: inWordsOfPage(error.message) });
    }
    item.lost = false;
    this.changed(item);
    this.next();
  }

  // Lets the time left count down between two reports, for as long as an image is in work.
  async follow() {
    if (this.following) return;
    this.following = true;
    for (let working; (working = this.items.filter((item) => item.state === "working")).length; ) {
      for (const item of working) this.changed(item);
      await new Promise((resolve) => setTimeout(resolve, TICK));
    }
    this.following = false;
  }

  report(item, share) {
    if (item.state !== "working") return;
    item.share = Math.max(item.share, share);
    item.lost = false;
    if (item.share >= FIRST) item.clock.update(item.share);
    this.changed(item);
  }

  changed(item) {
    this.dispatchEvent(new CustomEvent("changed", { detail: item }));
  }

  // The share of all bytes that is done, the milliseconds left if known, and the open images.
  overall() {
    const total = sum(this.items, (item) => item.file.size) || 1;
    const open = this.items.filter((item) => item.isOpen);
    const share = 1 - sum(open, (item) => item.file.size * (1 - item.share)) / total;
    if (open.length) {
      // Images that were done before this batch began do not count as its work.
      this.clock ??= Object.assign(new Countdown(), { before: share });
      this.clock.update((share - this.clock.before) / Math.max(1 - this.clock.before, 1e-9));
    }
    return { share, left: open.length ? this.clock.left() : null, open: open.length };
  }
}

const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);
