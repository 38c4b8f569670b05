"""Cuts an image into blocks that are denoised apart, with the result of the whole.

A block keeps any rectangle. It reads the model's halo around it, begins on a multiple of the
divisor and ends on one or at the image's end, so the model meets the true border, the same phase
and the same reflection as in the whole image (see `quietpixel.imaging.tiling`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from quietpixel.imaging.tiling import Span, Tile, least_side, round_up


@dataclass(frozen=True)
class Field:
    """How a model looks at one plane.

    Parameters
    ----------
    shape
        (height, width) of the plane.
    halo
        Pixels of surroundings that decide one pixel.
    divisor
        Sides that the model takes are multiples of this.
    """

    shape: tuple[int, int]
    halo: int
    divisor: int

    def block(self, rows: slice, columns: slice, *, step: int = 1) -> Tile:
        """Return the block that keeps a rectangle; what it reads never leaves the image.

        Parameters
        ----------
        rows, columns
            What is kept.
        step
            What is read begins and ends on multiples of this too.
        """
        step = math.lcm(step, self.divisor)
        sides = zip((rows, columns), self.shape, strict=True)
        return Tile(*(self._span(keep, length, step) for keep, length in sides))

    def _span(self, keep: slice, length: int, step: int) -> Span:
        start = max((keep.start - self.halo) // step * step, 0)
        stop = min(round_up(keep.stop + self.halo, step), length)
        if stop == length:  # reflection there needs as many pixels as it adds, and one more
            beyond = round_up(length, self.divisor) - length
            start = min(start, max((length - beyond - 1) // step * step, 0))
        return Span(start, stop, keep.start, keep.stop)


@dataclass(frozen=True)
class BlockGrid:
    """The tiles of one block, as the model gets them, counted from where the block begins.

    Parameters
    ----------
    field
        How the model looks at the plane.
    block
        What is kept, and what was read.
    pixels
        The most that one tile should read.

    Examples
    --------
    >>> field = Field((100, 100), halo=2, divisor=4)
    >>> block = field.block(slice(0, 50), slice(0, 100))
    >>> [tile.rows.outer for tile in BlockGrid(field, block, pixels=6000).tiles()]
    [slice(0, 40, None), slice(40, 50, None)]
    """

    field: Field
    block: Tile
    pixels: int

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles row by row; together they keep what the block keeps."""
        height, width = self._sides()
        for rows in _pieces(self.block.rows, height):
            for columns in _pieces(self.block.columns, width):
                yield self._inside(self.field.block(rows, columns))

    def _sides(self) -> tuple[int, int]:
        """Return what a tile keeps at most, (height, width)."""
        margin = least_side(self.field.halo, self.field.divisor)
        kept = self.block.columns.keep_stop - self.block.columns.keep_start
        width = min(kept + margin, max(math.isqrt(self.pixels), margin))
        if kept + margin < 2 * width:  # a second column would be all margin
            width = min(kept + margin, max(self.pixels // margin, margin))
        height = max(self.pixels // width, margin)
        step = self.field.divisor
        return max((height - margin) // step * step, step), max(
            (width - margin) // step * step, step
        )

    def _inside(self, tile: Tile) -> Tile:
        sides = (tile.rows, self.block.rows, 0), (tile.columns, self.block.columns, 1)
        return Tile(*(self._shift(span, whole.start, axis) for span, whole, axis in sides))

    def _shift(self, span: Span, begin: int, axis: int) -> Span:
        stop = span.stop
        if stop == self.field.shape[axis]:
            stop = round_up(stop, self.field.divisor)
        return Span(
            span.start - begin, stop - begin, span.keep_start - begin, span.keep_stop - begin
        )


def _pieces(span: Span, side: int) -> Iterator[slice]:
    """Yield parts of what a block keeps, none larger than `side`."""
    for start in range(span.keep_start, span.keep_stop, side):
        yield slice(start, min(start + side, span.keep_stop))
