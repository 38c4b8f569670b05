"""The metrics by name. Tables, reports and JSON take every metric from `METRICS`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike, NDArray

from quietpixel.imaging.metrics import (
    LEAST_SIDE,
    SSIM_WINDOW,
    gmsd,
    mean_squared_error,
    ms_ssim,
    psnr,
    ssim,
)


@dataclass(frozen=True)
class Metric:
    """One number for a pair of images.

    Parameters
    ----------
    title
        Heading of its column.
    compute
        Takes the clean and the denoised image, both (H, W, C) in [0, 1].
    sign
        1 if more is better, -1 if less is.
    digits
        Decimals that are shown.
    least_side
        Least height and width of an image, in pixels.
    """

    title: str
    compute: Callable[[ArrayLike, ArrayLike], float]
    sign: int
    digits: int
    least_side: int = 1

    def __call__(self, clean: NDArray[Any], image: NDArray[Any]) -> float:
        """Return the number, or NaN if the image is too small."""
        # No error, because a folder may hold images of many sizes.
        small = min(clean.shape[:2]) < self.least_side
        return float("nan") if small else self.compute(clean, image)


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR, dB", psnr, 1, 2),
    "ssim": Metric("SSIM", ssim, 1, 4, SSIM_WINDOW),
    "ms_ssim": Metric("MS-SSIM", ms_ssim, 1, 4, LEAST_SIDE),
    "gmsd": Metric("GMSD", gmsd, -1, 4, 4),
    "mse": Metric("MSE", mean_squared_error, -1, 6),
}
"""The metrics by their keys in JSON, in the order of the columns."""
