"""Estimates how noisy an image is, from the image alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def estimate_sigma(image: Array) -> float:
    """Return the standard deviation of the noise of `image`, on the image's own scale."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    if min(height, width) < 2:
        return 0.0
    even = image[:height, :width]
    diagonal = even[::2, ::2] - even[1::2, ::2] - even[::2, 1::2] + even[1::2, 1::2]
    return float(np.median(np.abs(diagonal)) / 0.6745 / 2)
