"""Noise by brightness where brightness goes from the dark to many photons.

Levels with equally many blocks would nearly all be dark in an image of few bright objects. These
are even in the square root of the brightness, and their blocks are compared with the law itself:
in flat ones, the low orders of the cosine transform have no more power than the noise.
"""

import numpy as np

from quietpixel.noise.fit import NO_VARIANCE, fit_line
from quietpixel.noise.flat_blocks import (
    CONTENT,
    FEWEST,
    MOST_LEVELS,
    ORDER,
    SIDE,
    FloatArray,
    Levels,
    Spectra,
    low_orders,
)

FINE = 10
"""From this order on, thin lines of 2000 photons add 0.2 to the variance; from 8 on, 0.7."""
FLAT = 1.6
"""Most power in the low orders of a flat block, as a multiple of the variance; of blocks of white
noise, 7 % have more."""
LEAST_WEIGHT = 0.25
"""Of a level without flat blocks, whose variance holds content too."""
DIM, SPREAD = 0.1, 7.0
"""Share of the blocks that tell the noise in the dark, and by how many standard deviations of a
mean the blocks of the first level differ: the value without light is 2.4 below their middle."""
PASSES = 3


def photon_levels(spectra: Spectra, dark: float) -> tuple[Levels, Spectra]:
    """Return the noise at up to 16 levels of brightness, and spectra relative to its law.

    The spectra are those of flat blocks with a photon in a pixel or more, because spectra of single
    photons are not even; those of all with a photon where hardly any block is flat, as with
    correlated noise.

    Parameters
    ----------
    spectra
        Of the blocks of an image.
    dark
        The value without light.
    """
    mean = spectra.mean.astype(np.float64)
    low = spectra.power[:, low_orders(CONTENT)].mean(axis=1)
    fine = spectra.power[:, ORDER >= FINE].mean(axis=1)
    # The means of dark blocks differ by their noise, which says nothing about the variance.
    dimmest = np.median(fine[mean <= np.quantile(mean, DIM)])
    root = np.sqrt(np.maximum(mean - dark - SPREAD * np.sqrt(dimmest) / SIDE, 0))
    place = (MOST_LEVELS * root / max(root.max(), 1e-12)).astype(int).clip(max=MOST_LEVELS - 1)
    parts = [np.flatnonzero(place == level) for level in range(MOST_LEVELS)]
    parts = [part for part in parts if len(part) >= FEWEST] or [np.arange(len(mean))]
    # No block passes at first, so that bright levels take part from the start, content or not.
    expected: FloatArray = np.zeros(len(mean))
    for _ in range(1 + PASSES):
        flat = [part[low[part] <= FLAT * expected[part]] for part in parts]
        passed = [min(max(len(each) / FEWEST, LEAST_WEIGHT), 1.0) for each in flat]
        flat = [
            each if len(each) >= FEWEST else part[np.argsort(low[part], kind="stable")[:FEWEST]]
            for each, part in zip(flat, parts, strict=True)
        ]
        # Limited, because some of those that pass for flat hold fine texture.
        variance = [np.minimum(fine[each], 3 * np.median(fine[each])).mean() for each in flat]
        brightness = [mean[each].mean() for each in flat]
        levels = Levels(np.array(brightness), np.array(variance, np.float64), np.array(passed))
        law = fit_line(levels, dark=dark)
        expected = np.maximum(law.sigma(mean) ** 2, NO_VARIANCE)
    even = Spectra(spectra.mean, spectra.power / expected[:, np.newaxis])
    lit = expected >= law.gain**2
    flat = lit & (low <= FLAT * expected)
    if flat.sum() >= FEWEST:
        return levels, even.among(flat)
    return levels, even.among(lit) if lit.any() else even
