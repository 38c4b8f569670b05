"""What a user may set for an image and for the denoiser, in one object that is passed on whole."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, check_known, check_number, check_text, unknown_name
from quietpixel.imaging.axes import CHANNELS, check_axes
from quietpixel.imaging.intensity_scale import Range
from quietpixel.imaging.strength import check_strength
from quietpixel.inference.arrays import check_range

Sigma = float | str | NDArray[Any]

QUALITIES: Mapping[str, int] = MappingProxyType({"normal": 1, "best": 8})
"""How many flips and quarter turns of an image are denoised and averaged, by name."""
ENGINE_NAMES = ("openvino", "onnxruntime")
PRECISIONS = ("auto", "f32", "bf16")
ENGINE_OPTIONS = ("engine", "precision", "device", "threads", "streams")
OPENING = (*ENGINE_OPTIONS, "memory", "quality")
"""Options of a denoiser; the others concern an image."""
NUMBERS = ("strength", "colour_strength", "range", "threads", "memory", "streams")
"""Options that are numbers, or may be."""
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, kw_only=True)
class DenoiseOptions:
    """Everything that a user may set for an image and for the denoiser, checked once.

    Parameters
    ----------
    model
        A name, a run folder or an .onnx file; None takes the bundled ``photo``, for colour and gray
        images.
    sigma
        Noise level on the [0, 1] scale, for models that take it: a number, a map (H, W), or
        ``"auto"`` to estimate it.
    strength
        From 0 to 1 the result is blended with the input; 0 returns the input. From 1 to 2 the
        noise level given to the model is multiplied by it.
    colour_strength
        As `strength`, for the colour differences alone; None takes `strength`. Gray images have
        none.
    axes
        A letter for each dimension of the array, such as ``"tczyx"``: y and x, c for channels, any
        other for planes, each of which is denoised on its own; s, or c where it comes last and is
        at most 4, for the samples of a pixel. None for an image (H, W) or (H, W, samples).
    channels
        ``"rgb"`` where the three samples of a pixel are colours, ``"separate"`` where they are
        channels, each with an intensity scale of its own. ``"auto"`` takes them as colours unless
        one of them has nothing in common with the others.
    law
        The noise law, such as ``"poisson:400,black=0.02+gaussian:0.01"``: photon noise is
        stabilised before the model, unless the image has transparency. ``"auto"`` measures it in
        images without a colour profile, unless `sigma` is given, and of 8 bits or in colour
        stabilises strong noise alone; ``"none"`` does neither.
    range
        The values that stand for black and white; None finds them (`Denoiser.find_scale`).
    dtype
        ``"float32"`` for results that keep fractions and may leave the range of an integer type;
        None for the type of the image.
    quality
        ``"normal"``, or ``"best"`` for the mean over the eight flips and turns of the image, in
        eight times the time.
    engine
        ``"openvino"`` or ``"onnxruntime"``.
    precision
        ``"f32"``, ``"bf16"``, or ``"auto"``: bfloat16 only where the processor computes in it,
        float16 on a GPU of OpenVINO.
    device
        ``"cpu"``, ``"gpu"``, ``"auto"`` for a GPU where there is one, or the name of another device
        of OpenVINO or provider of ONNX Runtime, untested. Without the device the processor
        computes, as a warning and `fallback` of the engine say.
    threads
        Number of threads, None for all cores.
    memory
        Memory limit for a tile, beside the image and its result: bytes, or text such as
        ``"512MB"``.
    streams
        How many threads may call the denoiser at once without waiting for each other; they share
        the cores and the weights.

    Raises
    ------
    ArgumentError, UnknownNameError
        If a value breaks its rule.

    Examples
    --------
    >>> DenoiseOptions(strength=0.8).quality
    'normal'
    """

    model: str | Path | None = None
    sigma: Sigma = "auto"
    strength: float = 1.0
    colour_strength: float | None = None
    axes: str | None = None
    channels: str = "auto"
    law: str = "auto"
    range: Range | None = None
    dtype: str | None = None
    quality: str = "normal"
    engine: str = "openvino"
    precision: str = "auto"
    device: str = "cpu"
    threads: int | None = None
    memory: int | str = "512MB"
    streams: int = 1

    def __post_init__(self) -> None:
        """Check every value that needs neither the model nor the image."""
        for name in NUMBERS:
            check_no_truth(name, getattr(self, name))
        check_level(self.sigma)
        check_strength(self.strength)
        if self.colour_strength is not None:
            check_strength(self.colour_strength, "colour_strength")
        if self.range is not None:
            check_range(self.range)
        if self.law not in ("auto", "none"):
            from quietpixel.noise.parser import parse_noise  # laws take 10 ms of a start

            parse_noise(self.law)
        if self.axes is not None:
            check_axes(self.axes)
        check_known("channels", self.channels, CHANNELS)
        if self.dtype not in (None, "float32"):
            raise unknown_name("dtype", self.dtype, ("float32",))
        check_known("quality", self.quality, QUALITIES)
        check_known("engine", self.engine, ENGINE_NAMES)
        check_known("precision", self.precision, PRECISIONS)
        check_text("device", self.device, "the name of a device")
        check_number("streams", self.streams, least=1)
        if self.threads is not None:
            check_number("threads", self.threads, least=1)
        parse_memory(self.memory)

    @classmethod
    def named(cls, **values: Any) -> Self:
        """Return options by name.

        Raises
        ------
        UnknownNameError
            If there is no such option.
        """
        for name in values:
            check_known("option", name, [each.name for each in fields(cls)])
        return cls(**values)

    def of(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the options of these names."""
        return {name: getattr(self, name) for name in names}

    def changed(self, **values: Any) -> Self:
        """Return the options with those values that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


def check_no_truth(name: str, value: object) -> None:
    """Raise ArgumentError if a number, or one of several, is True or False, which Python counts."""
    values = value if isinstance(value, list | tuple) else (value,)
    boolean = np.dtype(bool)
    if any(isinstance(each, bool) or getattr(each, "dtype", None) == boolean for each in values):
        raise ArgumentError(
            f"`{name}` must be a number, and True and False are not; got {value!r}. "
            "Omit it for the default."
        )


def check_level(sigma: Sigma) -> None:
    """Raise ArgumentError unless `sigma` is ``"auto"`` or levels that an image can have."""
    check_no_truth("sigma", sigma)
    if isinstance(sigma, str) and sigma == "auto":
        return
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which is refused below
            level = np.asarray(sigma, np.float32)
    except (TypeError, ValueError):
        level = np.array(np.nan, np.float32)
    if level.ndim not in (0, 2) or not (level >= 0).all():  # NaN is not above 0 either
        raise wrong_level(f"an array of shape {level.shape}" if level.ndim else repr(sigma))
    if level.max() > 1:
        raise wrong_level(f"{level.max():g}")


def wrong_level(got: str) -> ArgumentError:
    """Return the error for a `sigma` that cannot be a noise level."""
    return ArgumentError(
        "`sigma` must be 'auto', a number from 0 to 1, where 1 is white, or a map with such a "
        f"number for each pixel; got {got}. A level of 25 out of 255 is 25/255."
    )


def parse_memory(memory: int | str, name: str = "memory") -> int:
    """Return a size of memory in bytes; `name` is that of the argument in the error.

    Raises
    ------
    ArgumentError
        If it is not a positive size.

    Examples
    --------
    >>> parse_memory("1GB"), parse_memory("512 MB"), parse_memory(1000)
    (1073741824, 536870912, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMG]?)(?:i?B)?\s*", str(memory), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise ArgumentError(f"`{name}` must be a size above 0, such as 1GB; got {memory!r}.")
    return size
