"""How strong the noise of an image is at each level of brightness."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietpixel.noise.flat_blocks import FLATTEST, ORDER, Spectra, low_orders

FloatArray = NDArray[np.float64]

CONTENT = 4
"""Up to this order, coefficients tell how flat a block is; above, they are noise in flat blocks."""
FINE = 8
"""From this order on, the content of a photograph is weakest."""
MOST_LEVELS = 16
BLOCKS_PER_LEVEL = 1500


@dataclass(frozen=True)
class Levels:
    """The variance of the noise by brightness.

    Parameters
    ----------
    brightness, variance
        (K,), on the [0, 1] scale, in order of brightness; as observed, that is after clipping.
    """

    brightness: FloatArray
    variance: FloatArray

    @property
    def sigma(self) -> FloatArray:
        """The standard deviation at each brightness."""
        return np.sqrt(self.variance)

    def times(self, factor: float) -> "Levels":
        """Return the levels with `factor` times the variance."""
        return Levels(self.brightness, self.variance * factor)


def noise_levels(spectra: Spectra) -> Levels:
    """Return the noise at up to 16 levels of brightness, each with equally many blocks.

    In each level, blocks with little power in the low orders of the cosine transform are flat; the
    median of the power of their high orders is the variance of the noise. White noise is
    independent in the two, so the choice of blocks does not bias the measure.

    References
    ----------
    N. N. Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images",
    IGARSS 2007. M. Colom, A. Buades, "Analysis and extension of the Ponomarenko et al. method,
    estimating a noise curve from a single image", Image Processing On Line 3, 2013.

    Examples
    --------
    >>> from quietpixel.noise.flat_blocks import block_spectra
    >>> noisy = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((128, 128, 1))
    >>> levels = noise_levels(block_spectra(noisy))
    >>> np.round(np.median(levels.sigma), 2)
    np.float64(0.1)
    """
    count = int(np.clip(len(spectra) // BLOCKS_PER_LEVEL, 1, MOST_LEVELS))
    parts = np.array_split(np.argsort(spectra.mean, kind="stable"), count)
    flat = [spectra.among(part).least(low_orders(CONTENT), FLATTEST) for part in parts]
    # The median over blocks, because some of those that pass for flat hold fine texture.
    variance = [np.median(each.power[:, ORDER >= FINE].mean(axis=0)) for each in flat]
    brightness = [each.mean.mean() for each in flat]
    return Levels(np.array(brightness, np.float64), np.array(variance, np.float64))


def join_levels(levels: Sequence[Levels]) -> Levels:
    """Return the levels of several images as one, in order of brightness."""
    brightness = np.concatenate([each.brightness for each in levels])
    variance = np.concatenate([each.variance for each in levels])
    order = np.argsort(brightness, kind="stable")
    return Levels(brightness[order], variance[order])
