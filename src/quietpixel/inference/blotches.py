"""Blotches of colour, such as a camera's JPEG leaves: found in a copy of a quarter of the size.

In an image itself, noise with periods of 16 pixels and more looks like content to the model. In the
copy, which has a sixteenth of the pixels, it is as fine as the noise that the model knows. An image
of four megapixels takes 1.09 times as long with it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Array, FloatArray
from quietpixel.card import Card
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.engine import Engine, run_model
from quietpixel.inference.tile_plan import choose_grid

STEP = 4
"""Pixels of the image along a side of one pixel of the copy."""


def can_find(card: Card) -> bool:
    """Return whether a model can be shown a copy, with tiles that begin on its pixels."""
    return card.channels == 3 and card.halo is not None and card.divisor % STEP == 0


def find_blotches(
    engine: Engine,
    shape: tuple[int, int, int, int],
    tiles: tuple[Tile, ...],
    read: Callable[[Tile], tuple[FloatArray, FloatArray]],
) -> FloatArray:
    """Return what is to be added to the colour of images, float32 (H / 4, W / 4, N, 3).

    Parameters
    ----------
    engine
        The model.
    shape
        (H, W, N, 3), that of the images.
    tiles
        How the images are read; they begin and end on pixels of the copy.
    read
        Returns a tile, float32 (h, w, N, 3), and the noise level of its copy, (h, w, N).
    """
    height, width = (-(-length // STEP) for length in shape[:2])
    copy = np.empty((height, width, *shape[2:]), np.float32)
    level = np.empty(copy.shape[:3], np.float32)
    most = 0
    for tile in tiles:
        spans, pixels = (tile.rows, tile.columns), read(tile)
        inner = tuple(span.inner for span in spans)
        place = tuple(slice(s.keep_start // STEP, -(-s.keep_stop // STEP)) for s in spans)
        copy[place], level[place] = (_shrink(each[inner]) for each in pixels)
        most = max(most, pixels[0].shape[0] * pixels[0].shape[1])
    result = np.empty_like(copy)
    for tile in choose_grid(engine.card, (height, width), most).tiles():
        part = tile.read(copy)
        change = run_model(engine, part, tile.read(level)) - part
        change -= (change @ LUMINANCE)[..., np.newaxis]
        result[tile.rows.outer, tile.columns.outer] = change[tile.rows.inner, tile.columns.inner]
    return result


def enlarge(blotches: FloatArray, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> FloatArray:
    """Return the values that `blotches` have in these rows and columns of the image.

    Examples
    --------
    >>> step = np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1)
    >>> enlarge(step, np.arange(8), np.arange(1)).ravel().tolist()
    [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
    """
    result = blotches
    for axis, places in enumerate((rows, columns)):
        where = np.clip((places + 0.5) / STEP - 0.5, 0, blotches.shape[axis] - 1)
        first = where.astype(np.intp)
        second = np.minimum(first + 1, blotches.shape[axis] - 1)
        share = (where - first).astype(np.float32)
        share = share.reshape([-1 if each == axis else 1 for each in range(4)])
        result = result.take(first, axis) * (1 - share) + result.take(second, axis) * share
    return result


def _shrink(pixels: Array) -> FloatArray:
    """Return the means of squares of STEP x STEP pixels; the last ones repeat the border."""
    missing = [(0, -length % STEP) for length in pixels.shape[:2]]
    whole = np.pad(pixels, (*missing, *((0, 0),) * (pixels.ndim - 2)), mode="edge")
    height, width = (length // STEP for length in whole.shape[:2])
    squares = whole.reshape(height, STEP, width, STEP, *whole.shape[2:])
    return squares.mean(axis=(1, 3), dtype=np.float32)
