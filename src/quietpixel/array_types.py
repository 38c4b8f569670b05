"""Names of the arrays that most modules pass on, for annotations, and their types."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Of any type and shape."""
FloatArray = NDArray[np.float32]
"""Values for a model, or from one."""
Image = NDArray[np.float32]
"""(H, W, C), black 0 and white 1."""
Images = NDArray[np.float32]
"""(N, H, W, C), black 0 and white 1."""
INTEGERS = tuple(f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("u", ""))
NUMBERS = ("bool", *INTEGERS, "float16", "float32", "float64")
"""Types of the elements of an image that can be denoised."""
BoolArray = NDArray[np.bool_]
"""Marks of pixels."""
