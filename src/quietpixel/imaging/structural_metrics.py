"""Two metrics of structure: MS-SSIM, over five scales, and GMSD, of gradients.

Both take images (H, W) or (H, W, C) with values in [0, 1] and return one number.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ImageError, MissingDependencyError
from quietpixel.imaging.metrics import SSIM_WINDOW

FloatArray = NDArray[np.float64]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weight of each scale of `ms_ssim`, finest first; from the paper."""
LEAST_SIDE = SSIM_WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)
"""Least height and width for `ms_ssim` in pixels, so that the coarsest scale holds one window."""
LUMINANCE_CONSTANT, CONTRAST_CONSTANT = 0.01**2, 0.03**2
GRADIENT_CONSTANT = 170 / 255**2
GRAY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in gray, by ITU-R BT.601, as in the code of the GMSD paper."""


def ms_ssim(clean: ArrayLike, image: ArrayLike) -> float:
    """Return the structural similarity over five scales, at most 1, for a data range of 1.

    Each scale halves the image. Structure and contrast count on all scales, brightness on the
    coarsest; negative values count as 0. The channels of a colour image are averaged. Wang,
    Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar
    2003.

    Parameters
    ----------
    clean, image
        Two images of the same shape, (H, W) or (H, W, C), at least 176 pixels high and wide.

    Raises
    ------
    ImageError
        If the shapes differ or a side is under 176 pixels.
    MissingDependencyError
        If SciPy is not installed.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((180, 180))
    >>> round(ms_ssim(image, image), 9), ms_ssim(image, 1 - image)
    (1.0, 0.0)
    """
    first, second = _pair(clean, image)
    if min(first.shape[:2]) < LEAST_SIDE:
        raise ImageError(
            f"`image` must be at least {LEAST_SIDE} pixels high and wide, because it is halved "
            f"four times and still must hold a window of {SSIM_WINDOW}; got {first.shape}."
        )
    products = []
    for channel in range(first.shape[-1]):
        one, other, product = first[..., channel], second[..., channel], 1.0
        for scale, weight in enumerate(SCALE_WEIGHTS):
            whole, structure = _similarity(one, other)
            last = scale == len(SCALE_WEIGHTS) - 1
            # Negative values have no fractional power; as 0 they mean no similarity at all.
            product *= max(whole if last else structure, 0.0) ** weight
            one, other = _halve(one, pad=True), _halve(other, pad=True)
        products.append(product)
    return float(np.mean(products))


def gmsd(clean: ArrayLike, image: ArrayLike) -> float:
    """Return the deviation of the similarity of gradients: 0 for equal images, less is better.

    Colour images are compared in gray. Xue, Zhang, Mou, Bovik, "Gradient magnitude similarity
    deviation: a highly efficient perceptual image quality index", IEEE TIP 23(2), 2014.

    Parameters
    ----------
    clean, image
        Two images of the same shape, (H, W) or (H, W, C), values in [0, 1], at least 4 pixels high
        and wide.

    Raises
    ------
    ImageError
        If the shapes differ or a side is under 4 pixels.
    MissingDependencyError
        If SciPy is not installed.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> gmsd(image, image)
    0.0
    """
    first, second = _pair(clean, image)
    if min(first.shape[:2]) < 4:
        raise ImageError(f"`image` must be at least 4 pixels high and wide; got {first.shape}.")
    slopes = np.outer([1, 1, 1], [1, 0, -1]) / 3  # Prewitt's
    convolve = _ndimage().convolve
    gradients = []
    for each in (first, second):
        gray = _halve(each[..., 0] if each.shape[-1] == 1 else np.asarray(each @ GRAY))
        parts = [convolve(gray, kernel, mode="constant") for kernel in (slopes, slopes.T)]
        gradients.append(np.hypot(*parts))
    one, other = gradients
    similarity = (2 * one * other + GRADIENT_CONSTANT) / (one**2 + other**2 + GRADIENT_CONSTANT)
    return float(similarity.std())


def _similarity(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Return the mean SSIM, and that of its part without brightness, where windows fit whole."""
    mean_1, mean_2 = _blur(first), _blur(second)
    variances = _blur(first**2) - mean_1**2 + _blur(second**2) - mean_2**2
    covariance = _blur(first * second) - mean_1 * mean_2
    structure = (2 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
    squares = mean_1**2 + mean_2**2
    brightness = (2 * mean_1 * mean_2 + LUMINANCE_CONSTANT) / (squares + LUMINANCE_CONSTANT)
    return float((structure * brightness).mean()), float(structure.mean())


def _blur(plane: FloatArray) -> FloatArray:
    # Only windows that fit whole: the paper has no rule for the border.
    blurred = _ndimage().gaussian_filter(plane, 1.5, radius=SSIM_WINDOW // 2)
    inner = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    return np.asarray(blurred[inner, inner])


def _halve(plane: FloatArray, *, pad: bool = False) -> FloatArray:
    """Return the means of 2 x 2 pixels; an odd last row is repeated if `pad`, else dropped."""
    if pad:
        plane = np.pad(plane, [(0, length % 2) for length in plane.shape], mode="edge")
    height, width = (length // 2 for length in plane.shape)
    blocks = plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _pair(clean: ArrayLike, image: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both images as float64 (H, W, C)."""
    first, second = np.asarray(clean, np.float64), np.asarray(image, np.float64)
    if first.shape != second.shape or first.ndim not in (2, 3):
        raise ImageError(
            "`image` must be (H, W) or (H, W, C), of the shape of `clean`, because they are "
            f"compared pixel by pixel; got {second.shape} and {first.shape}."
        )
    return (first, second) if first.ndim == 3 else (first[..., None], second[..., None])


def _ndimage() -> Any:
    try:
        return import_module("scipy.ndimage")
    except ImportError as error:
        raise MissingDependencyError(
            "MS-SSIM and GMSD need SciPy, which is not installed; "
            "install it with: pip install 'quietpixel[train]'."
        ) from error
