"""The spectra of an image's small blocks, from which its noise is read where the image is flat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

SIDE = 8
"""Side of a block in pixels."""
MOST = 50_000
"""About how many blocks of an image are looked at; more cost time and add little."""
FLATTEST = 0.02
"""Share of the blocks that count as flat; 0.5 % is used by Ponomarenko, 2 % varies less."""
FEWEST = 30
"""How many blocks are taken as flat at least."""


def _cosines() -> FloatArray:
    """Return the matrix of the discrete cosine transform of `SIDE` values (DCT-II, orthonormal)."""
    order, place = np.arange(SIDE)[:, np.newaxis], np.arange(SIDE)
    matrix = np.sqrt(2 / SIDE) * np.cos(np.pi * (place + 0.5) * order / SIDE)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


COSINES = _cosines()
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

    def least(self, orders: NDArray[np.bool_], share: float) -> "Spectra":
        """Return the share of the blocks with the least power in some coefficients.

        The choice looks at these alone, so that it does not bias what is read in others.
        """
        count = max(round(share * len(self)), FEWEST)
        if count >= len(self):
            return self
        content = self.power[:, orders].mean(axis=1)
        return self.among(np.argpartition(content, count)[:count])


def low_orders(highest: int) -> NDArray[np.bool_]:
    """Return which coefficients have an order from 1 to `highest`."""
    return (ORDER > 0) & (highest >= ORDER)


def block_spectra(image: Array) -> Spectra:
    """Return the spectra of overlapping blocks of all channels of an image (H, W, C).

    Blocks of one value are left out where there are others: frames, saturated areas and drawn
    surfaces carry no noise.
    """
    rows, columns = image.shape[0] - SIDE + 1, image.shape[1] - SIDE + 1
    step = max(1, round(np.sqrt(rows * columns * image.shape[2] / MOST)))
    windows = sliding_window_view(image, (SIDE, SIDE), axis=(0, 1))[::step, ::step]
    blocks = windows.reshape(-1, SIDE, SIDE).astype(np.float32)
    coefficients = (COSINES @ blocks @ COSINES.T).reshape(-1, SIDE * SIDE)
    spectra = Spectra(coefficients[:, 0] / SIDE, coefficients**2)
    alive = np.ptp(blocks.reshape(len(blocks), -1), axis=1) > 0
    return spectra.among(alive) if alive.any() else spectra
