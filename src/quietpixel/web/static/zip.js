// Packs files into a zip without compressing them again: image files are compressed already.

const TABLE = new Uint32Array(256).map((_, number) => {
  for (let bit = 0; bit < 8; bit++) number = number & 1 ? 0xedb88320 ^ (number >>> 1) : number >>> 1;
  return number;
});

export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

const MOST = 0xffffffff;

export async function makeZip(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, blob } of unique(files)) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const entry = { name: new TextEncoder().encode(name), crc: crc32(bytes), size: bytes.length, at };
    const head = localHeader(entry);
    parts.push(head, blob);
    directory.push(centralHeader(entry));
    at += head.length + bytes.length;
    if (at > MOST || directory.length > 65000) {
      throw new Error("All images together are too large for one zip; download them one by one.");
    }
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  return new Blob([...parts, ...directory, end(directory.length, size, at)], { type: "application/zip" });
}

function unique(files) {
  const taken = new Set();
  return files.map(({ name, blob }) => {
    const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number++) {
      free = `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
    }
    taken.add(free.toLowerCase());
    return { name: free, blob };
  });
}

function fields(...pairs) {
  const length = pairs.reduce((sum, [size]) => sum + size, 0);
  const view = new DataView(new ArrayBuffer(length));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

function joined(head, name) {
  const all = new Uint8Array(head.length + name.length);
  all.set(head);
  all.set(name, head.length);
  return all;
}

function stamp() {
  const now = new Date();
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const day = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [[2, time], [2, day]];
}

// Flag 0x800: names are UTF-8. Method 0: stored.
function localHeader({ name, crc, size }) {
  return joined(fields([4, 0x04034b50], [2, 20], [2, 0x800], [2, 0], ...stamp(), [4, crc], [4, size],
    [4, size], [2, name.length], [2, 0]), name);
}

function centralHeader({ name, crc, size, at }) {
  return joined(fields([4, 0x02014b50], [2, 20], [2, 20], [2, 0x800], [2, 0], ...stamp(), [4, crc],
    [4, size], [4, size], [2, name.length], [2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), name);
}

function end(count, size, at) {
  return fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
}
