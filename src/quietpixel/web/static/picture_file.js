// Picture files in the browser: JPEG, PNG and WebP of 8 bits, opaque, of one frame. Everything else is
// refused with a sentence, because a browser would change it silently.

import { isGray } from "./pnm.js";
import { crc32 } from "./zip.js";

const ELSEWHERE = "Use the command line or the service for it.";
const TYPES = { jpeg: "image/jpeg", png: "image/png", webp: "image/webp" };
const QUALITY = 0.98; // files/jpeg.py: no higher one costs 0.04 dB less
const PIXEL_BYTES = 20; // decoded, pixels, result, and a canvas to encode them

// Returns {bitmap, format, exif, lossless, notes}.
export async function openPicture(file) {
  const { width, height, ...found } = inspectFile(new Uint8Array(await file.arrayBuffer()));
  // By the header, because a browser fails to decode what it has no memory for.
  const most = Math.round(((navigator.deviceMemory ?? 4) * 2 ** 30) / 4 / PIXEL_BYTES);
  if (width * height > most) {
    throw new Error(`The picture has ${megapixels(width * height)} megapixels; the memory of this tab is enough for ` +
      `${megapixels(most)}. ${ELSEWHERE}`);
  }
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("The file is damaged, or of a kind that this browser does not know.");
  });
  return { exif: null, lossless: true, notes: [], ...found, bitmap };
}

// Returns {pixels: ImageData, format, exif, lossless, notes, hasProfile}.
export async function readPicture(file) {
  const { bitmap, format, exif, lossless, notes } = await openPicture(file);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  let pixels;
  try {
    context.drawImage(bitmap, 0, 0);
    pixels = context.getImageData(0, 0, width, height);
  } catch {
    throw new Error(`This browser cannot hold a picture of ${width} × ${height} pixels. ${ELSEWHERE}`);
  }
  bitmap.close();
  for (let at = 3; at < pixels.data.length; at += 4) {
    if (pixels.data[at] < 255) throw new Error(`The picture has transparent parts, which a browser does not keep exactly. ${ELSEWHERE}`);
  }
  return { pixels, format, exif, lossless, notes, hasProfile: notes.includes(PROFILE) };
}

const megapixels = (count) => Math.round(count / 1e5) / 10;

// Returns {blob, facts, notes} for the pixels of a picture, in its own format or another.
export async function writePicture({ pixels, format, exif, lossless, notes }, wanted = "") {
  const kind = wanted || format;
  let blob = kind === "png" ? await encodePng(pixels) : await encode(pixels, TYPES[kind], kind === "webp" && lossless ? 1 : QUALITY);
  if (blob.type !== TYPES[kind]) throw new Error(`This browser does not write ${kind.toUpperCase()}; save as PNG.`);
  if (exif && kind === "jpeg") blob = new Blob([await withExif(blob, exif)], { type: blob.type });
  const facts = { width: pixels.width, height: pixels.height, type: "uint8", format: kind, pages: 1, profile: false };
  return { blob, facts, notes: exif && kind !== "jpeg" ? [...notes, "EXIF data is kept only in JPEG."] : notes };
}

function encode(pixels, type, quality) { // quality 1 makes WebP lossless
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type, quality });
}

// A canvas would add a channel of transparency, and make gray a colour.
async function encodePng({ data, width, height }) {
  const channels = isGray(data) ? 1 : 3, length = width * channels;
  const rows = new Uint8Array(height * (length + 1));
  for (let y = 0, to = 0; y < height; y++) {
    rows[to++] = 2; // filter: the difference from the row above
    for (let at = 4 * y * width; at < 4 * (y + 1) * width; at += 4) {
      for (let channel = 0; channel < channels; channel++) {
        rows[to++] = data[at + channel] - (y ? data[at + channel - 4 * width] : 0);
      }
    }
  }
  const packed = new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate")));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0800 + (channels === 3 ? 2 : 0)); // 8 bits, gray or RGB
  const parts = [["IHDR", new Uint8Array(header.buffer)], ["IDAT", new Uint8Array(await packed.arrayBuffer())], ["IEND", new Uint8Array()]];
  return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts.map((part) => pngChunk(...part))], { type: TYPES.png });
}

function pngChunk(name, content) {
  const chunk = new Uint8Array(content.length + 12), view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  chunk.set(new TextEncoder().encode(name), 4);
  chunk.set(content, 8);
  view.setUint32(content.length + 8, crc32(chunk.subarray(4, content.length + 8)));
  return chunk;
}

