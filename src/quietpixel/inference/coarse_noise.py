"""Coarse noise, such as a camera's JPEG leaves: found in copies of half and quarter the size.

In an image itself, noise with periods of 16 pixels and more looks like content to the model, and so
does part of the finer noise that neighbours share. In a copy it is as fine as the noise that the
model knows. Colour is corrected before the model, by the smaller copy. Luminance is corrected after
it: the coarse part of the result goes part of the way to what the model makes of the larger copy,
which has been corrected by the smaller one. An image takes 1.4 times as long with it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.card import Card
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.imaging.tiling import Tile, mean_of_squares
from quietpixel.inference.tile_plan import choose_grid

HALF, QUARTER = 2, 4
"""Pixels of the image along a side of one pixel of a copy."""
LEVELS = {QUARTER: (0.35, 0.12), HALF: (0.65, 0.45)}
"""Noise level of luminance in the copies, as a share of that of the image: where noise is hardly as
coarse as in camera JPEGs, and where it is just as coarse. With the lower ones in both places,
600D pairs with their noise tripled, cut to 320 pixels, get 0.1 dB less, in gray 0.2."""
SHARE, WHOLE = 0.7, 0.25
"""How far the coarse part of a result goes, wholly from the second number on of how far the noise
is as coarse as in camera JPEGs. 600D pairs 40.52 -> 40.66 dB, in gray 42.23 -> 42.53. Copies of
lower levels gain a little more there, and lose where noise is one octave wide."""
COLOUR_LEVEL = 0.35
"""Noise level of colour in the smaller copy, as a share of that of the image (600D pairs 40.16 ->
40.37 dB, their noise doubled 35.8 -> 36.4). A share of 0.5 gives no more, and takes more of weak
content."""
REACH = 2
"""Pixels around the part of a tile that is kept which its correction needs, too."""


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
        if self.blotches is None:
            return pixels
        return pixels + enlarge(self.blotches, rows, columns, QUARTER)

    def correct_luminance(self, denoised: FloatArray, tile: Tile) -> FloatArray:
        """Return a denoised tile, of which the part that is kept is corrected."""
        return _follow(self.luminance, denoised, tile, self.share)


def can_find(card: Card) -> bool:
    """Return whether a model can be shown copies, with tiles that begin on their pixels."""
    return card.channels == 3 and card.halo is not None and card.divisor % QUARTER == 0


def plan_copies(card: Card, shape: tuple[int, ...], pixels: int) -> dict[int, tuple[Tile, ...]]:
    """Return how the copies of images (H, W, ...) are cut, by their steps.

    Parameters
    ----------
    card
        Of the model.
    shape
        Of the images.
    pixels
        The most pixels of a tile.
    """
    sides = {step: (-(-shape[0] // step), -(-shape[1] // step)) for step in (QUARTER, HALF)}
    return {
        step: tuple(choose_grid(card, size, pixels, margin=REACH).tiles())
        for step, size in sides.items()
    }


@dataclass(frozen=True, eq=False)
class Copies:
    """What the model is shown of images at half and at quarter their size.

    Parameters
    ----------
    half
        At half their size, float32 (H / 2, W / 2, N, C).
    level
        Their noise level, float32 (1, 1, N) or (H, W, 1).
    tiles
        What `plan_copies` gave.
    """

    half: FloatArray
    level: FloatArray
    tiles: Mapping[int, tuple[Tile, ...]]

    def read(self, step: int) -> Iterator[tuple[Tile, FloatArray, FloatArray]]:
        """Yield the tiles of a copy, with pixels (h, w, N, C) and level (h, w, N)."""
        copy = self.half if step == HALF else shrink(self.half)
        constant = self.level.shape[:2] == (1, 1)
        for tile in self.tiles[step]:
            pixels = tile.read(copy)
            level = self.level if constant else tile.read(self.level[::step, ::step])
            yield tile, pixels, np.broadcast_to(level, pixels.shape[:3])


def find_coarse_noise(
    copies: Copies,
    camera: FloatArray,
    factors: tuple[float, float],
    denoise: Callable[[FloatArray, FloatArray], FloatArray],
    on_tile: Callable[[], None],
) -> CoarseNoise:
    """Return the coarse noise of images.

    Parameters
    ----------
    copies
        Of the images.
    camera
        How far their noise is as coarse as in camera JPEGs, (N,), 0 to 1.
    factors
        By what the level is multiplied, for luminance and for colour.
    denoise
        Returns what the model makes of images (h, w, N, C) with a level (h, w, N).
    on_tile
        Called after each tile of a copy.
    """
    height, width, count, colours = copies.half.shape
    share = np.float32(SHARE) * np.minimum(camera / np.float32(WHOLE), 1)[:, np.newaxis]
    strength = {
        step: np.float32(factors[0]) * (first + (last - first) * camera)
        for step, (first, last) in LEVELS.items()
    }
    half = np.empty((height, width, count, 1), np.float32)
    quarter = np.empty((-(-height // 2), -(-width // 2), count, 1), np.float32)
    blotches = np.empty((*quarter.shape[:3], 3), np.float32) if colours == 3 else None
    for tile, pixels, level in copies.read(QUARTER):
        place, inner = (tile.rows.outer, tile.columns.outer), (tile.rows.inner, tile.columns.inner)
        result = denoise(pixels, level * strength[QUARTER])
        quarter[place] = _luminance(result)[inner]
        if blotches is not None:
            change = denoise(pixels, level * (factors[1] * COLOUR_LEVEL * camera)) - pixels
            change *= np.sign(camera)[:, np.newaxis]  # at level 0 a model changes a little, too
            blotches[place] = (change - _luminance(change))[inner]
        on_tile()
    for tile, pixels, level in copies.read(HALF):
        place, inner = (tile.rows.outer, tile.columns.outer), (tile.rows.inner, tile.columns.inner)
        result = denoise(pixels, level * strength[HALF])
        half[place] = _luminance(_follow(quarter, result, tile, share))[inner]
        on_tile()
    return CoarseNoise(blotches, half, share)


def shrink(pixels: FloatArray) -> FloatArray:
    """Return images (H, W, ...) at half their size; a last row or column counts twice."""
    missing = [(0, length % 2) for length in pixels.shape[:2]]
    whole = np.pad(pixels, (*missing, *((0, 0),) * (pixels.ndim - 2)), mode="edge")
    return mean_of_squares(whole, 2)


def enlarge(
    copy: FloatArray, rows: NDArray[np.intp], columns: NDArray[np.intp], step: int
) -> FloatArray:
    """Return the values that a copy (h, w, N, C) has in these rows and columns of the image.

    Examples
    --------
    >>> copy = np.arange(2, dtype=np.float32).reshape(2, 1, 1, 1)
    >>> enlarge(copy, np.arange(8), np.arange(1), step=4).ravel().tolist()
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

    The copy (H / 2, W / 2, N, 1) is of the whole image. Only what is kept of the tile changes; it
    begins on a multiple of 2, and the tile has a margin of `REACH` around it.
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
    changed[tile.rows.inner, tile.columns.inner] += enlarge(change, kept[0], kept[1], HALF)
    return changed


def _luminance(pixels: FloatArray) -> FloatArray:
    """Return the luminance of pixels (..., C), with one channel."""
    return pixels if pixels.shape[-1] == 1 else (pixels @ LUMINANCE)[..., np.newaxis]
