// The engine that computes on the service that serves the page.

import { Problem, callJson, hasToken, keepToken, pause, postBytes, postJson, query, sendFile } from "./api.js";
import { decodePnm, encodePnm } from "./pnm.js";

const POLL = 400; // milliseconds between requests for progress
const SENT = 0.08; // share of the progress that sending takes
const BUSY_TRIES = 60, LOST_TRIES = 8; // the latter wait a minute in all, enough for a restart
// Formats whose depth or kind browsers do not show rightly are left to the service.
const BY_SERVICE = /\.(tiff?|p[bgpna]m|pfm|pnm)$/i;

export class ServiceEngine {
  constructor(askToken) {
    Object.assign(this, { askToken, isService: true });
    this.jobs = new Map(); // reports of the requests in work, by name
  }

  async setup() {
    const [{ in_hand: atOnce, body: largest, digits, formats, suffixes }, models] = await this.ask();
    this.largest = largest;
    return {
      ...models, atOnce, digits, accept: ["image/*", ...suffixes].join(),
      formats: `${new Intl.ListFormat("en-GB").format(formats)}.`,
      written: ["png", "tiff", "jpeg", "webp", "avif"],
      privacy: "Pictures go only to the machine that serves this page, and are forgotten there.",
    };
  }

  async ask() {
    for (;;) {
      try {
        return await Promise.all([callJson("/page/setup"), callJson("/v1/models")]);
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 401) throw error;
        keepToken(await this.askToken(hasToken() ? "The token is wrong" : "This service needs a token"));
      }
    }
  }

  // `range` is what a later view of the same image must be shown with.
  async openImage(blob, name, range = null) {
    if (!BY_SERVICE.test(name) && range === null) {
      try {
        return { image: await createImageBitmap(blob), range: null };
      } catch {
        // The service knows more formats, and says what is wrong with others.
      }
    }
    const answer = await postBytes(`/page/view${query({ range: range ?? "" })}`, blob);
    const found = answer.headers.get("Quietpixel-Range");
    return { image: await createImageBitmap(await answer.blob()), range: found };
  }

  async estimate(pixels, { signal }) {
    return (await postBytes("/page/estimate", encodePnm(pixels), signal)).json();
  }

  async preview(pixels, parameters, { signal }) {
    const answer = await postBytes(`/page/preview${query({ ...parameters, format: "pnm" })}`, encodePnm(pixels), signal);
    return decodePnm(await answer.arrayBuffer(), pixels);
  }

  async denoise(file, parameters, { signal, onProgress, onLost }) {
    if (file.size > this.largest) {
      throw new Error(`The file has ${file.size.toLocaleString("en")} bytes; the service accepts at most ` +
        `${this.largest.toLocaleString("en")}.`);
    }
    const job = newName();
    this.jobs.set(job, (share) => onProgress(SENT + (0.97 - SENT) * share));
    this.follow();
    try {
      for (let tries = 1; ; tries++) {
        try {
          const sent = { signal, onSent: (share) => onProgress(SENT * share) };
          return readAnswer(file, await sendFile(`/v1/denoise${query({ ...parameters, job })}`, file, sent));
        } catch (error) {
          const lost = error.status === 0;
          if ((error.status !== 503 && !lost) || tries >= (lost ? LOST_TRIES : BUSY_TRIES)) throw error;
          onLost(lost);
          await pause(1000 * Math.min(lost ? 2 ** (tries - 1) : error.retryAfter || 1, 10));
          if (signal.aborted) throw new DOMException("stopped", "AbortError");
        }
      }
    } finally {
      this.jobs.delete(job);
    }
  }

  // Polls the progress for as long as an image is in work.
  async follow() {
    if (this.following) return;
    this.following = true;
    while (this.jobs.size) {
      try {
        const names = [...this.jobs.keys()].map((job) => `job=${job}`).join("&");
        for (const [job, share] of Object.entries(await callJson(`/page/progress?${names}`))) {
          if (share != null) this.jobs.get(job)?.(share);
        }
      } catch {
        // The upload itself will say what is wrong.
      }
      await pause(POLL);
    }
    this.following = false;
  }

  digit(question) {
    return postJson("/page/digit", question);
  }
}

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function readAnswer(file, { blob, header }) {
  const level = header("Quietpixel-Sigma");
  const named = /filename\*=UTF-8''([^;]+)/.exec(header("Content-Disposition") ?? "");
  return {
    blob, name: named ? decodeURIComponent(named[1]) : `clean-${file.name}`,
    facts: JSON.parse(header("Quietpixel-Picture") ?? "{}"), notes: JSON.parse(header("Quietpixel-Notes") ?? "[]"),
    sigma: level ? Number(level) : null,
  };
}
