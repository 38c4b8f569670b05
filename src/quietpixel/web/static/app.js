// Starts the page: tabs, theme, token, then the two tabs.

import { startDigits } from "./digits.js";
import { makeEngine } from "./engine.js";
import { Pictures } from "./pictures.js";
import { Settings } from "./settings.js";
import { startTheme } from "./theme.js";
import { Example, showSamples } from "./welcome.js";

const find = (id) => document.getElementById(id);

function say(text) {
  find("live").textContent = text;
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const show = (tab) => {
    for (const each of tabs) {
      const shown = each === tab;
      each.setAttribute("aria-selected", String(shown));
      each.tabIndex = shown ? 0 : -1;
      find(each.getAttribute("aria-controls")).hidden = !shown;
    }
    find(tab.getAttribute("aria-controls")).dispatchEvent(new Event("shown"));
    history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
    window.dispatchEvent(new Event("resize"));
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(at + step + tabs.length) % tabs.length];
      show(next);
      next.focus();
    });
  });
  const wanted = tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
  if (wanted) show(wanted);
}

async function askToken(reason) {
  const dialog = find("token");
  find("token-title").textContent = reason;
  find("token-text").value = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return find("token-text").value;
}

async function start() {
  startTheme(find("theme"));
  startTabs();
  try {
    const engine = await makeEngine(askToken);
    find("docs").hidden = !engine.isService;
    if (!engine.isService) navigator.serviceWorker?.register("service_worker.js").catch(() => {}); // without it the page needs a network
    const setup = await engine.setup();
    find("files").accept = setup.accept;
    find("formats").textContent = setup.formats;
    find("privacy").textContent = setup.privacy;
    const example = new Example(engine);
    const pictures = new Pictures(engine, setup, new Settings(setup), { say, example });
    startDigits(engine, setup.digits);
    document.body.dataset.ready = "yes";
    showSamples((file) => pictures.add([file]));
    await example.start();
  } catch (error) {
    find("notice").textContent = error.message;
    find("notice").hidden = false;
    if (document.body.dataset.ready) return;
    for (const part of document.querySelectorAll("[role=tabpanel], .tabs")) part.hidden = true; // nothing in them works
  }
}

start();
