// Drives Firefox through the main journey: drop a picture, see it clean, change a setting, download.
//
//     node firefox.mjs PUPPETEER FIREFOX ADDRESS PICTURE FOLDER
//
// Prints as JSON what the page showed; the downloads are in FOLDER.

import { readFile, readdir, rename } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [puppeteerFile, executablePath, address, picture, folder] = process.argv.slice(2);
const { default: puppeteer } = await import(pathToFileURL(puppeteerFile));
const PATIENCE = 240_000;

const browser = await puppeteer.launch({
  browser: "firefox", executablePath, headless: true, protocolTimeout: PATIENCE,
  extraPrefsFirefox: { "browser.download.folderList": 2, "browser.download.dir": folder },
});
const page = await browser.newPage(), troubles = [];
page.on("pageerror", (error) => troubles.push(String(error)));
await page.setViewport({ width: 1200, height: 800 });

// Polled from here, because the policy of the page forbids what `waitForFunction` injects.
async function wait(what, holds, ...words) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await new Promise((go) => setTimeout(go, 100))) {
    if (await holds(...words)) return;
  }
  throw new Error(`Waited in vain for ${what}; the page shows: ${await page.evaluate(() => document.body.innerText)}`);
}

const shows = (selector, text = "") => wait(`${selector} ${text}`, () => page.evaluate(
  (wanted, words) => [...document.querySelectorAll(wanted)].some((found) => found.textContent.includes(words)), selector, text));

// How much neighbours differ left and right of the border between before and after.
const sides = () => page.evaluate(() => {
  const { width, height } = document.getElementById("canvas");
  const middle = width >> 1, context = document.getElementById("canvas").getContext("2d");
  return [middle - 130, middle + 30].map((left) => {
    const { data } = context.getImageData(left, (height >> 1) - 50, 100, 100);
    let sum = 0;
    for (let at = 0; at + 4 < data.length; at += 4) sum += Math.abs(data[at] - data[at + 4]);
    return sum;
  });
});

async function download(name) {
  const before = await readdir(folder);
  await page.click("#save");
  let found;
  await wait("the download", async () => {
    const now = await readdir(folder);
    found = now.find((each) => !before.includes(each) && !each.endsWith(".part"));
    return found && !now.some((each) => each.endsWith(".part"));
  });
  await rename(`${folder}/${found}`, `${folder}/${name}`);
  return found;
}

try {
  await page.goto(address);
  await shows("body[data-ready]");
  await page.evaluate((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "a.png", { type: "image/png" }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, (await readFile(picture)).toString("base64"));
  await shows(".row-item.done");
  await shows("#tag", "After");
  const shown = await sides(), name = await download("clean.png");
  await page.evaluate(() => {
    const strength = document.getElementById("strength");
    strength.value = 0;
    strength.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await shows("#save", "Update and download");
  await download("unchanged.png");
  await shows("#tag", "After");
  console.log(JSON.stringify({ name, shown, unchanged: await sides(), troubles }));
} finally {
  await browser.close();
}
