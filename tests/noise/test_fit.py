"""The law of counts over offset, gain, read noise and content, through public names."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from quietpixel import measure_noise

SIDE = 448


def cells(rng: np.random.Generator) -> np.ndarray:
    """Return blobs; most of the image is nearly dark."""
    seeds = np.zeros((SIDE, SIDE))
    seeds[tuple(rng.integers(0, SIDE, (2, 50)))] = rng.uniform(0.3, 1, 50)
    image = gaussian_filter(seeds, 9)
    return image / image.max()


def sparse(rng: np.random.Generator) -> np.ndarray:
    """Return blobs between which there is no light at all."""
    return np.clip(1.3 * cells(rng) - 0.3, 0, None)


def shapes(rng: np.random.Generator) -> np.ndarray:
    """Return rectangles with sharp edges on a slope, without a dark part."""
    image = 0.3 + np.tile(0.2 * np.linspace(0, 1, SIDE), (SIDE, 1))
    for _ in range(12):
        (top, left), (height, width) = rng.integers(0, SIDE, 2), rng.integers(30, 150, 2)
        image[top : top + height, left : left + width] = rng.uniform(0.1, 0.9)
    return gaussian_filter(image, 0.6)


Content = Callable[[np.random.Generator], np.ndarray]
FAST = [
    (cells, 200, 2, 100, 2), (cells, 2000, 0.5, 100, 10), (sparse, 200, 2, 100, 0),
    (sparse, 2000, 0.5, 0, 0), (shapes, 200, 2, 1000, 10), (cells, 2000, 10, 1000, 2),
    (cells, 2000, 0.5, 0, 10),  # half of the read noise is cut off at 0
]  # fmt: skip
CONTENTS, OFFSETS = (cells, sparse, shapes), (100, 1000)
GRID = product(CONTENTS, (30, 200, 2000), (0.5, 2, 10), OFFSETS, (0, 2, 10, 30))


def measure_law(
    content: Content, peak: int, gain: float, offset: int, read: float
) -> tuple[str, float, float]:
    """Return the kind and the errors of gain and read noise, relative, 0 where they are hidden."""
    rng = np.random.default_rng(0)
    clean = content(rng)
    counts = offset + gain * rng.poisson(peak * clean) + read * rng.standard_normal(clean.shape)
    measure = measure_noise(np.clip(np.rint(counts), 0, 65535).astype(np.uint16))
    found, errors = measure.counts, [0.0, 0.0]
    # Photons make a third of the variance in bright places at least.
    if gain**2 * peak * np.quantile(clean, 0.95) > read**2 / 2:
        errors[0] = found["gain"] / gain - 1
    if read**2 > gain**2 * peak * np.quantile(clean, 0.02):
        # The variance at the offset that was found, which is the darkest part of the image.
        dark = read**2 + gain * max(found["offset"] - offset, 0)
        errors[1] = found["read_noise"] / dark**0.5 - 1
    return measure.kind, errors[0], errors[1]


@pytest.mark.parametrize("law", FAST)
def test_gain_and_read_noise_are_right(law: tuple[Content, int, float, int, float]) -> None:
    kind, gain, read = measure_law(*law)
    assert (kind, gain, read) == ("white", pytest.approx(0, abs=0.1), pytest.approx(0, abs=0.2))


@pytest.mark.slow
def test_gain_and_read_noise_are_right_over_a_grid() -> None:
    found = [measure_law(*law) for law in GRID]
    assert {kind for kind, *_ in found} == {"white"}
    gains, reads = np.abs([errors for _, *errors in found]).T
    # 10 of 216: images of few photons in few pixels, and read noise far below one photon.
    assert np.mean((gains <= 0.1) & (reads <= 0.2)) > 0.93
    assert gains.max() < 0.15
