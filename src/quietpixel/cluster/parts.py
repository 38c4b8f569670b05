"""Cuts arrays of any number of dimensions into parts that workers read and write alone."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quietpixel.cluster.axes import Axes

PIXELS = 2**23
"""What one part holds at most, unless what is stored in one piece is larger."""


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


def cut(
    shape: Sequence[int], unit: Sequence[int], axes: Axes, *, level: int = 0, pixels: int = PIXELS
) -> Iterator[Part]:
    """Yield parts that cover an array once and never share a stored piece.

    Parameters
    ----------
    shape
        Of the array.
    unit
        Sides of what is stored in one piece.
    axes
        Which dimensions are which; colours stay together.
    level
        Of the pyramid.
    pixels
        The most that a part should hold.

    Examples
    --------
    >>> [part.spans for part in cut((5, 6), (2, 3), Axes(0, 1, False), pixels=12)]
    [((0, 2), (0, 6)), ((2, 4), (0, 6)), ((4, 5), (0, 6))]
    """
    sides = list(map(min, unit, shape))
    if axes.colours:
        sides[-1] = shape[-1]
    room = pixels * (sides[-1] if axes.colours else 1) / math.prod(sides)
    for axis, share in ((axes.y, math.sqrt(max(room, 1))), (axes.x, None)):
        times = max(int(share or room), 1)
        times = min(times, -(-shape[axis] // sides[axis]))
        sides[axis] *= times
        room /= times
    starts = (range(0, length, side) for length, side in zip(shape, sides, strict=True))
    for number, corner in enumerate(itertools.product(*starts)):
        ends = zip(corner, sides, shape, strict=True)
        yield Part(level, number, tuple((a, min(a + side, end)) for a, side, end in ends))
