"""Which dimensions of an array are which."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from quietpixel.errors import ArgumentError, ImageError


@dataclass(frozen=True)
class Axes:
    """Where the rows, columns and colours of an array lie; all other dimensions count planes.

    Parameters
    ----------
    y, x
        Numbers of the dimensions.
    colours
        Whether the last dimension holds the colours of a pixel.
    """

    y: int
    x: int
    colours: bool

    def inner(self, count: int) -> tuple[int, ...]:
        """Return the dimensions of one image, of `count`."""
        return (self.y, self.x, count - 1) if self.colours else (self.y, self.x)


def find_axes(shape: Sequence[int], axes: str | None) -> Axes:
    """Return which dimensions are which.

    Parameters
    ----------
    shape
        Of the array.
    axes
        A letter for each dimension, y and x last or before colours c; None takes a last dimension
        of size 3 or 4 as colours.

    Raises
    ------
    ImageError
        If there are fewer than two dimensions, or a size is not known.
    ArgumentError
        If `axes` does not fit.

    Examples
    --------
    >>> find_axes((5, 9, 9), "tyx"), find_axes((9, 9, 3), None).colours
    (Axes(y=1, x=2, colours=False), True)
    """
    if len(shape) < 2 or any(isnan(length) for length in shape):
        raise ImageError(
            "`array` must have 2 or more dimensions of known sizes because its planes are images; "
            f"got shape {tuple(shape)}. Try array.compute_chunk_sizes()."
        )
    if axes is None:
        colours = len(shape) > 2 and shape[-1] in (3, 4)
        return Axes(len(shape) - 2 - colours, len(shape) - 1 - colours, colours)
    text = axes.lower()
    colours = text.endswith("c") and 1 <= shape[-1] <= 4
    place = text[:-1] if colours else text
    if len(text) != len(shape) or len(set(text)) != len(text) or place[-2:] != "yx":
        raise ArgumentError(
            "`axes` must name each dimension by a letter of its own, with y and x at the end, or "
            f"before at most 4 colours c; got '{axes}' for shape {tuple(shape)}. Try 'tzyx', 'cyx' "
            "or 'yxc'."
        )
    return Axes(len(place) - 2, len(place) - 1, colours)
