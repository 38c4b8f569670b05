"""Distance of an image from the clean one: squared error, PSNR, SSIM, MS-SSIM, GMSD, intervals.

Every function takes one image, (H, W) or (H, W, C), with values in [0, 1], and returns one number.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ArgumentError, ImageError, import_optional
from quietpixel.imaging.tiling import mean_of_squares

SSIM_WINDOW = 11
"""Width in pixels of the window of `ssim`; an image must be at least as high and as wide."""

FloatArray = NDArray[np.float64]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weight of each scale of `ms_ssim`, finest first; from the paper."""
LEAST_SIDE = SSIM_WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)
"""Least height and width for `ms_ssim` in pixels, so that the coarsest scale holds one window."""
LUMINANCE_CONSTANT, CONTRAST_CONSTANT = 0.01**2, 0.03**2
GRADIENT_CONSTANT = 170 / 255**2
GRAY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in gray, by ITU-R BT.601, as in the code of the GMSD paper."""
RESAMPLES, AT_A_TIME = 2000, 40


def mean_squared_error(clean: ArrayLike, image: ArrayLike) -> float:
    """Return the mean squared difference between `image` and `clean`, in float64.

    Parameters
    ----------
    clean, image
        Two images of the same shape, values in [0, 1].

    Raises
    ------
    ImageError
        If the shapes differ or there are no pixels.

    Examples
    --------
    >>> mean_squared_error([[0.0, 1.0]], [[0.0, 0.5]])
    0.125
    """
    first, second = _pair(clean, image)
    return float(np.mean(np.square(first - second)))


def psnr(clean: ArrayLike, image: ArrayLike) -> float:
    """Return the peak signal-to-noise ratio in decibels, for a data range of 1.

    It is -10 log10 of the mean squared error, and infinite for two equal images.

    Parameters
    ----------
    clean, image
        Two images of the same shape, values in [0, 1].

    Raises
    ------
    ImageError
        If the shapes differ or there are no pixels.

    Examples
    --------
    >>> psnr([[0.0, 1.0]], [[0.1, 0.9]])
    20.0
    """
    return psnr_of_error(mean_squared_error(clean, image))


def psnr_of_error(error: float) -> float:
    """Return the PSNR in decibels, data range 1, that belongs to a mean squared error.

    Examples
    --------
    >>> psnr_of_error(0.001)
    30.0
    """
    # Rounded, so that equal errors summed in another order print the same.
    return float("inf") if error == 0 else float(round(-10 * np.log10(error), 12))


def ssim(clean: ArrayLike, image: ArrayLike) -> float:
    """Return the structural similarity, at most 1, for a data range of 1.

    The window and constants are those of the paper: a Gaussian of 1.5 pixels cut to 11 x 11. The
    channels of a colour image are averaged. Wang, Bovik, Sheikh, Simoncelli, "Image quality
    assessment: from error visibility to structural similarity", IEEE TIP 13(4), 2004.

    Parameters
    ----------
    clean, image
        Two images of the same shape, values in [0, 1], at least 11 pixels high and wide.

    Raises
    ------
    ImageError
        If the shapes differ or a side is under 11 pixels.
    MissingDependencyError
        If scikit-image is not installed.
    """
    first, second = _large_pair(clean, image, SSIM_WINDOW)
    metrics = import_optional("skimage.metrics", "SSIM needs scikit-image")
    # The window and the variance of the paper, which are not the defaults of scikit-image.
    similarity = metrics.structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, channel_axis=-1,
    )  # fmt: skip
    return float(similarity)


def bootstrap_interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval in which the mean of `values` lies, found by resampling them.

    The percentile bootstrap: the mean is taken over 2000 draws with replacement, and the middle
    95 % of these means are returned. Efron, Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 13.

    Parameters
    ----------
    values
        One number for each image.
    seed
        Seed of the draws; the same seed gives the same interval.

    Raises
    ------
    ArgumentError
        If there are no values.

    Examples
    --------
    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0:
        raise ArgumentError("`values` must hold at least one number to resample; got none.")
    rng = np.random.default_rng(seed)
    # In parts, because all indices at once would take 2000 times the memory of `values`.
    shape = AT_A_TIME, sample.size
    draws = (sample[rng.integers(sample.size, size=shape)] for _ in range(RESAMPLES // AT_A_TIME))
    means = np.concatenate([draw.mean(axis=1) for draw in draws])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


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
    first, second = _large_pair(clean, image, LEAST_SIDE)
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
    first, second = _large_pair(clean, image, 4)
    slopes = np.outer([1, 1, 1], [1, 0, -1]) / 3  # Prewitt's
    convolve = _ndimage().convolve
    gradients = []
    for each in (first, second):
        # At half the size, as in the code of the authors.
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
    return mean_of_squares(plane, 2)


def _pair(clean: ArrayLike, image: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both images as float64, gray ones as (H, W, 1)."""
    first, second = np.asarray(clean, np.float64), np.asarray(image, np.float64)
    if first.shape != second.shape or first.size == 0:
        raise ImageError(
            "`image` must be of the shape of `clean` and have at least one pixel, because they are "
            f"compared pixel by pixel; got {second.shape} and {first.shape}."
        )
    return (first[..., None], second[..., None]) if first.ndim == 2 else (first, second)


def _large_pair(clean: ArrayLike, image: ArrayLike, least: int) -> tuple[FloatArray, FloatArray]:
    """Return both images as float64 (H, W, C), with sides of at least `least` pixels."""
    first, second = _pair(clean, image)
    if first.ndim != 3 or min(first.shape[:2]) < least:
        raise ImageError(
            f"`image` must be (H, W) or (H, W, C) and at least {least} pixels high and wide, the "
            f"least that this metric is defined for; got shape {np.shape(image)}."
        )
    return first, second


def _ndimage() -> Any:
    return import_optional("scipy.ndimage", "MS-SSIM and GMSD need SciPy")
