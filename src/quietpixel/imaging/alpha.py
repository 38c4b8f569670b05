"""Colour under transparent pixels, which nobody sees and a model must not spread."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

_CELL = 1024
"""Side of the squares filled one after the other, so that large images need little memory."""


def fill_transparent(colours: Array, visible: NDArray[np.bool_]) -> Array:
    """Return `colours` with the pixels that are not visible filled from those around them.

    The visible pixels are averaged over ever larger squares, and each hidden pixel takes the
    finest average that exists (push and pull: Gortler and others, The Lumigraph, 1996).

    Parameters
    ----------
    colours
        (H, W, C) of any type; it is left alone.
    visible
        (H, W); where all is visible, `colours` itself comes back.

    Examples
    --------
    >>> colours = np.array([[[50], [200]]], np.uint8)
    >>> fill_transparent(colours, np.array([[True, False]])).ravel().tolist()
    [50, 50]
    """
    if visible.all():
        return colours
    filled = colours.copy()
    for top in range(0, colours.shape[0], _CELL):
        for left in range(0, colours.shape[1], _CELL):
            cell = np.s_[top : top + _CELL, left : left + _CELL]
            _fill_cell(filled[cell], visible[cell])
    return filled


def _fill_cell(colours: Array, visible: NDArray[np.bool_]) -> None:
    if visible.all() or not visible.any():
        return
    weight = visible[..., np.newaxis].astype(np.float32)
    values = _fill(colours.astype(np.float32) * weight, weight)
    if colours.dtype.kind == "u":
        values = np.rint(values)
    np.copyto(colours, values, where=weight == 0, casting="unsafe")


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
