"""Distance of an image from the clean one: squared error, PSNR, SSIM, bootstrap intervals.

Every function takes one image, (H, W) or (H, W, C), with values in [0, 1], and returns one number.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ArgumentError, ImageError, MissingDependencyError

SSIM_WINDOW = 11
"""Width in pixels of the window of `ssim`; an image must be at least as high and as wide."""


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
    first, second = _pair(clean, image)
    if first.ndim not in (2, 3) or min(first.shape[:2]) < SSIM_WINDOW:
        raise ImageError(
            f"`image` must be (H, W) or (H, W, C) with sides of at least {SSIM_WINDOW} pixels, "
            f"the window of SSIM; got shape {first.shape}."
        )
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise MissingDependencyError(
            "SSIM needs scikit-image, which is not installed; "
            "install it with: pip install 'quietpixel[train]'."
        ) from error
    return float(
        structural_similarity(
            first, second, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, channel_axis=-1 if first.ndim == 3 else None,
        )
    )  # fmt: skip


def bootstrap_interval(
    values: ArrayLike, *, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Return the interval in which the mean of `values` lies, found by resampling them.

    The percentile bootstrap: the mean is taken over `resamples` draws with replacement, and the
    middle `level` of these means is returned. Efron, Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 13.

    Parameters
    ----------
    values
        One number for each image.
    seed
        Seed of the draws; the same seed gives the same interval.
    level
        Share of the means inside the interval, in (0, 1).
    resamples
        How many draws.

    Raises
    ------
    ArgumentError
        If there are no values or `level` is outside (0, 1).

    Examples
    --------
    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0:
        raise ArgumentError("`values` must hold at least one number to resample; got none.")
    if not 0 < level < 1:
        raise ArgumentError(
            f"`level` must lie between 0 and 1, as a share of the draws; got {level}. Try 0.95."
        )
    rng = np.random.default_rng(seed)
    # Draw by draw, because all indices at once would take 2000 times the memory of `values`.
    draws = (sample[rng.integers(sample.size, size=sample.size)] for _ in range(resamples))
    means = np.fromiter((draw.mean() for draw in draws), np.float64, resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _pair(clean: ArrayLike, image: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first = np.asarray(clean, dtype=np.float64)
    second = np.asarray(image, dtype=np.float64)
    if first.shape != second.shape or first.size == 0:
        raise ImageError(
            "`image` must have the shape of `clean` and at least one pixel, because they are "
            f"compared pixel by pixel; got {second.shape} and {first.shape}."
        )
    return first, second
