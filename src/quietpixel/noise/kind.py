"""Tells noise that is white from noise that is correlated or comes in stripes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.noise.flat_blocks import FLATTEST, ORDER, Spectra, low_orders

Array = NDArray[Any]

KINDS = ("white", "correlated", "stripes")

COARSE = 3
"""Up to this order, coefficients tell how flat a block is when the others are compared."""
MIDDLE, FINE = (ORDER >= 4) & (ORDER <= 6), ORDER >= 9
REDDEST, BLUEST = 1.85, 0.6
"""White noise has as much power in the middle orders as in the fine ones. On photographs with white
noise of 5/255 or more the ratio was 0.97 to 1.4, in four full of texture 1.8 to 2.4; with noise
blurred by a Gaussian of half a pixel it was 1.89 and more."""
STRIPED = 0.3
"""Stripes are named from this share of the whole noise's standard deviation."""
SMOOTHEST = 0.1
"""Share of the blocks kept twice over to measure correlated noise."""
FAINTEST = (0.75 / 255) ** 2
"""Stripes with less variance are none: straight edges of a clean photograph make as much."""
ALIKE = 0.15
"""Least correlation of the steps of two bands; blurred noise reached 0.1 by chance."""
LARGEST = 3 / 0.6745
"""A step between columns counts up to this many times the median of all (3 sigma if normal)."""


def colour_of(spectra: Spectra) -> float:
    """Return the power of middle orders over that of fine ones in flat blocks: 1 if white.

    More is noise with grain larger than a pixel (blurred, enlarged, compressed), less is noise that
    was sharpened.
    """
    power = spectra.least(low_orders(COARSE), FLATTEST).power.mean(axis=0)
    fine = float(np.median(power[FINE]))
    return float(np.median(power[MIDDLE])) / fine if fine > 0 else 1.0


def correlated_variance(spectra: Spectra) -> tuple[float, float]:
    """Return a brightness and, there, the variance of noise most of which lies in low orders.

    Blocks are chosen by their fine orders, then by their slopes (order 1), and read in all others;
    mean and slopes are filled in from order 2. Over photographs with noise blurred by a Gaussian of
    0.5 to 0.7 pixels the median of sigma was 0.95 to 1.08 of the truth, with 1.2 pixels 0.85 to
    0.94: grain that is large beside a block is not seen whole.
    """
    even = spectra.least(FINE, SMOOTHEST).least(ORDER == 1, SMOOTHEST)
    power = even.power.mean(axis=0)
    filled = power[ORDER == 2].mean() * (ORDER < 2).sum()
    return float(even.mean.mean()), float(power[ORDER >= 2].sum() + filled) / len(ORDER)


def stripe_variance(image: Array) -> tuple[float, float]:
    """Return the variance of what whole rows have in common beside the image, and whole columns.

    Differences between neighbouring columns are taken as the median over each of several bands of
    rows. What two bands that do not touch have in common cannot be the image's content, which
    seldom runs straight through all of it, nor noise of single pixels.

    Parameters
    ----------
    image
        (H, W, C).
    """
    return _columns(image.swapaxes(0, 1)), _columns(image)


def _columns(image: Array) -> float:
    steps = np.diff(image, axis=1)
    count = int(np.clip(len(image) // 16, 3, 8))
    bands = np.array([np.median(band, axis=0) for band in np.array_split(steps, count)])
    bands -= np.median(bands, axis=1, keepdims=True)
    limit = LARGEST * np.median(np.abs(bands), axis=1, keepdims=True)
    bands = np.clip(bands, -limit, limit)
    pairs = [(i, j) for i in range(count) for j in range(i + 2, count)]
    common = float(np.mean([np.mean(bands[i] * bands[j]) for i, j in pairs]))
    if common < ALIKE * np.mean(bands**2):
        return 0.0
    return common / 2  # a step is the difference of two columns
