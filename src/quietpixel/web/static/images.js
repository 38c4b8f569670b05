// Decodes images: in the browser where it can, else through the service.

import { postBytes, query } from "./api.js";

// Formats whose depth or kind browsers do not show rightly are left to the service.
const BY_SERVICE = /\.(tiff?|p[bgpna]m|pfm|pnm)$/i;

// Returns {image, range}: `range` is what a later view of the same image must be shown with.
export async function openImage(blob, name, range = null) {
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

// All files of a drop, folders included.
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (!entries.length || entries.some((entry) => !entry)) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}

export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
