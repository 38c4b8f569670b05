"""Whether the two pictures of a pair show the same, pixel upon pixel."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.image_source import StoredImage

Plane = NDArray[np.float32]

FINE, COARSE = 1.0, 8.0
"""Details between these sizes, in pixels, decide: finer ones are noise, coarser ones shading."""
LEAST_LIKENESS = 0.1
"""Correlation of these details under which two pictures do not show the same."""
MOVED_LIKENESS = 0.3
"""Correlation from which on two pictures show the same, but moved."""
LEAST_GAIN = 0.02
"""A shift must better the correlation by so much before it is believed."""
LARGEST = 1024
"""Height and width, in pixels, of the middle part that is looked at."""


def find_mismatch(images: Sequence[StoredImage], names: Sequence[str]) -> str:
    """Say in a sentence why the two images are no pair; empty if they are one.

    Parameters
    ----------
    images
        The two images of a scene.
    names
        How they are called.
    """
    pair = f"'{names[0]}' and '{names[1]}'"
    first, second = (image.size for image in images)
    if first != second:
        return (
            f"{pair} are no pair: they have {first[1]} x {first[0]} and {second[1]} x {second[0]} "
            "pixels."
        )
    one, other = (_details(image) for image in images)
    if not one.any() or not other.any():
        return ""
    likeness = _correlate(one, other)
    shift = find_shift(one, other)
    if any(shift):
        moved = _correlate(*_overlap(one, other, shift))
        if moved > max(likeness + LEAST_GAIN, MOVED_LIKENESS):
            down, right = shift
            return f"{pair} are no pair: the first is moved by {down} down and {right} right."
    if likeness < LEAST_LIKENESS:
        return f"{pair} are no pair: they do not show the same (correlation {likeness:.2f})."
    return ""


def find_shift(one: Plane, other: Plane) -> tuple[int, int]:
    """Return by how many pixels down and right `one` lies from `other`, by their correlation.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((32, 32), np.float32)
    >>> find_shift(np.roll(image, (2, -3), (0, 1)), image)
    (2, -3)
    """
    registration: Any = import_module("skimage.registration")
    shift = registration.phase_cross_correlation(one, other, normalization=None)[0]
    return int(shift[0]), int(shift[1])


def _details(image: StoredImage) -> Plane:
    """Return the details of the middle of an image, neither noise nor shading, mean 0."""
    smooth: Any = import_module("scipy.ndimage").gaussian_filter
    height, width = image.size
    top, left = max(0, (height - LARGEST) // 2), max(0, (width - LARGEST) // 2)
    part = image.part(top, left, min(height, LARGEST), min(width, LARGEST)).mean(axis=-1)
    details: Plane = smooth(part, FINE) - smooth(part, COARSE)
    return np.asarray(details - details.mean(), np.float32)


def _overlap(one: Plane, other: Plane, shift: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return the parts that lie upon each other when `other` is moved by `shift`."""
    here, there = [], []
    for by, length in zip(shift, one.shape, strict=True):
        here.append(slice(max(by, 0), length + min(by, 0)))
        there.append(slice(max(-by, 0), length + min(-by, 0)))
    return one[tuple(here)], other[tuple(there)]


def _correlate(one: Plane, other: Plane) -> float:
    if one.size == 0:
        return 0.0
    strength = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / strength if strength else 0.0
