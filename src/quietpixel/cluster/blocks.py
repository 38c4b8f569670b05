"""How arrays are cut for workers: their axes, parts to read and write, and blocks with a halo.

A block keeps any rectangle. It reads the model's halo around it, begins on a multiple of the
divisor and ends on one or at the image's end, so the model meets the true border, the same phase
and the same reflection as in the whole image (see `quietpixel.imaging.tiling`).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.axes import Axes
from quietpixel.imaging.axes import find_axes as name_axes
from quietpixel.imaging.tiling import Span, Tile, round_up

PIXELS = 2**23
"""Most pixels of one part, unless a stored chunk is larger."""


def find_axes(shape: Sequence[int], axes: str | None) -> Axes:
    """Return which dimensions are which: planes first, then rows, columns and colours.

    Parameters
    ----------
    shape
        Of the array.
    axes
        A letter for each dimension as in `quietpixel.imaging.axes`, y and x last or before colours;
        None takes a last dimension of size 3 or 4 as colours.

    Raises
    ------
    ImageError
        If there are fewer than two dimensions, or a size is not known.
    ArgumentError
        If `axes` does not fit.

    Examples
    --------
    >>> find_axes((5, 9, 9), "tyx").colours, find_axes((9, 9, 3), None).colours
    (None, 2)
    """
    # Dask marks a size that it does not know as NaN.
    if len(shape) < 2 or any(math.isnan(length) for length in shape):
        raise ImageError(
            "`array` must have 2 or more dimensions of known sizes because its planes are images; "
            f"got shape {tuple(shape)}. array.compute_chunk_sizes() finds sizes that are NaN."
        )
    if axes is None:
        colours = len(shape) > 2 and shape[-1] in (3, 4)
        y = len(shape) - 2 - colours
        return Axes(y, y + 1, y + 2 if colours else None)
    found = name_axes(shape, axes)
    if found.inner != tuple(range(len(shape)))[-len(found.inner) :]:
        raise ArgumentError(
            f"`axes` must end with y and x, or with these and at most 4 colours c; got '{axes}' "
            f"for shape {tuple(shape)}. Try 'tzyx', 'cyx' or 'yxc'."
        )
    return found


@dataclass(frozen=True)
class Field:
    """What a model reads of one plane.

    Parameters
    ----------
    shape
        (height, width) of the plane.
    halo
        Pixels around one pixel that its result depends on.
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
        # On a multiple of the step, so that the model halves the same pairs of pixels as in the
        # whole.
        start = max((keep.start - self.halo) // step * step, 0)
        stop = min(round_up(keep.stop + self.halo, step), length)
        if stop == length:  # reflection there needs as many pixels as it adds, and one more
            beyond = round_up(length, self.divisor) - length
            start = min(start, max((length - beyond - 1) // step * step, 0))
        return Span(start, stop, keep.start, keep.stop)


@dataclass(frozen=True)
class Part:
    """One part of an array.

    Parameters
    ----------
    level
        Of the pyramid; 0 is the full size.
    number
        Counts the parts of a level.
    spans
        (start, stop) along each dimension.
    """

    level: int
    number: int
    spans: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """A name that no other part has."""
        return f"{self.level}-{self.number}"

    @property
    def where(self) -> tuple[slice, ...]:
        """What it covers."""
        return tuple(slice(*span) for span in self.spans)

    def channels(self, axes: Axes) -> "Iterator[tuple[int, Part]]":
        """Yield the number of each channel and what it covers of it; number 0 of no channels."""
        if axes.channels is None:
            yield 0, self
            return
        before, after = self.spans[: axes.channels], self.spans[axes.channels + 1 :]
        for number in range(*self.spans[axes.channels]):
            yield number, replace(self, spans=(*before, (number, number + 1), *after))


def cut(
    shape: Sequence[int], unit: Sequence[int], axes: Axes, *, level: int = 0, pixels: int = PIXELS
) -> Iterator[Part]:
    """Yield parts that cover an array once, of whole stored chunks.

    Parameters
    ----------
    shape
        Of the array.
    unit
        Sides of a stored chunk.
    axes
        Which dimensions are which; colours stay together.
    level
        Of the pyramid.
    pixels
        The most that a part should hold.

    Examples
    --------
    >>> [part.spans for part in cut((5, 6), (2, 3), Axes(0, 1), pixels=12)]
    [((0, 2), (0, 6)), ((2, 4), (0, 6)), ((4, 5), (0, 6))]
    """
    sides = list(map(min, unit, shape))
    if axes.colours:
        sides[-1] = shape[-1]
    free = pixels * (sides[-1] if axes.colours else 1) / math.prod(sides)
    # Nearly square parts have the shortest margins, which two parts read both.
    for axis, share in ((axes.y, math.sqrt(max(free, 1))), (axes.x, None)):
        times = max(int(share or free), 1)
        times = min(times, -(-shape[axis] // sides[axis]))
        sides[axis] *= times
        free /= times
    starts = (range(0, length, side) for length, side in zip(shape, sides, strict=True))
    for number, corner in enumerate(itertools.product(*starts)):
        ends = zip(corner, sides, shape, strict=True)
        yield Part(level, number, tuple((a, min(a + side, end)) for a, side, end in ends))
