"""Which values of an array stand for black and white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Range = tuple[float, float]

FULL_SCALES = (255, 1023, 4095, 16383, 65535)
"""White in files of 8, 10, 12, 14 and 16 bits."""


def find_range(array: Array) -> Range:
    """Return the values that stand for black and white in an array.

    Integers run from 0 to the full scale of their type, unless a uint16 image uses only its
    lower 8, 10 or 12 bits. Floats run from 0 to 1, values somewhat beyond included; where they lie
    far beyond (over 1 % beyond 8, or whole numbers above 2: counts), white is the full scale of 8
    to 16 bits that holds the largest value, or that value itself.

    Examples
    --------
    >>> find_range(np.array([[0, 4000]], np.uint16)), find_range(np.array([[0.0, 1.2]]))
    ((0.0, 4095.0), (0.0, 1.0))
    """
    colours = array[..., :-1] if array.ndim == 3 and array.shape[2] in (2, 4) else array
    largest, smallest = float(colours.max()), float(colours.min())
    far = array.dtype.kind == "f" and _far_beyond(colours, smallest, largest)
    return judge_range(array.dtype, smallest, largest, far=far)


def judge_range(dtype: np.dtype[Any], smallest: float, largest: float, *, far: bool) -> Range:
    """Return black and white from what `find_range` looks at.

    Parameters
    ----------
    dtype
        The array's type.
    smallest, largest
        Of its values.
    far
        Whether floats lie far beyond [0, 1] in many places, or are all whole numbers; it counts
        only where the extremes lie beyond [-1, 2].
    """
    if dtype.name == "uint8":
        return 0.0, 255.0
    if dtype.name == "uint16":  # whatever its byte order
        return 0.0, next(float(s) for s in (255, 1023, 4095, 65535) if largest <= s)
    if not far or (smallest >= -1 and largest <= 2):
        return 0.0, 1.0
    white = next((float(scale) for scale in FULL_SCALES if largest <= scale), largest)
    return min(smallest, 0.0), white if largest > 2 else max(largest, 1.0)


def _far_beyond(colours: Array, smallest: float, largest: float) -> bool:
    if smallest >= -1 and largest <= 2:
        return False
    sample = colours[:: max(colours.shape[0] // 1000, 1), :: max(colours.shape[1] // 1000, 1)]
    outside = np.mean((sample > 8) | (sample < -8))
    return bool(outside > 0.01 or np.array_equal(sample, np.rint(sample)))
