// Pixels to and from PNM, which is not compressed and so takes no time.

export function encodePnm({ width, height, data }) {
  const gray = isGray(data);
  const head = new TextEncoder().encode(`${gray ? "P5" : "P6"} ${width} ${height} 255\n`);
  const bytes = new Uint8Array(head.length + width * height * (gray ? 1 : 3));
  bytes.set(head);
  let at = head.length;
  for (let from = 0; from < data.length; from += 4) {
    bytes[at++] = data[from];
    if (gray) continue;
    bytes[at++] = data[from + 1];
    bytes[at++] = data[from + 2];
  }
  return bytes;
}

export function isGray(data) {
  for (let at = 0; at < data.length; at += 4) if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) return false;
  return true;
}

// Returns pixels of 8 bits with the transparency of `like`.
export function decodePnm(buffer, like) {
  const bytes = new Uint8Array(buffer);
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  const [all, kind, width, height] = head.match(/^(P5|P6)\s+(\d+)\s+(\d+)\s+255\s/) ?? [];
  if (!all) throw new Error("The page cannot read the preview from the service.");
  const result = new ImageData(Number(width), Number(height));
  const step = kind === "P5" ? 0 : 1;
  for (let to = 0, from = all.length; to < result.data.length; to += 4) {
    result.data[to] = bytes[from];
    result.data[to + 1] = bytes[from + step];
    result.data[to + 2] = bytes[from + 2 * step];
    result.data[to + 3] = like.data[to + 3];
    from += kind === "P5" ? 1 : 3;
  }
  return result;
}

// Blends an image with its denoised version, in luminance and in colour, as the service does
// (inference/job.py, imaging/strength.py); of the noise found only a share is removed.
export function mix(noisy, clean, { strength, colour = strength, share = 1 }) {
  const result = new ImageData(clean.width, clean.height);
  const light = share * Math.min(strength, 1), tint = share * Math.min(colour, 1);
  const [a, b, out] = [noisy.data, clean.data, result.data];
  for (let at = 0; at < out.length; at += 4) {
    const red = a[at] - b[at], green = a[at + 1] - b[at + 1], blue = a[at + 2] - b[at + 2];
    const back = (tint - light) * (0.2126 * red + 0.7152 * green + 0.0722 * blue);
    out[at] = a[at] - tint * red + back;
    out[at + 1] = a[at + 1] - tint * green + back;
    out[at + 2] = a[at + 2] - tint * blue + back;
    out[at + 3] = b[at + 3];
  }
  return result;
}
