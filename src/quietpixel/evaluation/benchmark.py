"""Score any function from noisy images to denoised ones, beside its rivals."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.metrics import bootstrap_interval, mean_squared_error, psnr_of_error, ssim

Images = NDArray[np.float32]
"""A batch of images: float32 (N, H, W, C), values in [0, 1]."""

Method = Callable[[Images], Images]
"""Takes noisy images (N, H, W, C) and returns denoised ones of the same shape."""

NOISY = "noisy"
"""The name of the row that scores the noisy images as they are."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one method did, as means over `count` images with 95 % bootstrap intervals.

    Parameters
    ----------
    name
        The method.
    mse, psnr, ssim
        Mean over the images of the mean squared error, of the PSNR in decibels and of the SSIM.
        The PSNR is infinite if some image was restored without any error.
    mse_interval, psnr_interval, ssim_interval
        Where these means lie with 95 % confidence.
    images_per_second
        Speed after warm-up; ``None`` for the noisy images, which nothing computed.
    count
        How many images were scored; the classical methods may be scored on the first ones only.
    parameters
        With what the method was run, as text.
    """

    name: str
    mse: float
    psnr: float
    ssim: float
    mse_interval: tuple[float, float]
    psnr_interval: tuple[float, float]
    ssim_interval: tuple[float, float]
    images_per_second: float | None
    count: int
    parameters: str = ""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a model and its rivals on one data set with one noise; the model comes first.

    Parameters
    ----------
    model, data, split, noise
        Names: of the model, the data set, its part, and the noise law as text.
    seed
        Seed of the noise.
    count
        How many images the model was scored on.
    methods
        The model, then the noisy images, then the rivals.
    """

    model: str
    data: str
    split: str
    noise: str
    seed: int
    count: int
    methods: tuple[Score, ...]

    def to_json(self) -> str:
        """Return the evaluation as JSON; a number that is not finite becomes ``null``."""
        return json.dumps(without_infinity(asdict(self)), indent=2, allow_nan=False)


def judge(
    method: Method,
    clean: Images,
    noisy: Images,
    *,
    about: Mapping[str, Any],
    rivals: Mapping[str, Method] | None = None,
    rival_count: int = 500,
) -> Evaluation:
    """Score a model, the noisy images and the rivals, in this order.

    Parameters
    ----------
    method
        The model.
    clean, noisy
        float32 (N, H, W, C), values in [0, 1].
    about
        The words of `Evaluation` that say what was judged: ``model``, ``data``, ``split``,
        ``noise``, ``seed``.
    rivals
        Other methods by name, such as `quietpixel.evaluation.classical.tune_all` returns.
    rival_count
        The rivals, which are slow, are scored on the first so many images; their rows say so.

    Examples
    --------
    >>> clean = np.full((4, 16, 16, 1), 0.5, np.float32)
    >>> noisy = clean + np.float32(0.1)
    >>> about = dict(model="better", data="gray", split="test", noise="none", seed=0)
    >>> evaluation = judge(lambda images: images - 0.05, clean, noisy, about=about)
    >>> [(row.name, round(row.mse, 4)) for row in evaluation.methods]
    [('better', 0.0025), ('noisy', 0.01)]
    """
    seed = int(about["seed"])
    rows = [score(about["model"], method, clean, noisy, seed=seed)]
    rows.append(score_images(NOISY, clean, noisy, seed=seed))
    few = slice(rival_count)
    for name, rival in (rivals or {}).items():
        rows.append(score(name, rival, clean[few], noisy[few], seed=seed, batch_size=50))
    return Evaluation(**about, count=len(clean), methods=tuple(rows))


def score(
    name: str,
    method: Method,
    clean: Images,
    noisy: Images,
    *,
    seed: int = 0,
    batch_size: int = 250,
) -> Score:
    """Run `method` on the noisy images and score what it returns, clipped to [0, 1].

    Parameters
    ----------
    name
        The name of the row.
    method
        From noisy images (N, H, W, C) to denoised ones. If it is a frozen dataclass, as the
        classical methods are, the row says its parameters.
    clean, noisy
        float32 (N, H, W, C), values in [0, 1].
    seed
        Seed of the bootstrap.
    batch_size
        How many images `method` gets at a time.

    Raises
    ------
    ArgumentError
        If the batches are empty or differ in shape.
    ImageError
        If `method` returns another shape, or values that are not finite.
    """
    _check_images(clean, noisy)
    denoised, speed = run(method, noisy, batch_size=batch_size)
    return score_images(
        name,
        clean,
        denoised,
        seed=seed,
        images_per_second=speed,
        parameters=str(getattr(method, "parameters", "")),
    )


