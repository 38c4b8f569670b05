"""The classical methods by name, each tuned for the noise at hand.

A method is a frozen dataclass that is called on a batch (N, H, W, C). `tune` searches a small grid
of parameters on images whose clean version is known, and fits a gain and an offset: a law whose
mean is not 0, or that clips, shifts the brightness, and a method is not blamed for that.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Images
from quietpixel.errors import ArgumentError, import_optional, unknown_name

Image = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Classical(ABC):
    """A classical method, followed by ``gain * image + offset``.

    Parameters
    ----------
    gain, offset
        Correction of the mean brightness; 1 and 0 change nothing.
    """

    grid: ClassVar[dict[str, tuple[float, ...]]]
    """Values that `tune` tries; `sigma` and `weight` are in units of the noise deviation."""

    gain: float = 1.0
    offset: float = 0.0

    @abstractmethod
    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C), or (H, W) for a gray one, denoised."""

    def __call__(self, images: Images) -> Images:
        """Return the batch (N, H, W, C) denoised, as float32."""
        filtered = [self.filter(np.asarray(image, np.float64)) for image in images]
        stack = np.asarray(filtered, np.float64).reshape(images.shape)
        return (self.gain * stack + self.offset).astype(np.float32)

    @property
    def parameters(self) -> str:
        """The parameters as text."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return ", ".join(f"{name} {value:.3g}" for name, value in values)


@dataclass(frozen=True, kw_only=True)
class Median(Classical):
    """Median over a square of `size` x `size` pixels."""

    grid: ClassVar = {"size": (3, 5, 7)}
    size: int = 3

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        median, square = load_scikit_image("filters").median, np.ones((self.size, self.size))
        # Plane by plane: over three axes, the median would mix the colours.
        return np.stack([median(plane, square) for plane in np.moveaxis(image, -1, 0)], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Wavelet(Classical):
    """Soft thresholding of wavelet coefficients for noise of deviation `sigma`.

    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE
    TIP 9(9), 2000 (BayesShrink). Shifted copies of the image are denoised and averaged ("cycle
    spinning", Coifman and Donoho, 1995), `shifts` + 1 along each axis; without, squares show.
    """

    grid: ClassVar = {"sigma": (0.4, 0.6, 0.8, 1.0, 1.3, 1.7), "shifts": (0, 3)}
    sigma: float = 0.1
    shifts: int = 3

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        denoise = load_scikit_image("restoration").denoise_wavelet
        side = min(image.shape[:2])
        # The filter of `sym4` is 7 pixels long and needs at least twice as many.
        wavelet, levels = ("db1", 1) if side < 14 else ("sym4", min(3, int(np.log2(side / 7))))
        total = np.zeros_like(image)
        for down, right in itertools.product(range(self.shifts + 1), repeat=2):
            shifted = np.roll(image, (down, right), axis=(0, 1))
            denoised = denoise(
                shifted, sigma=self.sigma, channel_axis=-1, wavelet=wavelet, wavelet_levels=levels
            )
            total += np.roll(denoised, (-down, -right), axis=(0, 1))
        return total / (self.shifts + 1) ** 2


@dataclass(frozen=True, kw_only=True)
class TotalVariation(Classical):
    """The image of least total variation that stays close to the noisy one.

    Chambolle, "An algorithm for total variation minimization and applications", JMIV 20, 2004.
    """

    grid: ClassVar = {"weight": (0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.4)}
    weight: float = 0.1

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        denoise = load_scikit_image("restoration").denoise_tv_chambolle
        return denoise(image, weight=self.weight, channel_axis=-1)


@dataclass(frozen=True, kw_only=True)
class NonLocalMeans(Classical):
    """Means over similar patches, for noise of deviation `sigma`.

    Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005. Patches at a
    distance of more than about `cutoff` times `sigma` do not count.
    """

    grid: ClassVar = {
        "sigma": (0.7, 1.0),
        "cutoff": (0.3, 0.5, 0.7, 0.9),
        "patch": (3, 5, 7),
        "distance": (6, 10),
    }
    sigma: float = 0.1
    cutoff: float = 0.8
    patch: int = 5
    distance: int = 6

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        return load_scikit_image("restoration").denoise_nl_means(
            image,
            h=self.cutoff * self.sigma,
            sigma=self.sigma,
            patch_size=self.patch,
            patch_distance=self.distance,
            channel_axis=-1,
        )


@dataclass(frozen=True, kw_only=True)
class Bilateral(Classical):
    """Means over nearby pixels of similar colour.

    Weights are Gaussian: `reach` pixels in space, `sigma` in colour. Tomasi, Manduchi, "Bilateral
    filtering for gray and color images", ICCV 1998.
    """

    grid: ClassVar = {"sigma": (1.5, 2.0, 3.0, 4.5, 8.0), "reach": (0.7, 1.0, 1.5, 2.5)}
    sigma: float = 0.2
    reach: float = 1.5

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        # Not scikit-image 0.26's: on a noisy photograph, with a `sigma` at which colour does not
        # count, it gave 18.4 dB where a Gaussian blur of the same reach gave 25.9.
        far = int(np.ceil(2.5 * self.reach))
        height, width = image.shape[:2]
        padded = np.pad(image, [(far, far), (far, far), (0, 0)], mode="symmetric")
        total, weights = np.zeros_like(image), np.zeros((height, width, 1))
        for down, right in itertools.product(range(-far, far + 1), repeat=2):
            top, left = far + down, far + right
            other = padded[top : top + height, left : left + width]
            distance = np.square(other - image).mean(axis=-1, keepdims=True) / self.sigma**2
            weight = np.exp(-0.5 * (distance + (down**2 + right**2) / self.reach**2))
            total += weight * other
            weights += weight
        return total / weights


@dataclass(frozen=True, kw_only=True)
class OpenCVNonLocalMeans(Classical):
    """Non-local means of OpenCV, with its own patches of 7 and search windows of 21 pixels.

    `sigma` is the distance beyond which patches do not count. OpenCV computes in 8 bits, so values
    are clipped and rounded first.
    """

    grid: ClassVar = {"sigma": (0.5, 0.65, 0.8, 1.0, 1.2, 1.5)}
    sigma: float = 0.1

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        package = "opencv-python-headless"
        cv2 = import_optional("cv2", f"The method opencv-nlm needs the package {package}", package)
        pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
        strength = 255 * self.sigma
        if image.shape[-1] == 1:
            return cv2.fastNlMeansDenoising(pixels[..., 0], None, strength) / 255
        return cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength) / 255


@dataclass(frozen=True, kw_only=True)
class BM3D(Classical):
    """Collaborative filtering of similar blocks, for noise of deviation `sigma`.

    Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
    filtering", IEEE TIP 16(8), 2007. Mäkinen, Azzari, Foi, IEEE TIP 29, 2020 (this code).
    """

    grid: ClassVar = {"sigma": (0.8, 0.9, 1.0, 1.1, 1.25)}
    sigma: float = 0.1

    def filter(self, image: Image) -> Any:
        """Return one image (H, W, C) denoised."""
        # The licence is named before anybody installs it.
        install = "bm3d (its licence allows non-commercial use only)"
        bm3d = import_optional("bm3d", "The method bm3d needs the package bm3d", install)
        if image.shape[-1] == 1:
            return bm3d.bm3d(image[..., 0], self.sigma)
        return bm3d.bm3d_rgb(image, self.sigma)


METHODS: dict[str, type[Classical]] = {
    "median": Median,
    "wavelet": Wavelet,
    "tv": TotalVariation,
    "nlm": NonLocalMeans,
    "bilateral": Bilateral,
    "opencv-nlm": OpenCVNonLocalMeans,
    "bm3d": BM3D,
}
"""The classical methods by name; the last two need a package of their own."""

LEAST_SIGMA = 1e-4
"""Noise for which methods are tuned at least, far below a step of 8 bits."""

CLASSICAL = ("median", "wavelet", "tv", "nlm")
"""The methods that ``classical=True`` adds to an evaluation."""


def tune(
    method: str | type[Classical],
    clean: Images,
    noisy: Images,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Classical:
    """Return the classical method with the parameters of least squared error.

    Parameters
    ----------
    method
        A name in `METHODS`, or a method's class.
    clean, noisy
        Training or validation images, float32 (N, H, W, C) in [0, 1]; a hundred are enough. Never
        the images of the evaluation.
    on_progress
        Called with the number of parameters tried, and of all.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ArgumentError
        If the batches are empty or differ in shape.
    MissingDependencyError
        If a package that the method needs is not installed.

    Examples
    --------
    >>> clean = np.zeros((2, 16, 16, 1), np.float32)
    >>> clean[:, 4:12, 4:12] = 1
    >>> noise = np.random.default_rng(0).normal(0, 0.3, clean.shape)
    >>> best = tune("median", clean, clean + noise.astype(np.float32))
    >>> best.size
    3
    """
    if isinstance(method, str) and method not in METHODS:
        raise unknown_name("classical method", method, METHODS)
    if clean.ndim != 4 or clean.shape != noisy.shape or len(clean) == 0:
        raise ArgumentError(
            "`noisy` must be a batch (N, H, W, C) of the shape of `clean` with at least one image "
            f"for tuning; got {noisy.shape} and {clean.shape}."
        )
    kind = METHODS[method] if isinstance(method, str) else method
    # As measured, not as the law says: clipping at black and white weakens the noise.
    # Above 0, because methods divide by it: images without noise are legal.
    sigma = max(float(np.std(np.asarray(noisy, np.float64) - clean)), LEAST_SIGMA)

    total, tried = 2 * sum(map(len, kind.grid.values())), itertools.count(1)

    @cache
    def fit(*point: float) -> tuple[float, Classical]:
        values = dict(zip(kind.grid, point, strict=True))
        values |= {key: sigma * values[key] for key in ("sigma", "weight") if key in values}
        return _fit_brightness(kind(**values), clean, noisy)

    def error(point: list[float]) -> float:
        found = fit(*point)[0]
        on_progress(next(tried), total)
        return found

    # One parameter after the other, twice: as good as the whole grid in a third of the time.
    point = [values[len(values) // 2] for values in kind.grid.values()]
    for axis, values in [*enumerate(kind.grid.values())] * 2:
        lines = [[*point[:axis], value, *point[axis + 1 :]] for value in values]
        point = min(lines, key=error)
    return fit(*point)[1]


def _fit_brightness(candidate: Classical, clean: Images, noisy: Images) -> tuple[float, Classical]:
    """Return the least error over several gains and offsets, and the candidate with the best."""
    plain, target = candidate(noisy).astype(np.float64), clean.astype(np.float64)
    lines = list(_brightness_lines(plain, target))
    # Clipped, as the evaluation clips.
    errors = [np.mean(np.square(np.clip(g * plain + o, 0, 1) - clean)) for g, o in lines]
    error, (gain, offset) = min(zip(errors, lines, strict=True))
    return float(error), replace(candidate, gain=gain, offset=offset)


def _brightness_lines(plain: Image, clean: Image) -> Iterator[tuple[float, float]]:
    """Yield gains and offsets: none, then least squares, refitted to the pixels inside [0, 1].

    Pixels that a line takes out of [0, 1] are clipped afterwards, so they must not bend it.
    """
    yield 1.0, 0.0
    inside = np.ones(plain.shape, bool)
    for _ in range(4):
        x, y = plain[inside], clean[inside]
        if x.size < 2 or x.var() == 0:
            return
        gain = float(np.mean((x - x.mean()) * y) / x.var())
        offset = float(y.mean() - gain * x.mean())
        yield gain, offset
        fitted = gain * plain + offset
        inside = (fitted > 0) & (fitted < 1)


def load_scikit_image(part: str) -> Any:
    """Return a part of scikit-image, such as ``"restoration"``.

    Raises
    ------
    MissingDependencyError
        If scikit-image or PyWavelets is not installed.
    """
    # scikit-image reports that pywt is missing only when a wavelet method is called.
    import_optional("pywt", "The classical methods need pywt")
    return import_optional(f"skimage.{part}", f"The classical methods need skimage.{part}")
