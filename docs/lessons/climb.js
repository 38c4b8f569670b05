// Climbs from noise to a picture with nothing but a denoiser (Kadkhodaie and Simoncelli, 2021).

const END = 0.05; // the share of the noise that is left before the last step
const FASTER = 10; // a step takes away up to so many times the noise that it should

// `denoise` answers a picture with a picture; `normal` returns random numbers. After each step,
// `onStep` gets the picture and how far the denoiser would still change it; if it returns false,
// the climb is given up.
export async function climb(start, denoise, { steps, normal, onStep = () => {} }) {
  const kept = END ** (1 / steps), stride = Math.min(1, FASTER * (1 - kept));
  let image = start;
  for (let step = 1; step <= steps; step++) {
    const denoised = await denoise(image);
    const residual = denoised.map((value, at) => value - image[at]);
    if (step === steps) return denoised;
    const level = Math.sqrt(residual.reduce((sum, value) => sum + value ** 2, 0) / residual.length);
    // The step leaves (1 - stride) * level. New noise makes it kept * level, so that the climb does
    // not end on the first path that it finds; independent noise adds up by squares.
    const fresh = level * Math.sqrt(Math.max(0, kept ** 2 - (1 - stride) ** 2));
    image = image.map((value, at) => value + stride * residual[at] + fresh * normal());
    if (onStep({ step, image, level }) === false) break;
  }
  return null;
}
