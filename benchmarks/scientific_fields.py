"""What denoising does to simulated fields of stars and to simulated micrographs.

    python benchmarks/scientific_fields.py [--fields 4] [--strength 1]

Each field of stars has 512 x 512 pixels: a sky of 200 electrons, 150 stars of 200 to 200,000
electrons (evenly in the logarithm) with a seeing of 3 pixels (full width at half maximum), photon
noise, a read noise of 5 electrons and a gain of 1.5 electrons a count. Prints the noise of the sky
and the change of its mean, where stars add less than a count, and the flux of the stars that have
no neighbour within 16 pixels, relative to the truth, in an aperture of 12 pixels on the local sky.
Each micrograph has 512 x 512 pixels with 60 discs and rings and white noise; prints the correlation
with the truth at three signal-to-noise ratios (of variances), and that of the best of four Gaussian
filters. Both are denoised with the defaults. They are the figures of `docs/how-to/astronomy.md`
and `docs/how-to/electron-microscopy.md`.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

import quietpixel
from quietpixel.array_types import FloatArray

SIDE = 512
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
SKY, READ_NOISE, GAIN, SEEING = 200.0, 5.0, 1.5, 3.0
CLASSES = ((200, 600), (600, 2_000), (2_000, 200_000))
"""Stars by their electrons."""
RATIOS = (1.0, 0.3, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=4)
    parser.add_argument("--strength", type=float, default=1.0)
    given = parser.parse_args()
    denoise = partial(quietpixel.denoise, dtype="float32", strength=given.strength)
    rngs = [np.random.default_rng(seed) for seed in range(given.fields)]
    print_stars(denoise, rngs)
    print_micrographs(denoise, rngs)


def print_stars(
    denoise: Callable[[FloatArray], FloatArray], rngs: list[np.random.Generator]
) -> None:
    skies, fluxes = [], defaultdict(list)
    for rng in rngs:
        stars = np.stack([*rng.uniform(10, SIDE - 10, (2, 150)), 10 ** rng.uniform(2.3, 5.3, 150)])
        clean = SKY + sum(map(draw_star, *stars))
        counts = (rng.poisson(clean) + rng.normal(0, READ_NOISE, clean.shape)) / GAIN
        noisy, truth = counts.round().clip(0, 65535).astype(np.uint16), clean / GAIN
        denoised = denoise(noisy)
        empty = truth - SKY / GAIN < 1
        rest = denoised[empty] - truth[empty]
        skies.append(((noisy - truth)[empty].std(), rest.std(), rest.mean()))
        for row, column, electrons in stars.T:
            others = np.hypot(stars[0] - row, stars[1] - column)
            if np.sort(others)[1] > 16:
                known = flux(truth, row, column)
                low = next(low for low, high in CLASSES if electrons < high)
                fluxes[low].append([flux(each, row, column) / known for each in (noisy, denoised)])
    print("Sky, counts: noise {:.1f} -> {:.2f}, mean {:+.2f}".format(*np.mean(skies, axis=0)))
    for low, high in CLASSES:
        before, after = np.mean(fluxes[low], axis=0) - 1
        print(f"{len(fluxes[low])} stars of {low} to {high}: flux {before:+.1%} -> {after:+.1%}")


def draw_star(row: float, column: float, electrons: float) -> FloatArray:
    """Return the light of a star, (H, W), as a Gaussian."""
    squares = (ROWS - row) ** 2 + (COLUMNS - column) ** 2
    light = np.exp(-4 * np.log(2) * squares / SEEING**2)
    return electrons * light / light.sum()


def flux(image: FloatArray, row: float, column: float) -> float:
    """Return the light in an aperture of 12 pixels above the median of a ring around it."""
    away = np.hypot(ROWS - row, COLUMNS - column)
    inside = away < 6
    return float(image[inside].sum() - inside.sum() * np.median(image[(away > 9) & (away < 14)]))


def print_micrographs(
    denoise: Callable[[FloatArray], FloatArray], rngs: list[np.random.Generator]
) -> None:
    for ratio in RATIOS:
        found = []
        for rng in rngs:
            clean = draw_micrograph(rng)
            noise = clean.std() / np.sqrt(ratio) * rng.standard_normal(clean.shape)
            noisy = (clean + noise).astype(np.float32)
            filtered = [gaussian_filter(noisy, sigma) for sigma in (1, 2, 3, 4)]
            values = [correlate(each, clean) for each in (noisy, denoise(noisy), *filtered)]
            found.append((*values[:2], max(values[2:])))
        before, after, best = np.mean(found, axis=0)
        print(f"Ratio {ratio}: {before:.2f} -> {after:.3f}; Gaussian filter {best:.3f}")


def draw_micrograph(rng: np.random.Generator) -> FloatArray:
    """Return discs and rings, (H, W), from 0 to 1."""
    image = np.zeros((SIDE, SIDE))
    for row, column, radius, ring in rng.uniform((0, 0, 10, 0), (SIDE, SIDE, 30, 1), (60, 4)):
        away = np.hypot(ROWS - row, COLUMNS - column)
        image[np.abs(away - radius) < 4 if ring < 0.5 else away < radius] = 1
    return gaussian_filter(image, 1)


def correlate(first: FloatArray, second: FloatArray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


if __name__ == "__main__":
    main()
