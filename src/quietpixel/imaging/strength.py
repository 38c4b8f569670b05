"""Blending of an image with its denoised version, in luminance and in colour."""

from typing import SupportsFloat

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.errors import ArgumentError

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of red, green and blue in the luminance (Rec. 709)."""


def blend(
    noisy: FloatArray,
    denoised: FloatArray,
    strength: float,
    colour_strength: float | None = None,
    denoised_colour: FloatArray | None = None,
) -> FloatArray:
    """Return the mixture of an image and its denoised version.

    Parameters
    ----------
    noisy, denoised
        float32 (..., C), C = 1 or 3.
    strength
        0 returns `noisy` itself, 1 and more `denoised`, and the result is linear between them.
    colour_strength
        The same for colour alone: luminance then follows `strength`, and the differences between
        the channels follow `colour_strength`. None takes `strength`.
    denoised_colour
        What colour is blended with, where that is not `denoised`.

    Examples
    --------
    >>> noisy, denoised = np.full((1, 1, 1), 0.8), np.full((1, 1, 1), 0.4)
    >>> round(blend(noisy, denoised, 0.75).item(), 3)
    0.5
    """
    result = _mix(noisy, denoised, strength)
    other = denoised if denoised_colour is None else denoised_colour
    # Gray has no colour of its own.
    if noisy.shape[-1] != 3 or colour_strength is None:
        return result
    # Luminance and colour would be separated and put together again.
    if other is denoised and min(colour_strength, 1) == min(strength, 1):
        return result
    coloured = _mix(noisy, other, colour_strength)
    # Adding gray changes the luminance and leaves the differences between the channels.
    moved = (result - coloured) @ LUMINANCE
    return np.asarray(coloured + moved[..., np.newaxis], denoised.dtype)


def _mix(noisy: FloatArray, denoised: FloatArray, strength: float) -> FloatArray:
    if strength == 0:
        return noisy
    if strength >= 1:
        return denoised
    return np.asarray(noisy + strength * (denoised - noisy), denoised.dtype)


def check_strength(strength: float, name: str = "strength") -> None:
    """Raise ArgumentError unless `strength` lies between 0 and 2."""
    number = isinstance(strength, SupportsFloat) and np.ndim(strength) == 0
    if not (number and 0 <= float(strength) <= 2):
        raise ArgumentError(
            f"`{name}` must lie between 0 (no change) and 2 (twice the noise level); "
            f"got {strength!r}."
        )
