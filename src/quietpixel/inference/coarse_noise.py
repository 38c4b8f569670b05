"""Coarse noise, such as a camera's JPEG leaves: found in copies of half and quarter the size.

In an image itself, noise with periods of 16 pixels and more looks like content to the model, and so
does part of the finer noise that neighbours share. In a copy it is as fine as the noise that the
model knows. Colour is corrected before the model, by the smaller copy. Luminance is corrected after
it: the coarse part of the result goes part of the way to what the model makes of the larger copy,
which has been corrected by the smaller one. An image takes 1.4 times as long with it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.card import Card
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.imaging.tiling import Tile, mean_of_squares
from quietpixel.inference.tile_plan import choose_grid

STEPS = 4, 2
"""Pixels of the image along a side of one pixel of a copy."""
LEVELS, SHARE = {4: 0.12, 2: 0.45}, 0.7
"""Noise level of luminance in the copies, as a share of that of the image, and how far the coarse
part of a result goes: 600D pairs 40.52 -> 40.66 dB, their noise doubled 36.60 -> 36.78, in gray
42.23 -> 42.53. Copies of lower levels gain a little more there, and lose where noise is one octave
wide."""
BLOTCHES = 0.35
"""The same for colour, in the smaller copy. A share of 0.5 gains no more (600D 40.16 -> 40.37 dB,
its noise doubled 35.8 -> 36.4), and takes more of weak content."""
REACH = 2
"""Pixels beyond those that a tile keeps, of which the coarse part of its result is made, too."""


def can_find(card: Card) -> bool:
    """Return whether a model can be shown copies, with tiles that begin on their pixels."""
    return card.channels == 3 and card.halo is not None and card.divisor % max(STEPS) == 0


@dataclass(frozen=True, eq=False)
class Copies:
    """Smaller copies of images of one size, tile by tile.

    Parameters
    ----------
    card
        Of the model.
    shape
        (H, W, N, C), that of the images.
    tile_pixels
        The most pixels of a tile.
    margin
        Pixels of surroundings that a step before the model needs.
    camera
        How far the noise of each image is as coarse as in camera JPEGs, (N,), 0 to 1.
    read
        Returns a tile of the images, float32 (h, w, N, C), and its noise level, (h, w, N).
    denoise
        Returns what the model makes of both.
    """

    card: Card
    shape: tuple[int, int, int, int]
    tile_pixels: int
    margin: int
    camera: FloatArray
    read: Callable[[Tile], tuple[FloatArray, FloatArray]]
    denoise: Callable[[FloatArray, FloatArray], FloatArray]

    def size(self, step: int) -> tuple[int, int]:
        """Return (height, width) of the copy with one pixel for `step` x `step` of the images."""
        return -(-self.shape[0] // step), -(-self.shape[1] // step)

    def tiles(self, step: int) -> tuple[Tile, ...]:
        """Return how that copy is cut."""
        # What is read of the images for one of its pixels grows with the step.
        pixels, margin = self.tile_pixels // step, self.margin + REACH
        return tuple(choose_grid(self.card, self.size(step), pixels, margin=margin).tiles())

    @property
    def count(self) -> int:
        """How many tiles the copies have."""
        return sum(len(self.tiles(step)) for step in STEPS)

    def read_tile(self, tile: Tile, step: int) -> tuple[FloatArray, FloatArray]:
        """Return a tile of that copy and its noise level."""
        pixels, level = self.read(tile.scale(step))
        return mean_of_squares(pixels, step), level[::step, ::step]


@dataclass(frozen=True, eq=False)
class CoarseNoise:
    """The coarse noise of images.

    Parameters
    ----------
    blotches
        What is added to the colour of images, (H / 4, W / 4, N, 3); None for gray.
    luminance
        Of what the model makes of the larger copy, (H / 2, W / 2, N, 1).
    share
        How far the coarse part of results goes there, (N, 1).
    """

    blotches: FloatArray | None
    luminance: FloatArray
    share: FloatArray

    def correct_colour(
        self, pixels: FloatArray, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> FloatArray:
        """Return the pixels of these rows and columns of the images without blotches of colour."""
        return pixels if self.blotches is None else pixels + enlarge(self.blotches, rows, columns)

    def correct_luminance(self, denoised: FloatArray, tile: Tile) -> FloatArray:
        """Return a denoised tile, of which the part that is kept is corrected."""
        return _follow(self.luminance, denoised, tile, self.share)


def find_coarse_noise(
    copies: Copies, factors: tuple[float, float], on_tile: Callable[[], None]
) -> CoarseNoise:
    """Return the coarse noise of images.

    Parameters
    ----------
    copies
        Those of the images.
    factors
        By what the noise level is multiplied, for luminance and for colour.
    on_tile
        Called after each tile of a copy.
    """
    (*_, count, colours), camera = copies.shape, copies.camera
    share = np.float32(SHARE) * camera[:, np.newaxis]
    blotches = np.empty((*copies.size(max(STEPS)), count, 3), np.float32) if colours == 3 else None
    luminance: FloatArray | None = None
    for step in STEPS:
        found = np.empty((*copies.size(step), count, 1), np.float32)
        for tile in copies.tiles(step):
            place = tile.rows.outer, tile.columns.outer
            inner = tile.rows.inner, tile.columns.inner
            pixels, level = copies.read_tile(tile, step)
            if luminance is None and blotches is not None:
                change = copies.denoise(pixels, level * (factors[1] * BLOTCHES * camera)) - pixels
                blotches[place] = (change - _luminance(change))[inner]
            result = copies.denoise(pixels, level * np.float32(factors[0] * LEVELS[step]))
            if luminance is not None:
                result = _follow(luminance, result, tile, share)
            found[place] = _luminance(result)[inner]
            on_tile()
        luminance = found
    assert luminance is not None
    return CoarseNoise(blotches, luminance, share)


def enlarge(
    copy: FloatArray, rows: NDArray[np.intp], columns: NDArray[np.intp], step: int = max(STEPS)
) -> FloatArray:
    """Return the values that a copy (h, w, N, C) has in these rows and columns of the image.

    Examples
    --------
    >>> step = np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1)
    >>> enlarge(step, np.arange(8), np.arange(1)).ravel().tolist()
    [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
    """
    result = copy
    for axis, places in enumerate((rows, columns)):
        where = np.clip((places + 0.5) / step - 0.5, 0, copy.shape[axis] - 1)
        first = where.astype(np.intp)
        second = np.minimum(first + 1, copy.shape[axis] - 1)
        share = (where - first).astype(np.float32)
        share = share.reshape([-1 if each == axis else 1 for each in range(4)])
        result = result.take(first, axis) * (1 - share) + result.take(second, axis) * share
    return result


def _follow(copy: FloatArray, result: FloatArray, tile: Tile, share: FloatArray) -> FloatArray:
    """Return a tile (h, w, N, C) whose coarse luminance goes part of the way to that of a copy.

    The copy (H / 2, W / 2, N, 1) is of the whole image. Only what is kept of the tile changes.
    """
    seen, read, kept = [], [], []
    for span, length in zip((tile.rows, tile.columns), copy.shape[:2], strict=True):
        # One pixel of the copy more on each side, for what is enlarged.
        first = max(span.keep_start // 2 - 1, 0)
        last = min((span.keep_stop + 1) // 2 + 1, length)
        seen.append(slice(first, last))
        read.append(slice(2 * first - span.start, 2 * last - span.start))
        kept.append(np.arange(span.keep_start, span.keep_stop) - 2 * first)
    coarse = mean_of_squares(_luminance(result[tuple(read)]), 2)
    change = share * (copy[tuple(seen)] - coarse)
    changed = result.copy()
    changed[tile.rows.inner, tile.columns.inner] += enlarge(change, kept[0], kept[1], 2)
    return changed


def _luminance(pixels: FloatArray) -> FloatArray:
    """Return the luminance of pixels (..., C), with one channel."""
    return pixels if pixels.shape[-1] == 1 else (pixels @ LUMINANCE)[..., np.newaxis]
