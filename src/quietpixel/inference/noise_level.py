"""The noise level that a model is told: given, or estimated from the image."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.errors import ArgumentError
from quietpixel.inference.arrays import Layout
from quietpixel.noise.estimate import estimate_sigma

Array = NDArray[Any]
FloatArray = NDArray[np.float32]
Sigma = float | str | Array

_CELL, _CELLS = 256, 4
"""The estimate looks at no more than 4x4 squares of 256 pixels, spread over the image."""


def read_map(path: Path) -> FloatArray:
    """Return the map of noise levels that an image file holds, upright, (H, W), float32.

    Floats are levels on the [0, 1] scale; in integers white is 1, so that 25 of 255 means 25/255.

    Raises
    ------
    ArgumentError
        If it is not one page of gray.
    """
    from quietpixel.files import read_picture, turn_upright

    picture = turn_upright(read_picture(path))
    if len(picture.pages) != 1 or picture.pages[0].shape[2] != 1:
        raise ArgumentError(
            f"`sigma` must be one gray picture where it is a map; '{path}' has "
            f"{len(picture.pages)} pages of {picture.pages[0].shape[2]} channels."
        )
    return picture.pages[0][..., 0].astype(np.float32) / np.float32(picture.maximum)


def check_takes_sigma(sigma: Sigma, card: Card) -> None:
    """Raise ArgumentError if a noise level is given to a model that takes none."""
    if not card.sigma_input and not (isinstance(sigma, str) and sigma == "auto"):
        raise ArgumentError(
            f"`sigma` cannot be given because the model '{card.name}' does not take a noise level; "
            "leave it out, or use a model whose card says sigma_input."
        )


def check_sigma(sigma: Sigma, card: Card, shape: tuple[int, int]) -> None:
    """Raise ArgumentError unless `sigma` fits the model and the image."""
    check_takes_sigma(sigma, card)
    check_level(sigma)
    level = np.shape(sigma)
    if level not in ((), shape):
        raise _wrong_level(f"an array of shape {level} for an image of shape {shape}")


def check_level(sigma: Sigma) -> None:
    """Raise ArgumentError unless `sigma` is ``"auto"`` or levels that an image can have."""
    if isinstance(sigma, str) and sigma == "auto":
        return
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which is refused below
            level = np.asarray(sigma, np.float32)
    except (TypeError, ValueError):
        level = np.array(np.nan, np.float32)
    if level.ndim not in (0, 2) or not (level >= 0).all():  # NaN is not above 0 either
        raise _wrong_level(f"an array of shape {level.shape}" if level.ndim else repr(sigma))
    if level.max() > 1:
        raise _wrong_level(f"{level.max():g}, which would drown every picture")


def _wrong_level(got: str) -> ArgumentError:
    return ArgumentError(
        "`sigma` must be 'auto', a number in [0, 1], where 1 is all from black to white, or an "
        f"array (H, W) of such numbers, because it is the noise of the image; got {got}. Noise of "
        "25 where white is 255 is 25/255."
    )


def levels_for(
    card: Card, sigma: Sigma, layout: Layout, stack: Array
) -> tuple[FloatArray | None, FloatArray | None]:
    """Return what a model is told of the level, and which part of what it finds is taken away."""
    if card.blind:
        return unknown_map(stack), share_map(sigma, layout, stack)
    return (level_map(sigma, layout, stack) if card.sigma_input else None), None


def level_map(sigma: Sigma, layout: Layout, stack: Array) -> FloatArray:
    """Return the noise level of each pixel, (H, W, N), for images (H, W, N, channels)."""
    level = _estimates(layout, stack) if isinstance(sigma, str) else _of_each_image(sigma)
    return np.broadcast_to(level.astype(np.float32), stack.shape[:3])


def unknown_map(stack: Array) -> FloatArray:
    """Return what a model that finds the level by itself is told, (H, W, N)."""
    return np.broadcast_to(np.float32(UNKNOWN_SIGMA), stack.shape[:3])


def share_map(sigma: Sigma, layout: Layout, stack: Array) -> FloatArray | None:
    """Return the part of the noise found that is to be taken away, (H, W, N) in [0, 1], or None.

    A model that finds the level by itself cannot be told it. A level that is given is honoured
    all the same: of noise that is measured to be stronger, no more than that level goes.
    """
    if isinstance(sigma, str):
        return None
    measured = np.maximum(_estimates(layout, stack), np.finfo(np.float32).tiny)
    share = np.minimum(_of_each_image(sigma) / measured, 1)
    return np.broadcast_to(share.astype(np.float32), stack.shape[:3])


def _of_each_image(sigma: Sigma) -> Array:
    level = np.asarray(sigma, np.float32)
    return level[..., np.newaxis] if level.ndim else level


def _estimates(layout: Layout, stack: Array) -> Array:
    return np.array([estimate_level(layout, stack[:, :, i]) for i in range(stack.shape[2])])


def estimate_level(layout: Layout, pixels: Array) -> float:
    """Return the estimated noise level of an array (H, W, channels), on the [0, 1] scale."""
    rows, columns = (sample_places(length) for length in pixels.shape[:2])
    image = layout.to_model(pixels[rows][:, columns])
    return estimate_sigma(image)


def sample_places(length: int) -> NDArray[np.intp]:
    """Return the places looked at along one side: all, or runs of neighbours."""
    if length <= _CELL * _CELLS:
        return np.arange(length)
    starts = np.linspace(0, length - _CELL, _CELLS).astype(np.intp)
    return (starts[:, np.newaxis] + np.arange(_CELL)).ravel()
