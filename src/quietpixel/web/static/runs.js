// The images of the page and their requests to the service, a few at a time.

import { callJson, pause, query, sendFile } from "./api.js";
import { Countdown } from "./countdown.js";

const POLL = 400; // milliseconds between requests for progress
const SENT = 0.08; // share of the bar that sending takes
const BUSY_TRIES = 60, LOST_TRIES = 8; // the latter wait a minute in all, enough for a restart

let count = 0;

export class Item {
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
  constructor({ atOnce, settings, largest }) {
    super();
    Object.assign(this, { atOnce, settings, largest, items: [] });
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
    Object.assign(item, { state: "working", share: 0, key, parameters, job: newName(), clock: new Countdown(), saved: false });
    this.changed(item);
    try {
      const answer = await this.send(item, parameters, stopper.signal);
      if (stopper.signal.aborted) return;
      Object.assign(item, answer, { state: "done", share: 1 });
    } catch (error) {
      if (stopper.signal.aborted) return;
      Object.assign(item, { state: "failed", error: withoutName(error.message, item.name) });
    }
    item.lost = false;
    this.changed(item);
    this.next();
  }

  async send(item, parameters, signal) {
    if (item.file.size > this.largest) {
      throw new Error(`The file has ${item.file.size.toLocaleString("en")} bytes; the service accepts at most ` +
        `${this.largest.toLocaleString("en")}.`);
    }
    for (let tries = 1; ; tries++) {
      try {
        const answer = await sendFile(`/v1/denoise${query({ ...parameters, job: item.job })}`, item.file, {
          signal,
          onSent: (share) => this.report(item, SENT * share),
        });
        return readAnswer(item, parameters, answer);
      } catch (error) {
        item.lost = error.status === 0;
        if (error.status !== 503 && !item.lost) throw error;
        if (tries >= (item.lost ? LOST_TRIES : BUSY_TRIES)) throw error;
        this.changed(item);
        await pause(1000 * Math.min(item.lost ? 2 ** (tries - 1) : error.retryAfter || 1, 10));
        if (signal.aborted) throw new DOMException("stopped", "AbortError");
      }
    }
  }

  // Polls the progress for as long as an image is in work.
  async follow() {
    if (this.following) return;
    this.following = true;
    for (;;) {
      const working = this.items.filter((item) => item.state === "working");
      if (!working.length) break;
      try {
        const names = working.map((item) => `job=${item.job}`).join("&");
        const shares = await callJson(`/page/progress?${names}`);
        for (const item of working) {
          if (shares[item.job] != null) this.report(item, SENT + (0.97 - SENT) * shares[item.job]);
          else this.changed(item); // the time left counts down meanwhile
        }
      } catch {
        // The upload itself will say what is wrong.
      }
      await pause(POLL);
    }
    this.following = false;
  }

  report(item, share) {
    if (item.state !== "working") return;
    item.share = Math.max(item.share, share);
    item.lost = false;
    if (item.share >= 2 * SENT) item.clock.update(item.share); // sending says little about computing
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

// The row names the file already.
function withoutName(sentence, name) {
  const short = sentence.replace(`'${name}' cannot be read: `, "");
  return short[0].toUpperCase() + short.slice(1);
}

const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function readAnswer(item, parameters, { blob, header }) {
  const level = parameters.sigma ? null : header("Quietpixel-Sigma"); // a given level is no estimate
  const named = /filename\*=UTF-8''([^;]+)/.exec(header("Content-Disposition") ?? "");
  return {
    result: blob,
    resultName: named ? decodeURIComponent(named[1]) : `clean-${item.name}`,
    facts: JSON.parse(header("Quietpixel-Picture") ?? "{}"),
    notes: JSON.parse(header("Quietpixel-Notes") ?? "[]"),
    sigma: level ? Number(level) : item.sigma,
  };
}
