"""The spectra of an image's small blocks, and its noise by brightness, read from the flat ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from quietpixel.array_types import Array, BoolArray

FloatArray = NDArray[np.float64]

SIDE = 8
"""Side of a block in pixels."""
MOST = 50_000
"""About how many blocks of an image are measured; more cost time and add little."""
FLATTEST = 0.02
"""Share of the blocks that count as flat; 0.5 % is used by Ponomarenko, 2 % varies less."""
FEWEST = 30
"""How many blocks are taken as flat at least."""
CONTENT = 4
"""Up to this order, coefficients tell how flat a block is; above, they are noise in flat blocks."""
FINE = 8
"""From this order on, the content of a photograph is weakest."""
MOST_LEVELS, BLOCKS_PER_LEVEL = 16, 1500
EQUAL = 1e-6
"""Means that differ by less are equal: of few counts, many blocks have the same."""


COSINES = np.cos(np.pi * (np.arange(SIDE) + 0.5) * np.arange(SIDE)[:, np.newaxis] / SIDE)
COSINES[0] /= np.sqrt(2)
COSINES = np.asarray(np.sqrt(2 / SIDE) * COSINES, np.float32)
"""The discrete cosine transform of `SIDE` values as a matrix (DCT-II, orthonormal)."""
ORDER = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
"""Vertical plus horizontal order of each of the coefficients of a block."""


@dataclass(frozen=True)
class Spectra:
    """Blocks of an image, each as its mean and the power of its cosine coefficients.

    Parameters
    ----------
    mean
        Brightness of each block, (N,).
    power
        Squares of the coefficients, (N, 64), by `ORDER`; noise that is white has the same expected
        power in all of them, its variance.
    """

    mean: Array
    power: Array

    def __len__(self) -> int:
        return len(self.mean)

    def among(self, chosen: Array) -> "Spectra":
        """Return some of the blocks."""
        return Spectra(self.mean[chosen], self.power[chosen])

    def least(self, orders: BoolArray, share: float) -> "Spectra":
        """Return the share of the blocks with the least power in some coefficients.

        The choice looks at these alone, so that it does not bias what is read in others.
        """
        count = max(round(share * len(self)), FEWEST)
        # A partition needs an element beyond those that it puts first.
        if count >= len(self):
            return self
        content = self.power[:, orders].mean(axis=1)
        return self.among(np.argpartition(content, count)[:count])


def low_orders(highest: int) -> BoolArray:
    """Return which coefficients have an order from 1 to `highest`."""
    return (ORDER > 0) & (highest >= ORDER)


def block_spectra(image: Array) -> Spectra:
    """Return the spectra of overlapping blocks of all channels of an image (H, W, C).

    Blocks of one value are skipped where there are others: frames, saturated areas and drawn
    surfaces carry no noise. Blocks with a value that is not finite are always skipped.
    """
    rows, columns = image.shape[0] - SIDE + 1, image.shape[1] - SIDE + 1
    # A regular grid, not a random choice, so that an image always gets the same answer.
    step = max(1, round(np.sqrt(rows * columns * image.shape[2] / MOST)))
    windows = sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))[::step, ::step]
    blocks = windows.reshape(-1, SIDE, SIDE).astype(np.float32)
    blocks = blocks[np.isfinite(blocks).all(axis=(1, 2))]
    coefficients = (COSINES @ blocks @ COSINES.T).reshape(-1, SIDE * SIDE)
    # The first coefficient is the mean times the side.
    spectra = Spectra(coefficients[:, 0] / SIDE, coefficients**2)
    alive = np.ptp(blocks.reshape(-1, SIDE * SIDE), axis=1) > 0
    return spectra.among(alive) if alive.any() else spectra


@dataclass(frozen=True)
class Levels:
    """The variance of the noise by brightness.

    Parameters
    ----------
    brightness, variance
        (K,), on the [0, 1] scale, in order of brightness; as observed, that is after clipping.
    weight
        How much each counts in a fit, (K,) or (1,).
    """

    brightness: FloatArray
    variance: FloatArray
    weight: FloatArray = field(default_factory=lambda: np.ones(1))

    @property
    def sigma(self) -> FloatArray:
        """The standard deviation at each brightness."""
        return np.sqrt(self.variance)


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
    >>> noisy = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((128, 128, 1))
    >>> levels = noise_levels(block_spectra(noisy))
    >>> np.round(np.median(levels.sigma), 2)
    np.float64(0.1)
    """
    count = int(np.clip(len(spectra) // BLOCKS_PER_LEVEL, 1, MOST_LEVELS))
    # Stable, so that equal blocks come in the same order everywhere.
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
    weight = np.concatenate([np.broadcast_to(each.weight, each.variance.shape) for each in levels])
    order = np.argsort(brightness, kind="stable")
    return Levels(brightness[order], variance[order], weight[order])
