"""Images turned, stretched and slanted a little, so that a small set holds more shapes."""

import numpy as np
from scipy.ndimage import affine_transform

from quietpixel.imaging.noise import Array

SHARE = 0.5
"""How many of the images are warped; the rest keep the sharpness that interpolation takes."""


def warp_image(image: Array, amount: float, rng: np.random.Generator) -> Array:
    """Return `image`, or as often a version of it that was warped about its middle.

    Parameters
    ----------
    image
        float32 in [0, 1], (H, W, C).
    amount
        Greatest change of each number of the 2x2 matrix of the affine map; 0.1 turns by up to 6
        degrees and stretches by up to a tenth.
    rng
        Decides what becomes of it.
    """
    if rng.random() >= SHARE:
        return image
    matrix = np.eye(2) + rng.uniform(-amount, amount, (2, 2))
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle - matrix @ middle
    planes = [
        affine_transform(plane, matrix, offset, order=3, mode="nearest")
        for plane in np.moveaxis(image, -1, 0)
    ]
    warped: Array = np.clip(np.stack(planes, axis=-1), 0, 1)
    return warped
