"""Finds and removes stripes: rows or columns that are lighter or darker as a whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WINDOW = 15
"""Stripes are what a row has beside the mean of about so many rows around it."""
SEGMENTS = 4
"""Parts of each row that must agree on its offset."""
FAINTEST, ALIKE = 1.0 / 255, 0.6
"""Least typical offset, and least median correlation between the parts of the rows."""


def stripe_offsets(image: Array) -> Array | None:
    """Return what each row of an image has too much, (H, C), or None if it has no stripes.

    The step from a row to the next is the median over the columns, which content hardly moves;
    the sum of the steps, less its running mean, is the offset.

    Parameters
    ----------
    image
        float32 (H, W, C) in [0, 1]; for columns, pass it transposed.
    """
    if len(image) < 2 * WINDOW or image.shape[1] < 8 * SEGMENTS:
        return None
    parts = np.array_split(image, SEGMENTS, axis=1)
    offsets = np.stack([_offsets(part) for part in parts])
    typical = 1.4826 * np.median(np.abs(offsets.mean(axis=0)))
    limit = 3 * typical
    flat = np.clip(offsets.mean(axis=-1), -limit, limit)
    if typical < FAINTEST or not flat.std(axis=1).all():
        return None
    if np.median(np.corrcoef(flat)[np.triu_indices(SEGMENTS, 1)]) < ALIKE:
        return None
    return np.clip(_offsets(image), -2 * limit, 2 * limit)


def _offsets(image: Array) -> Array:
    steps = np.median(np.diff(image, axis=0), axis=1)
    profile = np.concatenate([np.zeros((1, image.shape[2])), np.cumsum(steps, axis=0)])
    return (profile - _smooth(profile)).astype(np.float32)


def _smooth(profile: Array) -> Array:
    """Return the running mean of (H, C) with a triangle of `WINDOW` rows to both sides."""
    weights = np.concatenate([np.arange(1, WINDOW + 1), np.arange(WINDOW - 1, 0, -1)])
    padded = np.pad(profile, ((WINDOW - 1, WINDOW - 1), (0, 0)), mode="reflect")
    return np.stack(
        [np.convolve(c, weights / weights.sum(), mode="valid") for c in padded.T], axis=1
    )
