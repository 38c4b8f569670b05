"""Fills pixels that a model must not see: transparent, masked, not finite, far beyond the scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

_CELL = 1024
"""Side of the squares filled one after the other, so that large images need little memory."""


def fill_hidden(image: Array, visible: NDArray[np.bool_]) -> Array:
    """Return `image` with the values that are not visible filled from those around them.

    The visible values are averaged over ever larger squares, and each hidden one takes the
    finest average that exists (push and pull: Gortler and others, The Lumigraph, 1996). A square
    of 1024 pixels without any visible value is filled with their mean over the image.

    Parameters
    ----------
    image
        (H, W, C) of any type; it is not changed.
    visible
        (H, W, C) or (H, W, 1). `image` itself comes back where all or none is visible.

    Examples
    --------
    >>> image = np.array([[[50], [200]]], np.uint8)
    >>> fill_hidden(image, np.array([[[True], [False]]])).ravel().tolist()
    [50, 50]
    """
    if visible.all() or not visible.any():
        return image
    filled = image.copy()
    # Only a square of nothing needs it; elsewhere the pixels nearby say more.
    overall = float(np.mean(image, where=np.broadcast_to(visible, image.shape), dtype=np.float64))
    for top in range(0, image.shape[0], _CELL):
        for left in range(0, image.shape[1], _CELL):
            cell = np.s_[top : top + _CELL, left : left + _CELL]
            shown = visible[cell]
            if shown.all():
                continue
            weight = shown.astype(np.float32)
            known = np.where(shown, image[cell], 0)  # a product would keep NaN
            if shown.any():
                # About their mean, because float32 has too few digits for a large offset.
                mean = float(
                    known.sum(dtype=np.float64) / np.broadcast_to(shown, known.shape).sum()
                )
                values = _fill(((known - mean) * shown).astype(np.float32), weight) + mean
            else:
                values = np.full(known.shape, overall)
            if image.dtype.kind in "ui":
                values = np.rint(values)
            np.copyto(filled[cell], values, where=~shown, casting="unsafe")
    return filled


def _fill(total: FloatArray, weight: FloatArray) -> FloatArray:
    around = _sum_around(weight)
    nearby = _sum_around(total) / np.maximum(around, 1e-12)
    own = np.where(weight > 0, total / np.maximum(weight, 1e-12), nearby)
    if around.all():
        return own
    coarse = _fill(_sum_pairs(total), _sum_pairs(weight))
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)[: total.shape[0], : total.shape[1]]
    return np.where(around > 0, own, fine)


def _sum_around(values: FloatArray) -> FloatArray:
    """Return the sums over 3x3 neighbourhoods."""
    height, width = values.shape[:2]
    framed = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    rows = framed[:height] + framed[1:-1] + framed[2:]
    total: FloatArray = rows[:, :width] + rows[:, 1:-1] + rows[:, 2:]
    return total


def _sum_pairs(values: FloatArray) -> FloatArray:
    """Return the sums over squares of 2x2."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    total: FloatArray = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return total
