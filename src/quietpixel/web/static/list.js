// The list of pictures: one row each, with what became of it.

import { timeLeft } from "./runs.js";

const ICONS = {
  download: '<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>',
  remove: '<path d="M6 6l12 12M18 6 6 18"/>',
};

export class List {
  constructor(element, { onPick, onRemove, onDownload }) {
    Object.assign(this, { element, onPick, onRemove, onDownload });
    this.rows = new Map();
  }

  render(items, chosen) {
    for (const [item, row] of this.rows) {
      if (!items.includes(item)) {
        row.element.remove();
        this.rows.delete(item);
      }
    }
    for (const item of items) {
      if (!this.rows.has(item)) this.add(item);
      this.update(item, item === chosen);
    }
  }

  add(item) {
    const element = make("li", "row-item");
    const pick = make("button", "pick", { type: "button" });
    const thumb = make("canvas", "thumb", { width: 88, height: 88 });
    thumb.setAttribute("aria-hidden", "true");
    const words = make("span", "");
    const name = make("span", "name", { textContent: item.name, title: item.name });
    const state = make("span", "state");
    words.append(name, state);
    pick.append(thumb, words);
    const download = icon("download", `Download ${item.name}`);
    const remove = icon("remove", `Remove ${item.name}`);
    const bar = make("progress", "", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Progress of ${item.name}`);
    element.append(pick, download, remove, bar);
    pick.addEventListener("click", () => this.onPick(item));
    download.addEventListener("click", () => this.onDownload(item));
    remove.addEventListener("click", () => this.onRemove(item));
    this.element.append(element);
    this.rows.set(item, { element, pick, state, download, bar, thumb });
  }

  update(item, chosen) {
    const row = this.rows.get(item);
    if (!row) return;
    row.element.classList.toggle("chosen", chosen);
    row.element.classList.toggle("bad", item.state === "failed");
    row.element.classList.toggle("done", item.state === "done");
    row.pick.setAttribute("aria-current", chosen ? "true" : "false");
    row.download.hidden = item.state !== "done";
    row.bar.hidden = item.state !== "working";
    row.bar.value = item.share;
    setText(row.state, describe(item));
    row.state.title = item.error ?? "";
  }

  drawThumb(item, image) {
    const row = this.rows.get(item);
    if (!row || item.hasThumb) return;
    item.hasThumb = true;
    const side = Math.min(image.width, image.height);
    row.thumb.getContext("2d").drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, 88, 88);
  }
}

export function describe(item) {
  if (item.state === "failed") return item.error;
  if (item.state === "waiting") return "Waiting";
  if (item.state === "working") {
    const left = timeLeft(item);
    return left == null ? "In work" : `${Math.round(item.share * 100)} %, ${duration(left)} left`;
  }
  return ["Clean", describeFacts(item.facts)].filter(Boolean).join(" · ");
}

export function describeFacts({ width, height, type, format, pages, profile } = {}) {
  if (!width) return "";
  const depth = { uint8: "8 bits", uint16: "16 bits" }[type] ?? type;
  const parts = [`${width} × ${height}`, `${depth} ${format.toUpperCase()}`];
  if (pages > 1) parts.push(`${pages} pages`);
  if (profile) parts.push("with profile");
  return parts.join(", ");
}

export function duration(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 60) return `about ${seconds} s`;
  if (seconds < 3600) return `about ${Math.ceil(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

function make(tag, name, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (name) element.className = name;
  return element;
}

function icon(name, label) {
  const button = make("button", "small", { type: "button", title: label });
  button.setAttribute("aria-label", label);
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;
  return button;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
