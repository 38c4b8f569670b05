"""Layout of arrays: conversion between the arrays of users and the images of models."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from quietpixel.array_types import NUMBERS, Array, FloatArray
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.axes import Axes, find_axes, share_nothing
from quietpixel.imaging.intensity_scale import Range, Scale, find_range, nominal_range, type_ceiling


@dataclass(frozen=True)
class Layout:
    """How an array represents an image, found once and used for every tile.

    Parameters
    ----------
    dtype
        The array's type.
    colours
        Number of colour channels, 1 or 3.
    alpha
        Whether a transparency channel follows them.
    range
        The values that stand for black and white.
    ceiling
        The largest value that the type, or the bits in use, can hold.
    neutral
        Whether red, green and blue are the same everywhere, so that the image is gray.
    unit
        The difference of values that a noise level of 1 stands for; None for white minus black.
    output
        The type of results; None for that of the array.
    """

    dtype: np.dtype[Any]
    colours: int
    alpha: bool
    range: Range
    ceiling: float = np.inf
    neutral: bool = False
    unit: float | None = None
    output: np.dtype[Any] | None = None

    @property
    def result(self) -> np.dtype[Any]:
        """The type of results."""
        return self.output or self.dtype

    @property
    def level_factor(self) -> float:
        """Noise level on the model's scale for one of 1 as users and records state it."""
        low, high = self.range
        return 1.0 if self.unit is None else self.unit / (high - low)

    @property
    def model_colours(self) -> int:
        """Colour channels that a model is given: 1 for gray, however it is stored."""
        return 1 if self.neutral else self.colours

    @property
    def bounded(self) -> bool:
        """Whether all values that can occur lie in [0, 1] for the model."""
        low, high = self.range
        return self.dtype.kind in "bui" and low <= type_floor(self.dtype) and high >= self.ceiling

    def on_scale(self, scale: Scale, dtype: str | None = None) -> Self:
        """Return the layout with black and white of a scale, and the type of results, if given."""
        layout = replace(self, output=np.dtype(dtype) if dtype else None)
        if scale.black == scale.white:
            return layout
        # A dark page of a stack uses fewer bits than others, but may get values of all of them.
        shared = min(scale.nominal + scale.unit, type_ceiling(self.dtype))
        ceiling = max(self.ceiling, shared)
        return replace(layout, range=scale.range, unit=scale.unit, ceiling=ceiling)

    def to_model(self, part: Array) -> FloatArray:
        """Return the colours of `part` (..., channels) as float32 in [0, 1]; a fresh array."""
        low, high = self.range
        if (low, high) == (0, 1):
            return part[..., : self.colours].astype(np.float32)
        # float32 keeps 24 bits, too few for an offset of many times the range.
        wide = np.float32 if self.dtype.itemsize <= 2 else np.float64
        colours = part[..., : self.colours]
        image: FloatArray = colours.astype(wide)
        if low != 0:
            image -= low
            if part.dtype.kind in "ui" and part.dtype.itemsize == 8:
                # float64 rounds whole numbers beyond 2**53, but not their distance from black.
                steps = colours.astype(np.uint64) - np.uint64(int(low // 1) % 2**64)
                exact = steps.view(np.int64) - low % 1
                image = np.where(np.abs(image) < 2**62, exact, image)
        image *= 1 / (high - low)
        return image.astype(np.float32, copy=False)

    def correct(self, part: Array, noisy: FloatArray, denoised: FloatArray) -> Array:
        """Return `part` (..., channels) with the change from `noisy` to `denoised`.

        Parameters
        ----------
        part
            Values of the array.
        noisy
            The same as `to_model` returned them.
        denoised
            float32 (..., colours).
        """
        low, high = self.range
        if self.result.itemsize <= 2 or (self.result.itemsize == 4 and self.range == (0, 1)):
            values = denoised * np.float32(high - low)
            if low != 0:
                values += np.float32(low)
            return self.to_type(values)
        # In float64 and added to the array's own values, so that those of large numbers survive.
        change = np.subtract(denoised, noisy, dtype=np.float64) * (high - low)
        colours = part[..., : self.colours]
        if self.result.kind in "ui" and self.result.itemsize == 8:
            return _add_integers(colours, change)
        return self.to_type(colours + change)

    def to_type(self, values: Array) -> Array:
        """Return values in the units of the array, in the type of results; they may change."""
        if self.result.kind == "b":
            return values >= 0.5
        if self.result.kind in "ui":
            np.clip(values, type_floor(self.result), self.ceiling, out=values)
            np.rint(values, out=values)
        elif self.result.name == "float16":
            np.clip(values, -self.ceiling, self.ceiling, out=values)
        return values.astype(self.result, copy=False)


def _add_integers(values: Array, change: Array) -> Array:
    """Return integers of 64 bits, of which float64 holds 53, with a change added."""
    bounds = np.iinfo(values.dtype)
    total = values + change
    steps = np.rint(np.clip(change, -(2.0**62), 2.0**62)).astype(np.int64)
    result = values + steps.astype(values.dtype)  # modulo 2**64, where the total shows it
    result = np.where(total >= float(bounds.max), bounds.max, result)
    return np.where(total <= float(bounds.min), bounds.min, result).astype(values.dtype)


def read_axes(image: Array, axes: str | None = None, channels: str = "auto") -> Axes:
    """Return which dimensions of an array are which, three channels decided by their values.

    Parameters
    ----------
    image
        The array.
    axes, channels
        As for `DenoiseOptions`.

    Raises
    ------
    ImageError, ArgumentError
        If it is not an array of numbers, or its dimensions are unclear.
    """
    check_kind(image)
    found = find_axes(image.shape, axes, channels)
    if channels != "auto" or found.colours is None:
        return found
    # The first plane decides for all, so that a stack is treated alike throughout.
    separate = share_nothing(next(found.planes(image))[1])
    return find_axes(image.shape, axes, "separate") if separate else found


def read_layout(array: Array, range: Range | None = None, *, holes: bool = False) -> Layout:
    """Return how `array` represents an image.

    Parameters
    ----------
    array
        bool, integers of 8 to 64 bits or floats of 16 to 64, of shape (H, W), (H, W, 1),
        (H, W, 2) gray with alpha, (H, W, 3) RGB, or (H, W, 4) RGB with alpha.
    range
        The values that stand for black and white; None takes the nominal ones (`find_range`).
    holes
        Whether some values may be not finite, or masked.

    Raises
    ------
    ImageError
        If the type or the shape is none of these, the image has no pixel, or a value is not
        finite.
    ArgumentError
        If `range` is not two growing numbers.
    """
    check_array(array, holes=holes)
    channels = array.shape[2] if array.ndim == 3 else 1
    alpha = channels in (2, 4)
    nominal = check_range(range) if range is not None else find_range(array)
    ceiling = type_ceiling(array.dtype) if range is not None else largest_in_use(array)
    neutral = channels >= 3 and all(
        (part[..., :1] == part[..., 1:3]).all()  # in steps, because colour is seen soon
        for part in np.array_split(array, max(len(array) // 64, 1))
    )
    return Layout(array.dtype, channels - alpha, alpha, nominal, ceiling, neutral)


def type_floor(dtype: np.dtype[Any]) -> float:
    """Return the smallest value that an integer type or bool holds."""
    return 0.0 if dtype.kind == "b" else float(np.iinfo(dtype).min)


def largest_in_use(array: Array) -> float:
    """Return the largest value that the type, or the bits in use by an image, can hold."""
    if array.dtype.name != "uint16":
        return type_ceiling(array.dtype)
    # A hot pixel counts: it is kept, though it does not set white.
    colours = array[..., :-1] if array.ndim == 3 and array.shape[2] in (2, 4) else array
    return nominal_range(array.dtype, 0, float(colours.max()), far=False)[1]


def check_range(range: Range) -> Range:
    """Return `range` as two floats, or raise ArgumentError."""
    try:
        low, high = (float(value) for value in range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise ArgumentError(
            "`range` must be two numbers, first what stands for black, then the larger one for "
            f"white; got {range}. For 12 bits, they are 0 and 4095."
        )
    return low, high


def check_kind(array: Array) -> None:
    """Raise ImageError unless `array` is an array of numbers."""
    # A np.matrix stays two-dimensional whatever is done; with NumPy 2.4 the process then aborted.
    if not isinstance(array, np.ndarray) or isinstance(array, np.matrix):
        raise ImageError(
            f"`image` must be a NumPy array; got {type(array).__name__}. Try numpy.asarray(image)."
        )
    if array.dtype.name not in NUMBERS:
        raise ImageError(
            "`image` must hold bool, integers of 8 to 64 bits or floats of 16 to 64 bits; got "
            f"{array.dtype}. Convert it to float64, or pass the real and imaginary parts apart."
        )
    if array.size == 0:
        raise ImageError(f"`image` must have at least one pixel; got shape {array.shape}.")


def check_array(array: Array, *, holes: bool = False) -> None:
    """Raise ImageError unless `array` is an image that can be denoised."""
    check_kind(array)
    if array.ndim != 2 and not (array.ndim == 3 and 1 <= array.shape[2] <= 4):
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
    known = np.ma.count(array)  # a masked array may have fewer than its size
    if array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            if known and np.isfinite(array.sum(dtype=np.float64)):  # the usual case, no flags
                return
        known = int(np.count_nonzero(np.ma.filled(np.isfinite(array), False)))
    if known == array.size or (holes and known):
        return
    if holes:
        raise ImageError(
            f"`image` must hold finite numbers; all of its {array.size} values are NaN, infinite "
            "or masked."
        )
    bad = ~np.isfinite(array)
    place = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    raise ImageError(
        f"`image` must hold finite numbers; {int(bad.sum())} of its {array.size} values are "
        f"not, the first at {place} is {array[place]}. Replace them first, for example with "
        "numpy.nan_to_num(image)."
    )


def check_batch(images: Any) -> None:
    """Raise ImageError unless `images` is a stack (N, H, W, 1 or 3) of usable images."""
    shape = getattr(images, "shape", type(images).__name__)
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ImageError(
            f"`images` must be an array (N, H, W, 1) or (N, H, W, 3); got {shape}. Pass "
            "images[..., None] for gray images, or one image to the denoiser itself."
        )
    if images.size == 0:
        raise ImageError(f"`images` must hold at least one pixel; got shape {shape}.")
    check_array(images.reshape(-1, *images.shape[2:]), holes=True)


def check_out(out: Any, image: Any, dtype: np.dtype[Any]) -> None:
    """Raise ArgumentError unless `out` can take the result for `image`, of type `dtype`."""
    got = f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}".strip()
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (image.shape, dtype):
        raise ArgumentError(
            f"`out` must have the type and shape of the result, {dtype} {image.shape}; "
            f"got {got}. Omit it for a new array."
        )
    if not out.flags.writeable:
        raise ArgumentError("`out` cannot be written to; omit it for a new array.")
    if out is not image and np.may_share_memory(out, image):
        raise ArgumentError("`out` overlaps `image`; pass `image` itself, or an array of its own.")


def with_mask(result: Array, image: Array) -> Array:
    """Return `result` with the mask of `image`, if that is a masked array."""
    masked = isinstance(image, np.ma.MaskedArray)
    return np.ma.MaskedArray(result, np.ma.getmaskarray(image)) if masked else result


def with_channels(image: Array) -> Array:
    """Return (H, W) as (H, W, 1), and all else as it is."""
    return image if image.ndim == 3 else image[..., np.newaxis]
