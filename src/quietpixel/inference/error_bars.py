"""Error bars of denoised arrays, by the calibration in a model's card."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ArgumentError, ImageError, ModelError
from quietpixel.imaging.uncertainty import REACH, Calibration
from quietpixel.inference.arrays import Layout

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

_STRIP = 512
"""Rows treated at once, so that large images need little memory beside the result."""


def read_calibration(card: Card) -> Calibration:
    """Return the calibration of a model.

    Raises
    ------
    ModelError
        If it has none.
    """
    if not card.uncertainty:
        raise ModelError(
            f"The model '{card.name}' cannot say how far the truth may lie because it was not "
            "calibrated; calibrate it on images it was not trained on with "
            "quietpixel.calibrate(model, clean), or train one, which 'quietpixel train' ends with."
        )
    return Calibration.from_dict(card.uncertainty)


def check_error_bars(path: Path, card: Card, strength: float) -> None:
    """Raise an error unless a model can tell error bars, and the file for them can hold them."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ArgumentError(
            f"--uncertainty must name a TIFF file because it holds floats; got '{path}'. Try "
            f"'{path.with_suffix('.tif')}'."
        )
    if strength != 1:
        raise ArgumentError(
            "--uncertainty needs --strength 1 because it tells how far the truth lies from what "
            f"the model says; got {strength:g}. Leave --strength out."
        )
    read_calibration(card)


def measure_half_width(card: Card, image: Array, denoised: Array, layout: Layout) -> FloatArray:
    """Return for each pixel of `image` how far the truth may lie from `denoised`.

    Parameters
    ----------
    card
        That of the model that gave `denoised`.
    image, denoised
        Arrays of one shape, (H, W, channels), held as `layout` says.

    Returns
    -------
    half_width
        float32 (H, W, colours), on a scale on which black is 0 and white is 1.
    """
    if image.shape != denoised.shape:
        raise ImageError(
            f"`denoised` must be what became of `image`, of the same shape; got {denoised.shape} "
            f"for {image.shape}."
        )
    calibration = read_calibration(card)
    result = np.empty((*image.shape[:2], layout.colours), np.float32)
    for top in range(0, len(image), _STRIP):
        first = max(top - REACH, 0)
        rows = slice(first, top + _STRIP + REACH)
        part = calibration.half_width(layout.to_model(image[rows]), layout.to_model(denoised[rows]))
        result[top : top + _STRIP] = part[top - first : top - first + _STRIP]
    return result
