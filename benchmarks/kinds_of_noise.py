"""PSNR of a photo model on the kinds of noise that real pictures have, simulated.

    python benchmarks/kinds_of_noise.py MODEL FOLDER [--images 12] [--before CHECKOUT]
                                        [--json FILE]

The level is found automatically, the result rounded to 8 bits. Noise of 20/255 of which a share is
the same in all channels; a gray picture toned by (1, 0.98, 0.95) with noise of its own; film grain
(blurred by a Gaussian of 0.9 pixels, shared by the channels); salt and pepper of 2 %; row noise of
8/255; photon noise, made equally strong or not (`law`); no noise. Means in dB, and how far the mean
of a channel moved at most. --before names a checkout of an earlier version, whose own weights for
MODEL are run beside it, by today's code.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from record import Record
from scipy import ndimage

from quietpixel import Denoiser
from quietpixel.array_types import FloatArray
from quietpixel.files import list_images, read_picture
from quietpixel.imaging.metrics import psnr
from quietpixel.noise.laws import Poisson, SaltPepper

Noise = Callable[[FloatArray, np.random.Generator], tuple[FloatArray, FloatArray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    models, names = [given.model], [given.model]
    if given.before:
        models.append(given.before / "src" / "quietpixel" / "weights" / f"{given.model}.onnx")
        names.append("that of the version before")
    denoisers, record = [Denoiser(model) for model in models], Record()
    paths = list_images(given.folder).images[: given.images]
    record.table(f"{len(paths)} images", "noisy", *names, "largest shift of a mean, of 255")
    for name, noise, law in kinds():
        rows = [
            [judge(denoiser, path, noise, law, seed) for denoiser in denoisers]
            for seed, path in enumerate(paths)
        ]
        scores = np.array(rows).transpose(1, 0, 2)  # model, image, what was judged
        before, after = scores[0, :, 0].mean(), scores[:, :, 1].mean(axis=1)
        shift = scores[0, :, 2].max()
        record.row(name, f"{before:.2f}", *(f"{each:.2f}" for each in after), f"{shift:.2f}")
    record.save(given.json)


def judge(
    denoiser: Denoiser, path: Path, noise: Noise, law: str, seed: int
) -> tuple[float, float, float]:
    """Return the PSNR of one noisy image and of the result, and how far a channel's mean moved."""
    clean = read_picture(path).pages[0].astype(np.float32) / 255
    clean, noisy = noise(clean, np.random.default_rng(seed))
    given = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    denoised = denoiser(given, law=law)
    shift = np.abs(denoised.mean((0, 1)) - given.mean((0, 1))).max()
    before, after = (psnr(clean, each.astype(np.float32) / 255) for each in (given, denoised))
    return before, after, float(shift)


def kinds() -> Iterator[tuple[str, Noise, str]]:
    """Yield each kind of noise by name, what makes it, and the `law` of its denoising."""
    for share in (0.0, 0.5, 0.8, 1.0):
        yield f"sigma 20, shared {share:g}", shared(share), "auto"
    yield "toned gray, sigma 20", toned, "auto"
    yield "film grain, sigma 20", grain, "auto"
    yield "salt and pepper 2 %", lambda clean, rng: (clean, SaltPepper(0.02)(clean, rng)), "auto"
    yield "rows of 8/255", rows, "auto"
    for peak in (300, 100, 30):
        yield f"photons, {peak} at white", photons(peak), "auto"
        yield f"photons, {peak} at white, `law` none", photons(peak), "none"
    yield "none", lambda clean, rng: (clean, clean), "auto"


def shared(share: float) -> Noise:
    def noise(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        own, common = rng.standard_normal(clean.shape), rng.standard_normal((*clean.shape[:2], 1))
        return clean, clean + 20 / 255 * (np.sqrt(1 - share) * own + np.sqrt(share) * common)

    return noise


def toned(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    gray = clean.mean(axis=2, keepdims=True)
    tone = np.array([1, 0.98, 0.95], np.float32)
    return gray * tone, (gray + 20 / 255 * rng.standard_normal(gray.shape)) * tone


def grain(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    noise = ndimage.gaussian_filter(rng.standard_normal((*clean.shape[:2], 1)), (0.9, 0.9, 0))
    return clean, clean + 20 / 255 * noise / noise.std()


def photons(peak: float) -> Noise:
    return lambda clean, rng: (clean, Poisson(peak)(clean, rng))


def rows(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    return clean, clean + 8 / 255 * rng.standard_normal((len(clean), 1, 1))


if __name__ == "__main__":
    main()
