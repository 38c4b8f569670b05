// A digit through 16 principal components of MNIST, in place of the autoencoder's 16 numbers.

const PIXELS = 28 * 28;

export async function readComponents() {
  const { count, scale, values } = await (await fetch(new URL("./components.json", import.meta.url))).json();
  const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  const all = Float32Array.from(new Int16Array(bytes.buffer), (value) => value * scale);
  const part = (at) => all.subarray(at * PIXELS, (at + 1) * PIXELS);
  return new Components(part(0), Array.from({ length: count }, (_, at) => part(at + 1)));
}

class Components {
  constructor(mean, directions) {
    Object.assign(this, { mean, directions });
  }

  reconstruct(image) {
    const result = this.mean.slice();
    for (const direction of this.directions) {
      const number = direction.reduce((sum, weight, at) => sum + weight * (image[at] - this.mean[at]), 0);
      direction.forEach((weight, at) => (result[at] += number * weight));
    }
    return result.map((value) => Math.min(1, Math.max(0, value)));
  }
}