def score_images(
    name: str,
    clean: Images,
    denoised: Images,
    *,
    seed: int = 0,
    images_per_second: float | None = None,
    parameters: str = "",
) -> Score:
    """Score images that are denoised already, clipped to [0, 1] first.

    Raises
    ------
    ArgumentError
        If the batches are empty or differ in shape.
    """
    _check_images(clean, denoised)
    clipped = np.clip(denoised, 0, 1)
    errors = image_errors(clean, clipped)
    values = {
        "mse": errors,
        "psnr": np.array([psnr_of_error(error) for error in errors]),
        "ssim": np.array([ssim(a, b) for a, b in zip(clean, clipped, strict=True)]),
    }
    facts: dict[str, Any] = {key: float(value.mean()) for key, value in values.items()}
    facts |= {f"{key}_interval": _interval(value, seed) for key, value in values.items()}
    return Score(
        name=name,
        images_per_second=images_per_second,
        count=len(clean),
        parameters=parameters,
        **facts,
    )


def run(method: Method, noisy: Images, *, batch_size: int = 250) -> tuple[Images, float]:
    """Return what `method` makes of the images, and its speed in images per second.

    The first batch is run once before the clock starts, so that loading and compiling are not
    counted.

    Parameters
    ----------
    method
        From noisy images (N, H, W, C) to denoised ones.
    noisy
        float32 (N, H, W, C).
    batch_size
        How many images `method` gets at a time.

    Raises
    ------
    ImageError
        If `method` returns another shape, or values that are not finite.

    Examples
    --------
    >>> denoised, speed = run(lambda images: images * 0.5, np.ones((3, 2, 2, 1), np.float32))
    >>> float(denoised.max()), speed > 0
    (0.5, True)
    """
    method(noisy[:batch_size])
    start = time.perf_counter()
    parts = [method(noisy[at : at + batch_size]) for at in range(0, len(noisy), batch_size)]
    seconds = max(time.perf_counter() - start, 1e-9)
    denoised = np.concatenate([np.asarray(part, np.float32) for part in parts])
    check_denoised(denoised, noisy)
    return denoised, len(noisy) / seconds


def image_errors(clean: Images, denoised: Images) -> NDArray[np.float64]:
    """Return the mean squared error of each image: float64 (N,).

    Examples
    --------
    >>> image_errors(np.zeros((2, 1, 1, 1)), np.array([0.0, 0.5]).reshape(2, 1, 1, 1))
    array([0.  , 0.25])
    """
    pairs = zip(clean, denoised, strict=True)
    return np.array([mean_squared_error(a, b) for a, b in pairs], np.float64)


def _interval(values: NDArray[np.float64], seed: int) -> tuple[float, float]:
    if np.isfinite(values).all():
        return bootstrap_interval(values, seed=seed)
    return math.inf, math.inf


def _check_images(clean: Images, noisy: Images) -> None:
    if clean.ndim != 4 or clean.shape != noisy.shape or len(clean) == 0:
        raise ArgumentError(
            "`noisy` must be a batch (N, H, W, C) of the shape of `clean` with at least one "
            f"image, because they are compared one by one; got {noisy.shape} and {clean.shape}."
        )


def check_denoised(denoised: Images, noisy: Images) -> None:
    """Refuse what a method returned unless it can be compared with the clean images."""
    if denoised.shape != noisy.shape:
        raise ImageError(
            "`method` must return images of the shape it was given, to be compared with the "
            f"clean ones; got {denoised.shape} for {noisy.shape}."
        )
    if not np.isfinite(denoised).all():
        raise ImageError(
            "`method` must return finite values; it returned NaN or infinity. "
            "Look at its weights or its input."
        )


def without_infinity(value: Any) -> Any:
    """Return nested values with ``None`` for each number that is not finite, as JSON wants it."""
    if isinstance(value, dict):
        return {key: without_infinity(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinity(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
