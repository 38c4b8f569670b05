// The film strip: one tile for each image, with its state and what can be done with it.

import { setText } from "./text.js";

const ICONS = {
  download: '<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>',
  remove: '<path d="M6 6l12 12M18 6 6 18"/>',
  retry: '<path d="M19 12a7 7 0 1 1-2-5M19 3v5h-5"/>',
};
const THUMB = 192;

export class FilmStrip {
  constructor(element, { onPick, onRemove, onDownload, onRetry }) {
    Object.assign(this, { element, onPick, onRemove, onDownload, onRetry });
    this.tiles = new Map();
    element.addEventListener("keydown", (event) => this.onKey(event));
  }

  // Arrow keys move between the images, of which Tab reaches one; D and Delete act on it.
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const items = [...this.tiles.keys()];
    const at = items.findIndex((item) => this.tiles.get(item).element.contains(event.target));
    const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) {
      const item = items[Math.min(Math.max(to, 0), items.length - 1)];
      this.onPick(item);
      this.focus(item);
    } else if (event.key === "Delete") this.onRemove(items[at]);
    else if (event.key.toLowerCase() === "d") this.onDownload(items[at]);
    else return;
    event.preventDefault();
  }

  focus(item, options) {
    this.tiles.get(item)?.pick.focus(options);
  }

  render(items, chosen) {
    for (const [item, { element }] of this.tiles) {
      if (!items.includes(item)) {
        element.remove();
        this.tiles.delete(item);
      }
    }
    // In the order of `items`, because an undone removal puts images back where they were.
    const tiles = new Map(items.map((item) => [item, this.tiles.get(item) ?? this.make(item)]));
    [...tiles.values()].forEach(({ element }, at) => {
      if (this.element.children[at] !== element) this.element.insertBefore(element, this.element.children[at] ?? null);
    });
    this.tiles = tiles;
    for (const item of items) this.update(item, item === chosen);
  }

  make(item) {
    const element = make("li", "row-item");
    const pick = make("button", "pick", { type: "button", title: item.name });
    item.thumb ??= make("canvas", "thumb", { width: THUMB, height: THUMB }); // survives an undone removal
    item.thumb.setAttribute("aria-hidden", "true");
    const name = make("span", "name", { textContent: item.name });
    const state = make("span", "state");
    pick.append(item.thumb, name, state);
    const buttons = {
      retry: icon("retry", `Retry ${item.name}`, () => this.onRetry(item)),
      download: icon("download", `Download ${item.name}`, () => this.onDownload(item)),
      remove: icon("remove", `Remove ${item.name}`, () => this.onRemove(item)),
    };
    buttons.download.classList.add("download");
    const bar = make("progress", "", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Progress of ${item.name}`);
    const actions = make("span", "actions");
    actions.append(...Object.values(buttons));
    element.append(pick, actions, bar);
    pick.addEventListener("click", () => this.onPick(item));
    return { element, pick, state, bar, buttons };
  }

  update(item, chosen) {
    const tile = this.tiles.get(item);
    if (!tile) return;
    const { element, pick, state, bar, buttons } = tile;
    const isNew = chosen && !element.classList.contains("chosen");
    element.classList.toggle("chosen", chosen);
    element.classList.toggle("bad", item.state === "failed");
    element.classList.toggle("done", item.isCurrent);
    element.classList.toggle("outdated", item.state === "done" && item.isOutdated);
    pick.setAttribute("aria-current", chosen ? "true" : "false");
    for (const button of [pick, ...Object.values(buttons)]) button.tabIndex = chosen ? 0 : -1;
    buttons.download.hidden = item.state !== "done";
    buttons.retry.hidden = item.state !== "failed";
    bar.hidden = item.state !== "working";
    bar.value = item.share;
    const text = describe(item);
    setText(state, text);
    state.title = text;
    if (isNew) this.reveal(element);
  }

  // scrollIntoView would scroll a narrow page too, away from the image.
  reveal({ offsetLeft, offsetWidth }) {
    const { scrollLeft, clientWidth } = this.element;
    this.element.scrollLeft = Math.min(Math.max(scrollLeft, offsetLeft + offsetWidth + 4 - clientWidth), offsetLeft - 4);
  }

  drawThumb(item, image) {
    if (!item.thumb || item.hasThumb) return;
    item.hasThumb = true;
    const side = Math.min(image.width, image.height);
    item.thumb.getContext("2d").drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, THUMB, THUMB);
  }
}

export function describe(item) {
  if (item.state === "failed") return item.error;
  if (item.state === "waiting") return "Waiting";
  if (item.state === "working") {
    if (item.lost) return "The service cannot be reached; trying again";
    const left = item.clock.left();
    if (left === null) return "Denoising";
    const percent = `${Math.round(item.share * 100)} %`;
    return left ? `${percent}, ${duration(left)} left` : percent; // late, so nobody knows
  }
  if (item.isOutdated) return "Out of date";
  return ["Clean", describeFacts(item.facts)].filter(Boolean).join(" · ");
}

export function describeFacts({ width, height, type, format, pages, profile } = {}) {
  if (!width) return "";
  const depth = { uint8: "8-bit", uint16: "16-bit" }[type] ?? type;
  const parts = [`${width} × ${height}`, `${depth} ${format.toUpperCase()}`];
  if (pages > 1) parts.push(`${pages} pages`);
  if (profile) parts.push("with profile");
  return parts.join(", ");
}

export function duration(milliseconds) {
  const seconds = Math.max(1, Math.ceil(milliseconds / 1000));
  if (seconds < 60) return `about ${seconds} s`;
  if (seconds < 3600) return `about ${Math.ceil(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

function make(tag, name, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (name) element.className = name;
  return element;
}

function icon(name, label, onClick) {
  const button = make("button", "small", { type: "button", title: label });
  button.setAttribute("aria-label", label);
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;
  button.addEventListener("click", onClick);
  return button;
}
