"""Whether a model and its automatic noise level still do well on every kind of noise.

    python benchmarks/level_checks.py [--model photo] [--only TEXT ...] [--count 27] [--float]
                                      [--data FOLDER] [--json FILE]

One table, to be compared with that of another model or version: PSNR in dB with the automatic
level and with the true deviation given, then the levels that were found, of 255. Noise of a fixed
seed is added to the middle 256 x 256 pixels of validation photographs (every 20th by name of
``photos/train``), clipped and rounded to 8 bits, or with ``--float`` neither. Real noise is that of
the PolyU pairs of the Canon 600D. For old prints, in gray, the figure is the deviation that a tenth
of the blocks of 16 x 16 pixels does not exceed. ``--only`` keeps the rows whose name contains one
of the texts. It takes 2 minutes of two cores.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from file_quality import add_blotches
from flat_areas import flattest_deviation
from PIL import Image
from record import Record
from scipy import ndimage

from quietpixel import Denoiser
from quietpixel.array_types import FloatArray
from quietpixel.files import list_images, read_picture
from quietpixel.imaging.metrics import psnr

Rng = np.random.Generator
Noise = Callable[[FloatArray, Rng], FloatArray]
Pairs = list[tuple[FloatArray, FloatArray]]
SIDE = 256
PRINTS = ("Vinegar", "Old_Tom_Morris")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--count", type=int, default=27, help="validation photographs")
    parser.add_argument("--float", action="store_true", help="noise is not clipped or rounded")
    data = os.environ.get("QUIETPIXEL_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    def wanted(name: str) -> bool:
        return any(text in name for text in given.only)

    denoiser, record, photos = Denoiser(given.model), Record(), Path(given.data) / "photos"
    record.table("noise", "noisy", "automatic", "level given", "level", "at most, least")
    crops = [read_middle(path) for path in validation(photos / "train")[: given.count]]
    for name, true, noise in kinds():
        if wanted(name):
            clean = [dark(each) if name.startswith("dark") else each for each in crops]
            clean = [gray(each) if name.startswith("gray") else each for each in clean]
            noisy = [noise(each, np.random.default_rng(seed)) for seed, each in enumerate(clean)]
            if not given.float:
                noisy = [np.rint(each.clip(0, 1) * 255).astype(np.uint8) for each in noisy]
            compare(record, denoiser, name, list(zip(clean, noisy, strict=True)), true)
    pairs = list(read_pairs(photos / "real" / "polyu"))
    for name, change, times in (
        ("600D", lambda image: image, 1),
        ("600D, twice its noise", lambda image: image, 2),
        ("600D, three times", lambda image: image, 3),
        ("600D, half the size", halve, 1),
        ("600D, sharpened", sharpen, 1),
        ("gray 600D", gray_bytes, 1),
    ):
        if wanted(name):
            both = [
                (change(mean) / np.float32(255), change(amplify(mean, real, times)))
                for mean, real in pairs
            ]
            compare(record, denoiser, name, both)
    for name in filter(wanted, PRINTS):
        noisy = np.asarray(Image.open(photos / "real" / "rni" / f"{name}.png").convert("L"))
        before, after = (flattest_deviation(each) for each in (noisy, denoiser(noisy)))
        level = 255 * denoiser.estimate_sigma(noisy)
        record.row(f"{name}, deviation", f"{before:.1f}", f"{after:.2f}", "", f"{level:.1f}", "")
    record.save(given.json)


def compare(
    record: Record, denoiser: Denoiser, name: str, pairs: Pairs, true: float | None = None
) -> None:
    """Add the row of one kind of noise: means over the pairs of clean and noisy images."""
    nominal = (0.0, 255.0) if pairs[0][1].dtype == np.uint8 else (0.0, 1.0)

    def score(image: FloatArray, clean: FloatArray) -> float:
        return psnr(clean, (image / np.float32(nominal[1])).clip(0, 1))

    def quality(sigma: float | str) -> float:
        denoised = (
            score(denoiser(noisy, range=nominal, sigma=sigma), clean) for clean, noisy in pairs
        )
        return float(np.mean(list(denoised)))

    before = np.mean([score(noisy, clean) for clean, noisy in pairs])
    levels = [255 * denoiser.estimate_sigma(noisy, range=nominal) for _, noisy in pairs]
    told = f"{quality(true / 255):.3f}" if true and denoiser.card.takes_level else ""
    record.row(
        name, f"{before:.2f}", f"{quality('auto'):.3f}", told, f"{np.mean(levels):.1f}",
        f"{max(levels):.1f}, {min(levels):.1f}",
    )  # fmt: skip


def kinds() -> Iterator[tuple[str, float | None, Noise]]:
    """Yield each kind of added noise: its name, its deviation where that is the best level."""
    for sigma in (15, 25, 50):
        yield f"white {sigma}", sigma, grain(sigma, 0, shared=0)
    for share in (0, 0.5, 0.8, 1):
        yield f"N1: 20, shared {share}", None, grain(20, 0, shared=share)
    yield "grain of 11.3, blurred by 0.9", None, grain(11.3, 0.9)
    for quality in (30, 50, 75):
        yield f"white 15, JPEG {quality}", None, stored(15, quality)
    yield "no noise", None, lambda clean, rng: clean
    for sigma in (5, 15, 25, 50):
        yield f"gray, white {sigma}", sigma, grain(sigma, 0)
    for blur in (0.6, 0.9):
        yield f"gray, grain of 11.3, blurred by {blur}", None, grain(11.3, blur)
    for quality in (40, 85):
        yield f"gray, white 15, JPEG {quality}", None, stored(15, quality)
    yield "gray, no noise", None, lambda clean, rng: clean
    yield "dark, white 4", 4, grain(4, 0, shared=0)
    yield "dark, white 4 and blotches of colour", None, add_blotches


def grain(sigma: float, blur: float, shared: float = 1) -> Noise:
    """Return Gaussian noise of which the channels share a part of the variance."""

    def noise(clean: FloatArray, rng: Rng) -> FloatArray:
        own, common = rng.standard_normal(clean.shape), rng.standard_normal((*clean.shape[:2], 1))
        drawn = np.sqrt(1 - shared) * own + np.sqrt(shared) * common
        if blur:
            drawn = ndimage.gaussian_filter(drawn, (blur, blur, 0))
            drawn /= drawn.std()
        return (clean + sigma / 255 * drawn).astype(np.float32)

    return noise


def dark(image: FloatArray) -> FloatArray:
    """Return an image at a sixth of its light."""
    return image / np.float32(6)


def stored(sigma: float, quality: int) -> Noise:
    """Return white noise, in each channel of its own, as JPEG of this quality gives it back."""

    def noise(clean: FloatArray, rng: Rng) -> FloatArray:
        noisy = grain(sigma, 0, shared=0)(clean, rng)
        pixels, file = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8), BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file), np.float32).reshape(clean.shape) / 255

    return noise


def validation(folder: Path) -> list[Path]:
    return list(list_images(folder, recursive=True).images[19::20])


def read_middle(path: Path) -> FloatArray:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    top, left = (max(length - SIDE, 0) // 2 for length in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE]


def gray(image: FloatArray) -> FloatArray:
    return (image @ np.array([0.299, 0.587, 0.114], np.float32))[..., np.newaxis]


def gray_bytes(image: FloatArray) -> FloatArray:
    return np.rint(gray(image.astype(np.float32))).astype(np.uint8)


def halve(image: FloatArray) -> FloatArray:
    return np.asarray(Image.fromarray(image).reduce(2))


def sharpen(image: FloatArray) -> FloatArray:
    """Return an image sharpened as strongly as a camera does at most."""
    values = image.astype(np.float32)
    blurred = ndimage.gaussian_filter(values, (1, 1, 0))
    return np.rint((2 * values - blurred).clip(0, 255)).astype(np.uint8)


def amplify(mean: FloatArray, real: FloatArray, times: int) -> FloatArray:
    """Return the real photograph with so many times its noise, of 8 bits."""
    noise = real.astype(np.int16) - mean
    return (mean + times * noise).clip(0, 255).astype(np.uint8)


def read_pairs(folder: Path) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield mean and real photograph of each pair of the Canon 600D, of 8 bits."""
    for path in list_images(folder).images:
        if path.name.startswith("Canon600D") and "_real." in path.name:
            mean = path.with_name(path.name.replace("_real.", "_mean."))
            yield read_picture(mean).pages[0], read_picture(path).pages[0]


if __name__ == "__main__":
    main()
