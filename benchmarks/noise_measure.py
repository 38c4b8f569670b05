"""How well `quietpixel noise` measures noise of known laws on clean photographs.

    python benchmarks/noise_measure.py FOLDER [FOLDER ...] [--every 30] [--seed 0]

Takes every Nth picture of each folder, in gray, and adds noise. The first table gives the relative
error of sigma at the mean brightness of each image, as 10, 50 and 90 % quantiles over the images;
the medians of gain and read noise; and the error of the patch PCA (`quietpixel.noise.estimate`).
The second table gives the kinds found for noise of several kinds at three strengths, and the
median ratio of sigma to its true value.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.files import list_images, read_picture
from quietpixel.noise.estimate import estimate_sigma
from quietpixel.noise.measure import measure_noise
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng, parse_noise

LAWS = (
    *("gaussian:2/255", "gaussian:5/255", "gaussian:15/255", "gaussian:25/255", "gaussian:50/255"),
    *("gaussian:25/255,clip=no", "poisson:1000", "poisson:100", "poisson:30"),
    *("poisson:40+gaussian:0.01", "poisson:100+gaussian:0.05", "poisson:500+gaussian:0.02"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    paths = [p for folder in given.folders for p in list_images(folder).images[:: given.every]]
    images = [read_gray(path) for path in paths]
    print(f"{len(images)} images\n")
    print("| law | sigma, error in % | patch PCA, error in % | gain | read noise |")
    print("|---|---|---|---|---|")
    for text in LAWS:
        print(judge_law(text, images, given.seed), flush=True)
    print("\n| noise | sigma of 255 | found | sigma / truth |\n|---|---|---|---|")
    for name, make in KINDS.items():
        for sigma in (5, 15, 40):
            print(judge_kind(name, make, sigma, images), flush=True)


def read_gray(path: Path) -> FloatArray:
    picture = read_picture(path)
    pixels = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
    return pixels.mean(axis=2, keepdims=True)


def judge_law(text: str, images: list[FloatArray], seed: int) -> str:
    law = parse_noise(text)
    errors, rivals, gains, reads = [], [], [], []
    for index, clean in enumerate(images):
        noisy = law(clean, image_rng(seed, FROZEN_EPOCH, index))
        truth = float(np.sqrt(law.propagate(clean, np.zeros_like(clean))[1].mean()))
        measure = measure_noise(noisy)
        errors.append(100 * (measure.sigma / truth - 1))
        rivals.append(100 * (estimate_sigma(noisy) / truth - 1))
        gains.append(measure.gain)
        reads.append(measure.read_noise)
    numbers = f"{np.median(gains):.5f} | {np.median(reads):.4f}"
    return f"| {text} | {points(errors)} | {points(rivals)} | {numbers} |"


def points(errors: list[float]) -> str:
    return " / ".join(f"{value:+.1f}" for value in np.percentile(errors, [10, 50, 90]))


def blurred(shape: tuple[int, ...], rng: np.random.Generator, *, width: float) -> FloatArray:
    weights = np.exp(-(np.arange(-4, 5) ** 2) / (2 * width**2))
    noise = rng.standard_normal(shape[:2])
    for axis in (0, 1):
        noise = np.apply_along_axis(np.convolve, axis, noise, weights, "same")
    return (noise / noise.std())[..., np.newaxis].astype(np.float32)


def lines(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Return white noise and columns of their own brightness, half of the variance each."""
    both = rng.standard_normal(shape) + rng.standard_normal((1, shape[1], 1))
    return (both * np.sqrt(0.5)).astype(np.float32)


KINDS: dict[str, Callable[..., FloatArray]] = {
    "white": lambda shape, rng: rng.standard_normal(shape, np.float32),
    "blurred by 0.5 pixels": lambda shape, rng: blurred(shape, rng, width=0.5),
    "blurred by 0.7 pixels": lambda shape, rng: blurred(shape, rng, width=0.7),
    "blurred by 1.2 pixels": lambda shape, rng: blurred(shape, rng, width=1.2),
    "columns, half of the variance": lines,
}


def judge_kind(
    name: str, make: Callable[..., FloatArray], sigma: int, images: list[FloatArray]
) -> str:
    found: Counter[str] = Counter()
    ratios = []
    for index, clean in enumerate(images):
        noise = make(clean.shape, np.random.default_rng(index)) * np.float32(sigma / 255)
        measure = measure_noise(np.clip(clean + noise, 0, 1))
        found[measure.kind] += 1
        ratios.append(measure.sigma / (sigma / 255))
    counts = ", ".join(f"{kind} {count}" for kind, count in found.most_common())
    return f"| {name} | {sigma} | {counts} | {np.median(ratios):.2f} |"


if __name__ == "__main__":
    main()
