"""Further classical methods: the bilateral filter, and two of packages that users install."""

import itertools
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import MissingDependencyError
from quietpixel.evaluation.classical import METHODS, Classical

Image = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Bilateral(Classical):
    """Means over neighbours of like colour: normal weights, `reach` pixels and `sigma` of colour.

    Tomasi, Manduchi, "Bilateral filtering for gray and color images", ICCV 1998. Written out here:
    scikit-image 0.26's, on a noisy photograph and with a `sigma` at which colour does not count,
    gave 18.4 dB where a normal blur of the same reach gave 25.9.
    """

    grid: ClassVar = {"sigma": (1.5, 2.0, 3.0, 4.5, 8.0), "reach": (0.7, 1.0, 1.5, 2.5)}
    sigma: float = 0.2
    reach: float = 1.5

    def filter(self, image: Image) -> Image:
        """Return one image (H, W, C) denoised."""
        far = int(np.ceil(2.5 * self.reach))
        height, width = image.shape[:2]
        padded = np.pad(image, [(far, far), (far, far), (0, 0)], mode="symmetric")
        total, weights = np.zeros_like(image), np.zeros((height, width, 1))
        for down, right in itertools.product(range(-far, far + 1), repeat=2):
            top, left = far + down, far + right
            other = padded[top : top + height, left : left + width]
            apart = np.square(other - image).mean(axis=-1, keepdims=True) / self.sigma**2
            weight = np.exp(-0.5 * (apart + (down**2 + right**2) / self.reach**2))
            total += weight * other
            weights += weight
        return total / weights


@dataclass(frozen=True, kw_only=True)
class OpenCVNonLocalMeans(Classical):
    """Non-local means of OpenCV, which computes in 8 bits: values are clipped and rounded first.

    `sigma` is the distance at which patches stop to count; windows are OpenCV's own, patches of 7
    and a search of 21 pixels.
    """

    grid: ClassVar = {"sigma": (0.5, 0.65, 0.8, 1.0, 1.2, 1.5)}
    sigma: float = 0.1

    def filter(self, image: Image) -> Image:
        """Return one image (H, W, C) denoised."""
        cv2 = _import("opencv-nlm", "cv2", "opencv-python-headless")
        ready = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
        strength = 255 * self.sigma
        if image.shape[-1] == 1:
            filtered = cv2.fastNlMeansDenoising(ready[..., 0], None, strength)
        else:
            filtered = cv2.fastNlMeansDenoisingColored(ready, None, strength, strength)
        return np.asarray(filtered, np.float64).reshape(image.shape) / 255


@dataclass(frozen=True, kw_only=True)
class BM3D(Classical):
    """Collaborative filtering of blocks that look alike, for a noise of deviation `sigma`.

    Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
    filtering", IEEE TIP 16(8), 2007. Mäkinen, Azzari, Foi, IEEE TIP 29, 2020 (this code).
    """

    grid: ClassVar = {"sigma": (0.8, 0.9, 1.0, 1.1, 1.25)}
    sigma: float = 0.1

    def filter(self, image: Image) -> Image:
        """Return one image (H, W, C) denoised."""
        bm3d = _import("bm3d", "bm3d", "bm3d", " (for non-commercial use only, says its licence)")
        if image.shape[-1] == 1:
            return np.asarray(bm3d.bm3d(image[..., 0], self.sigma)).reshape(image.shape)
        return np.asarray(bm3d.bm3d_rgb(image, self.sigma)).reshape(image.shape)


ALL_METHODS: dict[str, type[Classical]] = {
    **METHODS,
    "bilateral": Bilateral,
    "opencv-nlm": OpenCVNonLocalMeans,
    "bm3d": BM3D,
}
"""Every classical method by name, those included that need another package."""


def _import(method: str, module: str, package: str, note: str = "") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"The method {method} needs the package {package}, which is not installed; install it "
            f"with: pip install {package}{note}."
        ) from error