// Returns {width, height, format, exif, lossless, notes} of a file that the browser can treat, or throws.
function inspectFile(bytes) {
  const text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return inspectJpeg(bytes, text);
  if (text(1, 3) === "PNG") return inspectPng(bytes, text);
  if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return inspectWebp(bytes, text);
  throw new Error(`In the browser, JPEG, PNG and WebP can be denoised; this file is none of them. ${ELSEWHERE}`);
}

const PROFILE = "The colours are converted to sRGB.", LOST = "The browser does not keep all metadata of this file.";

function inspectJpeg(bytes, text) {
  let exif = null, at = 2, width = 0, height = 0;
  const notes = new Set();
  while (bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const marker = bytes[at + 1], length = (bytes[at + 2] << 8) | bytes[at + 3];
    if (marker >= 0xc0 && marker <= 0xc2) {
      height = (bytes[at + 5] << 8) | bytes[at + 6];
      width = (bytes[at + 7] << 8) | bytes[at + 8];
      if (bytes[at + 9] === 4) throw new Error(`The picture is in CMYK. ${ELSEWHERE}`);
    }
    if (marker === 0xe1 && text(at + 4, 4) === "Exif") {
      exif = uprightExif(bytes.slice(at, at + 2 + length));
      if (!exif) notes.add(LOST);
    } else if (marker === 0xe2 && text(at + 4, 11) === "ICC_PROFILE") notes.add(PROFILE);
    else if ((marker > 0xe0 && marker !== 0xee) || marker === 0xfe) notes.add(LOST);
    at += 2 + length;
  }
  return { width, height, format: "jpeg", exif, notes: [...notes] };
}

// The segment with orientation 1 and without the thumbnail, which would show the noise; null if it is
// damaged.
function uprightExif(segment) {
  const view = new DataView(segment.buffer), start = 10;
  try {
    const little = view.getUint16(start) === 0x4949;
    const first = start + view.getUint32(start + 4, little), count = view.getUint16(first, little);
    for (let entry = first + 2; entry < first + 2 + 12 * count; entry += 12) {
      if (view.getUint16(entry, little) === 0x0112) view.setUint16(entry + 8, 1, little);
    }
    view.setUint32(first + 2 + 12 * count, 0, little); // offset of the directory of the thumbnail
    return segment;
  } catch {
    return null;
  }
}

async function withExif(blob, exif) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const result = new Uint8Array(bytes.length + exif.length);
  result.set(bytes.subarray(0, 2));
  result.set(exif, 2);
  result.set(bytes.subarray(2), 2 + exif.length);
  return result;
}

function inspectPng(bytes, text) {
  if (bytes[24] === 16) throw new Error(`The picture has 16 bits, of which a browser keeps 8. ${ELSEWHERE}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset), notes = new Set();
  for (let at = 8; at + 8 < bytes.length; at += 12 + view.getUint32(at)) {
    const kind = text(at + 4, 4);
    if (kind === "acTL") throw new Error(`The picture has several frames. ${ELSEWHERE}`);
    if (kind === "iCCP") notes.add(PROFILE);
    else if (["eXIf", "tEXt", "zTXt", "iTXt", "pHYs"].includes(kind)) notes.add(LOST);
  }
  const [width, height] = [16, 20].map((at) => (at + 4 > bytes.length ? 0 : view.getUint32(at)));
  return { width, height, format: "png", notes: [...notes] };
}

function inspectWebp(bytes, text) {
  const extended = text(12, 4) === "VP8X", flags = extended ? bytes[20] : 0;
  if (flags & 0x02) throw new Error(`The picture has several frames. ${ELSEWHERE}`);
  const notes = [...(flags & 0x20 ? [PROFILE] : []), ...(flags & 0x0c ? [LOST] : [])];
  const from = extended ? new TextDecoder("latin1").decode(bytes).search("VP8[ L]") : 12;
  return { ...webpSize(bytes, text(12, 4)), format: "webp", lossless: text(from, 4) === "VP8L", notes };
}

// The three kinds of a first chunk store the size in 24, 14 and 14 bits, the first two of them less 1.
function webpSize(bytes, kind) {
  const bits = (at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
  if (kind === "VP8X") return { width: bits(24) + 1, height: bits(27) + 1 };
  if (kind === "VP8L") return { width: (bits(21) & 0x3fff) + 1, height: ((bits(22) >> 6) & 0x3fff) + 1 };
  return { width: bits(26) & 0x3fff, height: bits(28) & 0x3fff };
}
