"""Turns arrays as people have them into model images, and the answers back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.intensity_scale import Range as Range  # noqa: PLC0414  (used with Layout)
from quietpixel.imaging.intensity_scale import find_range

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

INTEGERS = ("uint8", "uint16")
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Layout:
    """How an array holds an image, found once and used for each of its tiles.

    Parameters
    ----------
    dtype
        The array's type.
    colours
        Number of colour channels, 1 or 3.
    alpha
        Whether one more channel, transparency, follows them.
    range
        The values that stand for black and white.
    ceiling
        The largest value that the type, or the bits in use, can hold.
    """

    dtype: np.dtype[Any]
    colours: int
    alpha: bool
    range: Range
    ceiling: float = np.inf

    @property
    def bounded(self) -> bool:
        """Whether all values that can occur lie in [0, 1] for the model."""
        low, high = self.range
        return self.dtype.kind == "u" and low <= 0 and high >= self.ceiling

    def to_model(self, part: Array) -> FloatArray:
        """Return the colours of `part` (..., channels) as float32 in [0, 1]; a fresh array."""
        low, high = self.range
        if (low, high) == (0, 1):
            return part[..., : self.colours].astype(np.float32)
        wide = np.float64 if self.dtype.name == "float64" else np.float32
        image: FloatArray = part[..., : self.colours].astype(wide)
        if low != 0:
            image -= low
        image *= 1 / (high - low)
        return image.astype(np.float32, copy=False)

    def from_model(self, image: FloatArray) -> Array:
        """Return `image` (..., colours) in the array's own type and range."""
        low, high = self.range
        values = image if (low, high) == (0, 1) else image * np.float32(high - low)
        if low != 0:
            values = values + low
        if self.dtype.kind == "u":
            values = np.clip(values, 0, self.ceiling)
            np.rint(values, out=values)
        elif self.dtype.name == "float16":
            values = np.clip(values, -self.ceiling, self.ceiling)
        return values.astype(self.dtype)


def read_layout(array: Array, range: Range | None = None) -> Layout:
    """Return how `array` holds an image.

    Parameters
    ----------
    array
        uint8, uint16, float16, float32 or float64 of shape (H, W), (H, W, 1), (H, W, 2) gray
        with alpha, (H, W, 3) RGB, or (H, W, 4) RGB with alpha.
    range
        The values that stand for black and white; None finds them (`find_range`).

    Raises
    ------
    ImageError
        If the type or the shape is none of these, the image has no pixel, or a value is not
        finite.
    ArgumentError
        If `range` is not two growing numbers.
    """
    check_array(array)
    channels = array.shape[2] if array.ndim == 3 else 1
    alpha = channels in (2, 4)
    if range is not None:
        found, ceiling = check_range(range), type_ceiling(array.dtype)
    else:
        found = find_range(array)
        ceiling = found[1] if array.dtype.kind == "u" else type_ceiling(array.dtype)
    return Layout(array.dtype, channels - alpha, alpha, found, ceiling)


def type_ceiling(dtype: np.dtype[Any]) -> float:
    """Return the largest value that a type holds."""
    return float(np.iinfo(dtype).max if dtype.kind == "u" else np.finfo(dtype).max)


def is_neutral(array: Array, layout: Layout) -> bool:
    """Say whether an RGB array holds gray: red, green and blue are the same everywhere.

    Examples
    --------
    >>> gray = np.full((4, 4, 3), 7, np.uint8)
    >>> is_neutral(gray, read_layout(gray))
    True
    """
    if layout.colours != 3:
        return False
    steps = (array[top : top + 64] for top in range(0, len(array), 64))  # a coloured one ends soon
    return all((part[..., :1] == part[..., 1:3]).all() for part in steps)


def check_range(range: Range) -> Range:
    """Return `range` as two floats, or raise ArgumentError."""
    try:
        low, high = (float(value) for value in range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise ArgumentError(
            "`range` must be two numbers, first what stands for black, then the larger one for "
            f"white; got {range}. Try (0, 4095) for 12 bits."
        )
    return low, high


def check_array(array: Array) -> None:
    """Raise ImageError unless `array` is an image that can be denoised."""
    if not isinstance(array, np.ndarray):
        raise ImageError(
            f"`image` must be a NumPy array; got {type(array).__name__}. Try numpy.asarray(image)."
        )
    _check_type(array)
    _check_shape(array)
    if array.size == 0:
        raise ImageError(f"`image` must have at least one pixel; got shape {array.shape}.")
    _check_finite(array)


def _check_type(array: Array) -> None:
    if array.dtype.name in INTEGERS + FLOATS:
        return
    raise ImageError(
        f"`image` must hold {', '.join(INTEGERS + FLOATS[:-1])} or {FLOATS[-1]} because only "
        f"these have a known black and white; got {array.dtype}. Turn it into float32 and say with "
        "`range` what is black and white."
    )


def _check_shape(array: Array) -> None:
    if array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4):
        return
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        remedy = "Its channels seem to come first; pass numpy.moveaxis(image, 0, -1)."
    elif array.ndim == 3:
        remedy = "Pass the pages of a stack one by one, or Denoiser.batch(images[..., None])."
    elif array.ndim == 4:
        remedy = "Pass several images of one size to Denoiser.batch."
    else:
        remedy = "Pass one image."
    raise ImageError(
        "`image` must have the shape (H, W), (H, W, 1), (H, W, 3), or with alpha (H, W, 2) or "
        f"(H, W, 4); got {array.shape}. {remedy}"
    )


def _check_finite(array: Array) -> None:
    if array.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):  # no array of flags for the usual case
            return
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    place = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    raise ImageError(
        f"`image` must hold finite numbers; {int(bad.sum())} of its {array.size} values are not, "
        f"the first at {place} is {array[place]}. Put numbers in their places first, such as "
        "numpy.nan_to_num(image) does."
    )


def with_channels(image: Array) -> Array:
    """Return (H, W) as (H, W, 1), and all else as it is."""
    return image if image.ndim == 3 else image[..., np.newaxis]


def one_channel(image: Array) -> Array:
    """Return (H, W, 1) of RGB, or (H, W, 2) of RGB with alpha, that holds one gray three times."""
    return image[..., :1] if image.shape[2] == 3 else image[..., [0, 3]]


def all_channels(gray: Array, image: Array, out: Array | None) -> Array:
    """Return `image` with the one gray of `gray` three times in its colours."""
    result = copy_into(out, image)
    result[..., :3] = gray[..., :1]
    return result


def copy_into(out: Array | None, image: Array) -> Array:
    """Return a copy of `image`, or `out` with its values."""
    if out is None:
        return image.copy()
    if out is not image:
        out[...] = image
    return out
