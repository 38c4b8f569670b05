"""Error bars of denoised arrays, by the calibration in a model's card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpixel.array_types import Array, FloatArray
from quietpixel.card import Card
from quietpixel.errors import ImageError, ModelError
from quietpixel.imaging.brightness import Brightness
from quietpixel.imaging.familiarity import Familiarity, describe_image
from quietpixel.imaging.uncertainty import REACH, Calibration
from quietpixel.inference.arrays import Layout
from quietpixel.inference.repair import fill_holes

_STRIP = 512
"""Rows treated at once, so that large images need little memory beside the result."""


@dataclass(frozen=True)
class Coverage:
    """How many pixels lay inside, measured on images that were held out in turn.

    Parameters
    ----------
    share
        The share that should.
    measured
        The share that did; None where there are too few images to hold some out.
    by_level
        Pairs of the noise's standard deviation and the share, from the least noise to the most.
    images
        How many images there were.
    shots
        Whether they were pairs of noisy shots, which do not tell how many pixels lie inside.
    brightness
        How the brightness of results follows the noisy images; None where it could not be measured.
    """

    share: float
    measured: float | None
    by_level: tuple[tuple[float, float], ...]
    images: int
    shots: bool = False
    brightness: Brightness | None = None

    def describe(self) -> str:
        """Return it as a sentence.

        Examples
        --------
        >>> Coverage(0.9, 0.901, ((0.02, 0.897), (0.1, 0.904)), 40).describe()
        '90 % intervals held 90.1 % of pixels of held-out images (by noise level 89.7 to 90.4 %)'
        """
        if self.shots:
            return (
                f"made from {self.images} pairs of noisy shots, which do not show how many pixels "
                "the intervals hold"
            )
        if self.measured is None:
            images = f"{self.images} image{'s' * (self.images != 1)}"
            return f"made from {images}, too few to measure how many pixels they hold"
        shares = [share for _, share in self.by_level]
        return (
            f"{100 * self.share:.0f} % intervals held {100 * self.measured:.1f} % of pixels of "
            f"held-out images (by noise level {100 * min(shares):.1f} to {100 * max(shares):.1f} %)"
        )


def describe_coverage(entry: Mapping[str, Any]) -> str:
    """Return the coverage in a card as a sentence."""
    # JSON knows no tuples, and others may write 1 for 1.0.
    levels = tuple((float(noise), float(share)) for noise, share in entry["coverage_by_level"])
    shots = bool(entry.get("shots"))
    return Coverage(entry["share"], entry["coverage"], levels, entry["images"], shots).describe()


def read_calibration(card: Card) -> Calibration:
    """Return the calibration of a model.

    Raises
    ------
    ModelError
        If it has none, or one that cannot be read.
    """
    if not card.uncertainty:
        raise ModelError(
            f"The model '{card.name}' cannot say how far the truth may lie because it was not "
            "calibrated; calibrate it on images it was not trained on with "
            "quietpixel.calibrate(model, clean) or, on the command line, 'quietpixel calibrate'."
        )
    try:
        return Calibration.from_dict(card.uncertainty)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The calibration of the model '{card.name}' cannot be read; calibrate it again."
        ) from error


def measure_half_width(card: Card, image: Array, denoised: Array, layout: Layout) -> FloatArray:
    """Return for each pixel of `image` how far the truth may lie from `denoised`.

    Parameters
    ----------
    card
        The card of the model that made `denoised`.
    image, denoised
        Arrays of one shape, (H, W, channels), held as `layout` says.

    Returns
    -------
    half_width
        float32 (H, W, colours), in the units of the image.
    """
    if image.shape != denoised.shape:
        raise ImageError(
            f"`denoised` must have the shape of `image`; got {denoised.shape} for {image.shape}."
        )
    calibration = read_calibration(card)
    result = np.empty((*image.shape[:2], layout.colours), np.float32)
    # Values that are not finite would spread over a whole strip by its filters.
    image, denoised = (fill_holes(each, layout)[0] for each in (image, denoised))
    for top in range(0, len(image), _STRIP):
        # Strips overlap by what decides a half width, so that no seam shows.
        first = max(top - REACH, 0)
        rows = slice(first, top + _STRIP + REACH)
        part = calibration.half_width(layout.to_model(image[rows]), layout.to_model(denoised[rows]))
        result[top : top + _STRIP] = part[top - first : top - first + _STRIP]
    # A half width has no offset: only the distance of black and white counts.
    low, high = layout.range
    return result if (low, high) == (0, 1) else result * np.float32(high - low)


def find_difference(card: Card, image: Array, denoised: Array, layout: Layout) -> str | None:
    """Return a sentence if an image is unlike those of the calibration, else None.

    Parameters
    ----------
    card, image, denoised, layout
        As for `measure_half_width`.
    """
    # Cards of older calibrations do not say what their images were like.
    if "familiarity" not in card.uncertainty:
        return None
    familiarity = Familiarity.from_dict(card.uncertainty["familiarity"])
    description = describe_image(layout.to_model(image), layout.to_model(denoised))
    found = familiarity.differs_in(description)
    if found is None:
        return None
    return (
        f"The image is unlike those that the model '{card.name}' was calibrated on ({found}), so "
        "the error bars may be wrong; calibrate it on images like this one."
    )
