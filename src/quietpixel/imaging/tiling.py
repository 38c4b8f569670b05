"""Cuts a large image into overlapping tiles, so that tiled equals whole.

What "whole" means here: the image is continued by reflection at the bottom and the right until
the model's divisor divides its sides, then the model runs on it, then the rest is cut off. Tiles
begin on multiples of the divisor and end exactly where that continued image ends, so the model
meets the true border (and its own zero padding there) in a tile just as in the whole; only the
sides inside the image get a margin. Every tile size thus gives the same result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Array
from quietpixel.errors import ArgumentError


@dataclass(frozen=True)
class Span:
    """What one tile reads and keeps along one side of the image, in pixels.

    Parameters
    ----------
    start, stop
        What it reads; `stop` may lie beyond the image, which reflection continues.
    keep_start, keep_stop
        What of it goes into the result; always inside the image.
    """

    start: int
    stop: int
    keep_start: int
    keep_stop: int

    @property
    def inner(self) -> slice:
        """What is kept, counted from the tile's own beginning."""
        return slice(self.keep_start - self.start, self.keep_stop - self.start)

    @property
    def outer(self) -> slice:
        """What is kept, counted from the image's beginning."""
        return slice(self.keep_start, self.keep_stop)

    def shift(self, pixels: int) -> "Span":
        """Return the same span, counted from a point that many pixels further back."""
        ends = (self.start, self.stop, self.keep_start, self.keep_stop)
        return Span(*(end + pixels for end in ends))


