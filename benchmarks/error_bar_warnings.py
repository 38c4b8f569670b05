"""What error bars hold on images that are not warned about, over eight generated data sets.

    python benchmarks/error_bar_warnings.py [--model photo] [--images 40] [--first 0]

Each set has a content and a noise. A copy of the model's calibration is fitted to the first images
of one set and tried on the others of all eight. Prints, in percent, how many images are warned
about and how many pixels of the other images lie inside the 90 % intervals; the last column has
those of all eight sets together.
"""

import argparse
import os
from collections.abc import Callable

# Before NumPy: its threads wait for cores that the engine computes on, and took three quarters of
# the processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from quietpixel import Denoiser
from quietpixel.imaging.familiarity import describe_image, fit_familiarity
from quietpixel.imaging.uncertainty import draw_pixels, fit_pixels

Array = NDArray[np.float64]
Make = Callable[[np.random.Generator], Array]
Corrupt = Callable[[Array, np.random.Generator], Array]
SIDE = 160


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first image of a set")
    given = parser.parse_args()
    denoiser = Denoiser(given.model)
    numbers = range(given.first, given.first + 2 * given.images)
    sets = [make_set(denoiser, number, numbers) for number in range(len(SETS))]
    print(
        f"| calibrated on | {' | '.join(SETS)} | all |\n|---|{'---|' * len(SETS)}---|", flush=True
    )
    for name, (drawn, described) in zip(SETS, sets, strict=True):
        first, rest = slice(given.images), slice(given.images, None)
        calibration = fit_pixels(drawn[first])
        familiarity = fit_familiarity(described[first], range(given.images))
        cells, every = [], []
        for pixels, descriptions in sets:
            warned = np.array([bool(familiarity.differs_in(each)) for each in descriptions[rest]])
            inside = [np.mean(e <= calibration.width_at(*place)) for e, *place in pixels[rest]]
            known = np.array(inside)[~warned]
            held = f", {100 * known.mean():.0f} held" if known.size else ""
            cells.append(f"{100 * warned.mean():.0f} warned{held}")
            every.extend(known)
        print(f"| {name} | {' | '.join(cells)} | {100 * np.mean(every):.1f} held |", flush=True)


def make_set(denoiser: Denoiser, number: int, images: range) -> tuple[list[Array], list[Array]]:
    make, corrupt = list(SETS.values())[number]
    drawn, described = [], []
    for index in images:
        rng = np.random.default_rng([number, index])
        clean = make(rng)[..., np.newaxis].astype(np.float32)
        noisy = corrupt(clean, rng).astype(np.float32)
        denoised = denoiser(noisy, range=(0.0, 1.0))
        drawn.append(draw_pixels(noisy, denoised, clean, seed=index))
        described.append(describe_image(noisy, denoised))
    return drawn, described


def blobs(rng: np.random.Generator) -> Array:
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), 0.1)
    for _ in range(rng.integers(8, 25)):
        (row, column), size = rng.uniform(0, SIDE, 2), rng.uniform(3, 12)
        distance = (y - row) ** 2 + (x - column) ** 2
        image += rng.uniform(0.1, 0.5) * np.exp(-distance / 2 / size**2)
    return np.clip(image, 0, 1)


def filaments(rng: np.random.Generator) -> Array:
    count = rng.integers(10, 25)
    angles = rng.uniform(0, 2 * np.pi, (count, 1)) + rng.normal(0, 0.1, (count, 200)).cumsum(axis=1)
    paths = rng.uniform(0, SIDE, (2, count, 1)) + np.stack([np.sin(angles), np.cos(angles)]).cumsum(
        2
    )
    inside = ((paths >= 0) & (paths < SIDE)).all(axis=0)
    image = np.zeros((SIDE, SIDE))
    image[tuple(paths[:, inside].astype(int))] = 1
    image = gaussian_filter(image, 1.2)
    return 0.05 + 0.85 * image / max(image.max(), 0.01)


def texture(rng: np.random.Generator) -> Array:
    image = gaussian_filter(rng.standard_normal((SIDE, SIDE)), rng.uniform(1.2, 2.5))
    return np.clip(0.5 + 0.13 * image / image.std(), 0, 1)


def shapes(rng: np.random.Generator) -> Array:
    y, x = np.mgrid[:SIDE, :SIDE]
    image = 0.3 + 0.2 * x / SIDE
    for _ in range(12):
        (row, column), (height, width) = rng.uniform(0, SIDE, 2), rng.uniform(8, 50, 2)
        image[(abs(y - row) < height / 2) & (abs(x - column) < width / 2)] = rng.uniform(0.1, 0.9)
    return gaussian_filter(image, 0.6)


def white(low: float, high: float) -> Corrupt:
    return lambda clean, rng: (
        clean + rng.uniform(low, high) / 255 * rng.standard_normal(clean.shape)
    )


def photons(count: float) -> Corrupt:
    return lambda clean, rng: rng.poisson(clean * count) / count


def coarse(clean: Array, rng: np.random.Generator) -> Array:
    noise = gaussian_filter(rng.standard_normal(clean.shape[:2]), 0.8)[..., np.newaxis]
    return clean + 15 / 255 * noise / noise.std()


SETS: dict[str, tuple[Make, Corrupt]] = {
    "blobs, white 5 to 25": (blobs, white(5, 25)),
    "blobs, 300 photons": (blobs, photons(300)),
    "blobs, 30 photons": (blobs, photons(30)),
    "filaments, white 20": (filaments, white(20, 20)),
    "filaments, 60 photons": (filaments, photons(60)),
    "texture, white 10 to 30": (texture, white(10, 30)),
    "shapes, white 5 to 50": (shapes, white(5, 50)),
    "shapes, coarse 15": (shapes, coarse),
}

if __name__ == "__main__":
    main()
