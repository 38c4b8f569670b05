// The pictures of the page and their way through the service, a few at a time.

import { callJson, pause, query, sendFile } from "./api.js";

const ASK_EVERY = 400; // milliseconds between questions for progress
const SENT = 0.08; // share of the bar that sending takes
const TRIES = 60;

let count = 0;

export class Item {
  constructor(file) {
    Object.assign(this, { file, name: file.name || "pasted.png", id: ++count, state: "waiting", share: 0 });
  }

  get isOpen() { return this.state === "waiting" || this.state === "working"; }
}

export class Runs extends EventTarget {
  constructor({ atOnce, settings, largest }) {
    super();
    Object.assign(this, { atOnce, settings, largest, items: [] });
  }

  add(files) {
    const items = files.map((file) => new Item(file));
    this.items.push(...items);
    if (!this.since) this.restartClock();
    this.changed();
    this.next();
    return items;
  }

  remove(item) {
    this.items = this.items.filter((each) => each !== item);
    item.stopper?.abort();
    item.removed = true;
    this.changed();
    this.next();
  }

  // Puts every picture whose result has other settings into the line again.
  again(key) {
    for (const item of this.items) {
      if (item.key === key && item.state === "done") continue;
      item.stopper?.abort();
      Object.assign(item, { state: "waiting", share: 0, result: null, error: null });
    }
    this.restartClock();
    this.changed();
    this.next();
  }

  restartClock() {
    this.since = performance.now();
    this.bytesDone = 0;
  }

  next() {
    const working = this.items.filter((item) => item.state === "working").length;
    const waiting = this.items.filter((item) => item.state === "waiting");
    if (!working && !waiting.length) this.since = null;
    for (const item of waiting.slice(0, this.atOnce - working)) this.run(item);
    this.follow();
  }

  async run(item) {
    const stopper = (item.stopper = new AbortController());
    const { key, words } = this.settings();
    Object.assign(item, { state: "working", share: 0, began: performance.now(), key, words, job: newName() });
    this.changed(item);
    try {
      Object.assign(item, await this.send(item, words, stopper.signal), { state: "done", share: 1 });
    } catch (error) {
      if (stopper.signal.aborted) return;
      Object.assign(item, { state: "failed", error: plain(error.message, item.name) });
    }
    if (this.since) this.bytesDone += item.file.size;
    this.changed(item);
    this.next();
  }

  async send(item, words, signal) {
    if (item.file.size > this.largest) {
      throw new Error(`It has ${item.file.size.toLocaleString("en")} bytes, and the service takes ` +
        `${this.largest.toLocaleString("en")}.`);
    }
    for (let tries = 1; ; tries++) {
      try {
        const answer = await sendFile(`/v1/denoise${query({ ...words, job: item.job })}`, item.file, {
          signal,
          onSent: (share) => this.tell(item, SENT * share),
        });
        return readAnswer(item, words, answer);
      } catch (error) {
        if (error.status !== 503 || tries >= TRIES) throw error;
        await pause(1000 * Math.min(error.retryAfter || 1, 10));
        if (signal.aborted) throw new DOMException("stopped", "AbortError");
      }
    }
  }

  // Asks how far the pictures are for as long as one is in work.
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
          if (shares[item.job] != null) this.tell(item, SENT + (0.97 - SENT) * shares[item.job]);
        }
      } catch {
        // The upload itself will say what is wrong.
      }
      await pause(ASK_EVERY);
    }
    this.following = false;
  }

  tell(item, share) {
    if (item.state !== "working") return;
    item.share = Math.max(item.share, share);
    this.changed(item);
  }

  changed(item) {
    this.dispatchEvent(new CustomEvent("changed", { detail: item }));
  }

  // What is done of all, and the milliseconds left, as far as they are known.
  overall() {
    const total = sum(this.items, (item) => item.file.size) || 1;
    const open = this.items.filter((item) => item.isOpen);
    const left = sum(open, (item) => item.file.size * (1 - item.share));
    const done = this.bytesDone + sum(open, (item) => item.file.size * item.share);
    const speed = this.since && done / (performance.now() - this.since);
    return { share: 1 - left / total, left: speed && done > 0 ? left / speed : null, open: open.length };
  }
}

// Milliseconds that a picture in work still takes, or null while nobody knows.
export function timeLeft(item) {
  if (item.state !== "working" || item.share < 2 * SENT) return null;
  return ((performance.now() - item.began) / item.share) * (1 - item.share);
}

// The row names the file already.
function plain(sentence, name) {
  const short = sentence.replace(`'${name}' cannot be read: `, "");
  return short[0].toUpperCase() + short.slice(1);
}

const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function readAnswer(item, words, { blob, header }) {
  const level = words.sigma ? null : header("Quietpixel-Sigma"); // a level that was given is no estimate
  const named = /filename\*=UTF-8''([^;]+)/.exec(header("Content-Disposition") ?? "");
  return {
    result: blob,
    resultName: named ? decodeURIComponent(named[1]) : `clean-${item.name}`,
    facts: JSON.parse(header("Quietpixel-Picture") ?? "{}"),
    notes: JSON.parse(header("Quietpixel-Notes") ?? "[]"),
    sigma: level ? Number(level) : item.sigma,
    model: decodeURIComponent(header("Quietpixel-Model") ?? ""),
  };
}