@dataclass(frozen=True)
class Tile:
    """One rectangle of an image: what a model reads, and what of its answer is kept."""

    rows: Span
    columns: Span

    def read(self, image: Array) -> Array:
        """Return the tile's pixels of `image` (H, W, ...), continued by reflection."""
        rows, columns = self.rows, self.columns
        # A view, without a copy, for all tiles but those at the end.
        if rows.stop <= image.shape[0] and columns.stop <= image.shape[1]:
            return image[rows.start : rows.stop, columns.start : columns.stop]
        return image[np.ix_(*self.places(image.shape))]

    def places(self, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows and columns of an image (H, W, ...) that `read` takes."""
        spans = self.rows, self.columns
        rows, columns = (
            reflect_indices(s.start, s.stop, n) for s, n in zip(spans, shape[:2], strict=True)
        )
        return rows, columns

    def shift(self, rows: int, columns: int) -> "Tile":
        """Return the same rectangle, counted from a point that many pixels further back."""
        return Tile(self.rows.shift(rows), self.columns.shift(columns))


@dataclass(frozen=True)
class Grid:
    """How an image is cut: the tile's sides with their margins, for one halo and divisor.

    Parameters
    ----------
    shape
        (height, width) of the image in pixels.
    tile
        (height, width) that a tile reads at most, multiples of `divisor`.
    halo
        Pixels of surroundings that decide one pixel.
    divisor
        The model's sides must be multiples of this.

    Examples
    --------
    >>> [tile.rows.outer for tile in Grid((10, 4), tile=(8, 4), halo=2).tiles()]
    [slice(0, 6, None), slice(6, 10, None)]
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    halo: int
    divisor: int = 1

    def __post_init__(self) -> None:
        least = least_side(self.halo, self.divisor)
        for side, length in zip(self.tile, self.shape, strict=True):
            if side < 1 or side % self.divisor:
                raise ArgumentError(
                    f"`tile` must be a multiple of {self.divisor} because the model takes only "
                    f"such sizes; got {side}. Try {max(round_up(side, self.divisor), least)}."
                )
            if side < min(least, round_up(length, self.divisor)):
                raise ArgumentError(
                    f"`tile` must be at least {least} because the model needs {self.margin} pixels "
                    f"of surroundings on each side; got {side}. Try {least}."
                )

    @property
    def margin(self) -> int:
        """The halo, rounded up to a multiple of the divisor."""
        return round_up(self.halo, self.divisor)

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles row by row; together they keep each pixel once."""
        rows, columns = (self._spans(axis) for axis in (0, 1))
        return (Tile(row, column) for row in rows for column in columns)

    def _spans(self, axis: int) -> list[Span]:
        length = self.shape[axis]
        end = round_up(length, self.divisor)
        side, spans, kept = min(self.tile[axis], end), [], 0
        for start in range(0, end, max(side - 2 * self.margin, 1)):
            start = min(start, end - side)  # noqa: PLW2901 - the last tile ends at the border
            stop = start + side
            keep = length if stop == end else stop - self.margin
            spans.append(Span(start, stop, kept, min(keep, length)))
            kept = spans[-1].keep_stop
            if kept == length:
                break
        return spans


def plan_grid(shape: tuple[int, int], *, pixels: int, halo: int, divisor: int = 1) -> Grid:
    """Return the cut of an image that computes the least with tiles of at most `pixels` pixels.

    Parameters
    ----------
    shape
        (height, width) of the image.
    pixels
        The most pixels that one tile may read; a model whose halo asks for more gets more.
    halo, divisor
        As the model's card says.
    """
    margin = round_up(halo, divisor)
    least = least_side(halo, divisor)
    # No smaller tile keeps anything between its margins.
    pixels = max(pixels, least**2)
    best, least_work = Grid(shape, (least, least), halo, divisor), float("inf")
    for count in range(1, _count(shape[1], least, margin) + 1):
        width = _side(shape[1], count, margin, divisor)
        rows = _count(shape[0], max(pixels // width // divisor * divisor, least), margin)
        height = _side(shape[0], rows, margin, divisor)
        work = rows * height * count * width
        if height * width <= pixels and work < least_work:
            best, least_work = Grid(shape, (height, width), halo, divisor), work
        if height * width <= pixels and (rows == 1 or width <= height):
            break  # more columns would only add margins from here on
    return best


def round_up(length: int, divisor: int) -> int:
    """Return the smallest multiple of `divisor` that is not below `length`."""
    return -(-length // divisor) * divisor


def least_side(halo: int, divisor: int) -> int:
    """Return the smallest side of a tile that keeps something between its margins.

    Examples
    --------
    >>> least_side(halo=5, divisor=4)
    20
    """
    return 2 * round_up(halo, divisor) + divisor


def reflect_indices(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Return which of `length` pixels stand at places start to stop of the reflected image.

    Examples
    --------
    >>> reflect_indices(-2, 6, 4).tolist(), reflect_indices(0, 3, 1).tolist()
    ([2, 1, 0, 1, 2, 3, 2, 1], [0, 0, 0])
    """
    # The period of the reflection would be 0.
    if length == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (length - 1)
    places = np.arange(start, stop) % period
    return np.minimum(places, period - places)


def spread_runs(length: int, run: int, count: int, align: int = 1) -> NDArray[np.intp]:
    """Return `count` runs of neighbouring places, spread over a side of an image, or all of it.

    Runs begin on multiples of `align`.

    Examples
    --------
    >>> spread_runs(10, 2, 3).tolist(), spread_runs(4, 2, 3).tolist()
    ([0, 1, 4, 5, 8, 9], [0, 1, 2, 3])
    """
    if length <= run * count:
        return np.arange(length)
    starts = np.linspace(0, length - run, count).astype(np.intp) // align * align
    return (starts[:, np.newaxis] + np.arange(run)).ravel()


def _count(length: int, side: int, margin: int) -> int:
    """Return how many tiles of that side, margins included, cover the length."""
    if length <= side:
        return 1
    return max(-(-(length - 2 * margin) // (side - 2 * margin)), 2)


def _side(length: int, count: int, margin: int, divisor: int) -> int:
    """Return the smallest side with which that many tiles cover the length."""
    end = round_up(length, divisor)
    if count == 1:
        return end
    return min(round_up(-(-(end - 2 * margin) // count), divisor) + 2 * margin, end)


def take_places(image: Any, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """Return the pixels of an image (H, W, ...) in some rows and columns.

    Parameters
    ----------
    image
        An array, or a stored image with a method of this name, which reads no others.
    rows, columns
        Their places.
    """
    if isinstance(image, np.ndarray):
        return image[rows][:, columns]
    return image.take_places(rows, columns)


def mean_of_squares(image: Array, side: int) -> Array:
    """Return the mean of each square of an image (H, W, ...); the rest at the ends is left out.

    Examples
    --------
    >>> mean_of_squares(np.arange(10).reshape(2, 5), 2).tolist()
    [[3.0, 5.0]]
    """
    rows, columns = (length // side for length in image.shape[:2])
    whole = image[: rows * side, : columns * side]
    # Row by row first: sums along a few neighbours are slow.
    lines = whole.reshape(rows, side, -1).mean(axis=1)
    return np.asarray(lines.reshape(rows, columns, side, *image.shape[2:]).mean(axis=2))
