"""Dimensions of arrays: rows, columns, channels, colours, and all others, which count planes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpixel.array_types import Array
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.intensity_scale import scale_places
from quietpixel.imaging.tiling import mean_of_squares

OTHER_LETTERS = "abdefghijklmnop"
"""For dimensions without a name: neither channels nor rows nor columns."""
CHANNELS = ("auto", "rgb", "separate")
"""What a last dimension of 3 channels means: decided by the image, colours, or channels of their
own."""
LETTERS = {"channel": "c", "band": "c", "rgb": "s", "sample": "s"}
"""Letters of dimensions whose names begin with another one."""
SAMPLES, CELL = 16, 8
"""Squares of 8 pixels are compared, of which the whole image gives about 300."""
UNRELATED = 0.1, 2.0
"""A channel shares nothing with another where their correlation is below this plus so many standard
errors. Of 223 photographs one had such a channel."""


@dataclass(frozen=True)
class Axes:
    """The dimensions of an array.

    Parameters
    ----------
    y, x
        Numbers of the dimensions of rows and columns.
    colours
        Number of the dimension of gray or RGB with or without alpha, None without one.
    channels
        Number of the dimension of channels that are images of their own, None without one.

    Examples
    --------
    >>> find_axes((5, 2, 9, 9), "tcyx")
    Axes(y=2, x=3, colours=None, channels=1)
    >>> find_axes((9, 9, 3)), find_axes((9, 9, 3), channels="separate")
    (Axes(y=0, x=1, colours=2, channels=None), Axes(y=0, x=1, colours=None, channels=2))
    """

    y: int
    x: int
    colours: int | None = None
    channels: int | None = None

    @property
    def inner(self) -> tuple[int, ...]:
        """The dimensions of one image: rows, columns and, if there are any, colours."""
        return (self.y, self.x) if self.colours is None else (self.y, self.x, self.colours)

    def order(self, count: int) -> list[int]:
        """Return the dimensions, of `count`, as channels, planes, rows, columns, colours."""
        first = () if self.channels is None else (self.channels,)
        planes = (axis for axis in range(count) if axis not in first + self.inner)
        return [*first, *planes, *self.inner]

    def planes(self, array: Array) -> Iterator[tuple[int, Array]]:
        """Yield the channel and the view (H, W) or (H, W, C) of each plane of an array."""
        view = array.transpose(self.order(array.ndim))
        for index in np.ndindex(*view.shape[: -len(self.inner)]):
            yield 0 if self.channels is None else index[0], view[index]


def letters_of(names: Sequence[Any]) -> str | None:
    """Return a letter for each name of a dimension; None unless they are such as y and x.

    Examples
    --------
    >>> letters_of(["time", "channel", "y", "x"]), letters_of(["longitude", "latitude"])
    ('tcyx', None)
    """
    letters = [LETTERS.get(str(name).lower(), str(name).lower()[:1]) for name in names]
    known = all(letters) and len(set(letters)) == len(letters) and {"y", "x"} <= set(letters)
    return "".join(letters) if known else None


def find_axes(shape: Sequence[int], axes: str | None = None, channels: str = "auto") -> Axes:
    """Return which dimensions of an array are which.

    Parameters
    ----------
    shape
        Of the array.
    axes
        A letter for each dimension: y and x; s for samples of a pixel, that is gray or RGB with or
        without alpha; c for channels, which count as samples where they come last and are at most
        4; any other letter, such as z and t, for planes. None takes (H, W) or (H, W, samples).
    channels
        ``"separate"`` makes samples channels of their own.

    Raises
    ------
    ArgumentError
        If `axes` does not fit the shape.
    ImageError
        If it is needed and not given.
    """
    if axes is None:
        if len(shape) == 2 or (len(shape) == 3 and 1 <= shape[2] <= 4):
            axes = "yxs"[: len(shape)]
        else:
            raise ImageError(
                "`axes` must be given for an image that is neither (H, W) nor (H, W, channels) "
                f"with 1 to 4 channels; got shape {tuple(shape)}. Try 'zyx', 'cyx' or 'tczyx'."
            )
    check_axes(axes)
    text = str(axes).lower()
    samples = "s" if "s" in text else "c" if text.endswith("c") and shape[-1] <= 4 else None
    if len(text) != len(shape) or ("s" in text and not 1 <= shape[text.index("s")] <= 4):
        raise ArgumentError(
            "`axes` must name each dimension, and s only one of size 1 to 4; "
            f"got '{axes}' for shape {tuple(shape)}. Try 'tczyx' or 'yxs'."
        )
    inner = None if samples is None else text.index(samples)
    if channels == "separate" and inner is not None:
        return Axes(text.index("y"), text.index("x"), None, inner)
    # Channels that are not colours get an intensity scale each.
    own = text.index("c") if "c" in text and samples != "c" else None
    return Axes(text.index("y"), text.index("x"), inner, own)


def check_axes(axes: object) -> None:
    """Raise ArgumentError unless `axes` are letters for dimensions, rows and columns among them."""
    text = str(axes).lower()
    if not text.isalpha() or len(text) != len(set(text)) or not {"y", "x"} <= set(text):
        raise ArgumentError(
            "`axes` must name each dimension by a letter of its own, y and x among them; "
            f"got '{axes}'. Try 'tczyx' or 'yxs'."
        )


def compare_axes(given: str | None, stated: str, *, used: bool = True) -> tuple[str, ...]:
    """Return a note where the axes that a user gives contradict those that an image states.

    Parameters
    ----------
    given
        Of the user, who may give none.
    stated
        Of the image, empty where it says nothing.
    used
        Whether those of the user are used.

    Examples
    --------
    >>> compare_axes("zyx", "cyx"), compare_axes("CYX", "cyx")
    (('The axes are zyx as given by `axes`, and not cyx as the image states.',), ())
    """
    # A last c may be the samples of a pixel too.
    if not given or not stated or re.sub("c$", "s", given.lower()) == re.sub("c$", "s", stated):
        return ()
    if used:
        return (f"The axes are {given} as given by `axes`, and not {stated} as the image states.",)
    return (f"The axes are {stated} as the image states, and not {given} as given by `axes`.",)


def share_nothing(image: Array) -> bool:
    """Return whether one of the three channels of an image has nothing in common with the others.

    A colour photograph has much in common; three fluorescence channels may not, and an empty one
    never has. Values that are not finite or masked count as 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> share_nothing(rng.random((64, 64, 3))), share_nothing(rng.random((64, 64, 1)) * [1, 2, 3])
    (True, False)
    """
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 4 * CELL:
        return False
    rows, columns = scale_places(image.shape, SAMPLES)
    # Means of squares, because the noise of channels is independent in any image.
    part = np.ma.filled(image[rows][:, columns].astype(np.float64), 0)
    part = np.where(np.isfinite(part), part, 0)
    means = mean_of_squares(part, CELL).reshape(-1, 3)
    spread = means.std(axis=0)
    if not spread.any():
        return False
    # A constant channel has no correlation, which counts as none.
    unit = (means - means.mean(axis=0)) / np.where(spread > 0, spread, 1)
    alike = np.abs(unit.T @ unit) / len(unit) * (1 - np.eye(3))
    return bool(alike.max(axis=0).min() < UNRELATED[0] + UNRELATED[1] / np.sqrt(len(unit)))
