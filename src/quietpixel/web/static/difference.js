// The removed noise: the difference of two views, amplified so that it can be seen.

// With gain 0 a fitting one is found; returns what was used.
export function difference(before, after, gain) {
  const strength = gain || findGain(before.data, after.data);
  const image = new ImageData(before.width, before.height);
  const [a, b, out] = [before.data, after.data, image.data];
  for (let at = 0; at < out.length; at += 4) {
    out[at] = 128 + (a[at] - b[at]) * strength;
    out[at + 1] = 128 + (a[at + 1] - b[at + 1]) * strength;
    out[at + 2] = 128 + (a[at + 2] - b[at + 2]) * strength;
    out[at + 3] = a[at + 3];
  }
  return { image, gain: strength };
}

// 99.5 % of the values then keep within 0.4 of middle gray, as in `quietpixel denoise --compare`.
function findGain(a, b) {
  const counts = new Uint32Array(256);
  let total = 0;
  for (let at = 0; at < a.length; at += 4) {
    if (!a[at + 3]) continue;
    for (let channel = 0; channel < 3; channel++) counts[Math.abs(a[at + channel] - b[at + channel])]++;
    total += 3;
  }
  let size = 255;
  for (let left = 0.005 * total; size > 0 && (left -= counts[size]) > 0; size--);
  return size ? Math.max(1, Math.min(100, Math.round((0.4 * 255) / size))) : 1;
}
