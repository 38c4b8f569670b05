"""How much of what was taken from an image is given back."""

from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError

FloatArray = NDArray[np.float32]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of red, green and blue in the luminance (Rec. 709)."""


def give_back_texture(noisy: FloatArray, denoised: FloatArray, strength: float) -> FloatArray:
    """Return `denoised` with part of the removed luminance texture given back.

    Grain in the luminance reads as texture, coloured specks as noise; so only the luminance of
    what was removed comes back, the same in red, green and blue.

    Parameters
    ----------
    noisy, denoised
        (..., C), C = 1 or 3.
    strength
        1 gives nothing back, 0.5 half of it; 0 returns `noisy` itself.

    Examples
    --------
    >>> noisy, denoised = np.full((1, 1, 1), 0.8), np.full((1, 1, 1), 0.4)
    >>> round(give_back_texture(noisy, denoised, 0.75).item(), 3)
    0.5
    """
    check_strength(strength)
    if strength == 0:
        return noisy
    if strength == 1:
        return denoised
    removed: Any = noisy - denoised
    if removed.shape[-1] == 3:
        removed = (removed @ LUMINANCE)[..., np.newaxis]
    return np.asarray(denoised + (1 - strength) * removed, denoised.dtype)


def check_strength(strength: float) -> None:
    """Raise ArgumentError unless `strength` lies between 0 and 1."""
    if not (isinstance(strength, SupportsFloat) and 0 <= float(strength) <= 1):
        raise ArgumentError(
            f"`strength` must lie between 0 (leave the image alone) and 1 (denoise fully); "
            f"got {strength}."
        )
