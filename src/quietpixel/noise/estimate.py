"""The level of white noise, estimated from the image alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from quietpixel.array_types import Array

Covariance = NDArray[np.float64]

_SIDE = 6
"""Side of the patches in pixels. Of 5, 6 and 8 it had the least bias on photographs."""
_PATCHES = 20_000
"""About how many patches of an image are enough; a 12-megapixel image took 0.15 s with all."""

_LIBRARIES = ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep the BLAS of NumPy from starting threads, unless another thread has set their number.

    After a product, threads of OpenBLAS wait for the next one at full speed for some 25 ms, on
    cores that the engine then lacks: images of 640 x 480 took 1.3 times as long on two cores.
    """
    with _LIBRARIES.limit(limits=1, user_api="blas"):
        yield


@one_blas_thread()
def estimate_sigma(image: Array) -> float:
    """Return the standard deviation of the white noise of an image.

    The image's content fills only some directions in the space of its patches; in all others
    the variance is that of the noise. The directions of largest variance are dropped until the mean
    of the others is no longer above their median.

    Where channels depend on each other, as after JPEG has halved its colours, some directions
    across channels hold next to nothing; then each channel is measured alone.

    Parameters
    ----------
    image
        Floats (H, W, C); with a side under 6 pixels the answer is 0.

    Returns
    -------
    sigma
        On the image's own scale, the same for all channels.

    References
    ----------
    G. Chen, F. Zhu, P. A. Heng, "An efficient statistical method for image noise level
    estimation", ICCV 2015.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> round(estimate_sigma(0.5 + 0.1 * rng.standard_normal((64, 64, 1))), 2)
    0.1
    """
    if min(image.shape[:2]) < _SIDE:
        return 0.0
    return sigma_from(patch_covariance(image))


def patch_covariance(image: Array) -> Covariance:
    """Return the covariance of the values in an image's patches of 6 x 6 pixels.

    Parameters
    ----------
    image
        Floats (H, W, C), no side under 6 pixels.

    Returns
    -------
    covariance
        (C, 36, C, 36).
    """
    height, width, count = image.shape
    step = max(1, round(np.sqrt(height * width / _PATCHES)))
    # Channel by channel, which copies longer runs of neighbours; near zero, float32 keeps digits.
    planes = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    planes = planes - planes.mean(axis=(1, 2), keepdims=True)
    windows = sliding_window_view(planes, (_SIDE, _SIDE), axis=(1, 2))[:, ::step, ::step]
    patches = windows.transpose(0, 3, 4, 1, 2).reshape(count * _SIDE**2, -1)
    # The mean patch is content.
    mean = patches.mean(axis=1)
    covariance = np.asarray(patches @ patches.T, np.float64) / patches.shape[1]
    return (covariance - np.outer(mean, mean)).reshape(count, _SIDE**2, count, _SIDE**2)


def sigma_from(covariance: Covariance) -> float:
    """Return the standard deviation of white noise in patches of this covariance."""
    count, size = covariance.shape[:2]
    together = _noise_of(covariance.reshape(count * size, count * size))
    alone = [_noise_of(covariance[channel, :, channel]) for channel in range(count)]
    each = float(np.sqrt(np.mean(np.square(alone))))
    return each if together < each / 2 else together


def _noise_of(covariance: Covariance) -> float:
    variances = np.linalg.eigvalsh(covariance)  # in growing order
    counts = np.arange(1, len(variances) + 1)
    means = np.cumsum(variances) / counts
    medians = (variances[(counts - 1) // 2] + variances[counts // 2]) / 2
    # Content adds to the largest variances; of the others, mean and median agree.
    small = means[1:] <= medians[1:]
    last = len(variances) - 1 - int(small[::-1].argmax()) if small.any() else 0
    return float(np.sqrt(max(means[last], 0.0)))
