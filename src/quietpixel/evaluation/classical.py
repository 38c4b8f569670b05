"""The classical rivals from scikit-image, each at its best for the noise at hand.

A method is a frozen dataclass that is called on a batch (N, H, W, C). `tune` tries a small grid of
parameters on images whose clean version is known, and fits a gain and an offset that undo the bias
a noise law brings by its mean or its clipping; a rival is never judged on that bias.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, MissingDependencyError, unknown_name

Images = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Classical(ABC):
    """A classical method, followed by ``gain * image + offset``.

    Parameters
    ----------
    gain, offset
        The straight line that brings the mean brightness back; 1 and 0 change nothing.
    """

    grid: ClassVar[dict[str, tuple[float, ...]]]
    """The values that `tune` tries; `sigma` and `weight` are in units of the noise deviation."""

    gain: float = 1.0
    offset: float = 0.0

    @abstractmethod
    def filter(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one image (H, W, C) denoised."""

    def __call__(self, images: Images) -> Images:
        """Return the batch (N, H, W, C) denoised, as float32."""
        filtered = [self.filter(np.asarray(image, np.float64)) for image in images]
        return (self.gain * np.stack(filtered) + self.offset).astype(np.float32)

    @property
    def parameters(self) -> str:
        """What the method was run with, as text."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return ", ".join(f"{name} {value:.3g}" for name, value in values)


@dataclass(frozen=True, kw_only=True)
class Median(Classical):
    """The median of a square of `size` x `size` pixels."""

    grid: ClassVar = {"size": (3, 5, 7)}
    size: int = 3

    def filter(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one image (H, W, C) denoised."""
        median = load_scikit_image("filters").median
        square = np.ones((self.size, self.size))
        channels = [median(image[..., c], square) for c in range(image.shape[-1])]
        return np.stack(channels, axis=-1)


@dataclass(frozen=True, kw_only=True)
class Wavelet(Classical):
    """Soft thresholds on wavelet coefficients, chosen for a noise of deviation `sigma`.

    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE
    TIP 9(9), 2000 (BayesShrink). `shifts` moves of the image are denoised and averaged ("cycle
    spinning", Coifman and Donoho, 1995), without which squares show.
    """

    grid: ClassVar = {"sigma": (0.4, 0.6, 0.8, 1.0, 1.3, 1.7), "shifts": (0, 3)}
    sigma: float = 0.1
    shifts: int = 3

    def filter(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one image (H, W, C) denoised."""
        denoise = load_scikit_image("restoration").denoise_wavelet
        options = {"sigma": self.sigma, "channel_axis": -1} | _wavelet_for(min(image.shape[:2]))
        moves = itertools.product(range(self.shifts + 1), repeat=2)
        return _mean(_moved(lambda part: denoise(part, **options), image, *move) for move in moves)


@dataclass(frozen=True, kw_only=True)
class TotalVariation(Classical):
    """The image of least total variation that is close to the noisy one.

    Chambolle, "An algorithm for total variation minimization and applications", JMIV 20, 2004.
    """

    grid: ClassVar = {"weight": (0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.4)}
    weight: float = 0.1

    def filter(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one image (H, W, C) denoised."""
        denoise = load_scikit_image("restoration").denoise_tv_chambolle
        return _array(denoise(image, weight=self.weight, channel_axis=-1))


@dataclass(frozen=True, kw_only=True)
class NonLocalMeans(Classical):
    """Means over patches that look alike, for a noise of deviation `sigma`.

    Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005. `cutoff` times
    `sigma` is the distance at which a patch stops to count.
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

    def filter(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one image (H, W, C) denoised."""
        filtered = load_scikit_image("restoration").denoise_nl_means(
            image,
            h=self.cutoff * self.sigma,
            sigma=self.sigma,
            patch_size=self.patch,
            patch_distance=self.distance,
            channel_axis=-1,
        )
        return _array(filtered).reshape(image.shape)


METHODS: dict[str, type[Classical]] = {
    "median": Median,
    "wavelet": Wavelet,
    "tv": TotalVariation,
    "nlm": NonLocalMeans,
}
"""The classical methods by name."""


def tune(method: str | type[Classical], clean: Images, noisy: Images) -> Classical:
    """Return the classical method with the parameters that leave the least squared error.

    Parameters
    ----------
    method
        A name in `METHODS`, or a method's class.
    clean, noisy
        Images of the training or validation part, float32 (N, H, W, C) in [0, 1]; a hundred are
        enough. Never the images that are judged.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ArgumentError
        If the batches are empty or differ in shape.
    MissingDependencyError
        If scikit-image is not installed.

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
    _check_images(clean, noisy)
    kind = METHODS[method] if isinstance(method, str) else method
    return _Search(kind, clean, noisy).best()


def tune_all(
    clean: Images, noisy: Images, *, progress: Callable[[str], None] | None = None
) -> dict[str, Classical]:
    """Return every classical method, tuned, by name.

    Parameters
    ----------
    clean, noisy
        As for `tune`.
    progress
        Called with the name of each method before it is tuned.
    """
    tuned = {}
    for name in METHODS:
        if progress is not None:
            progress(name)
        tuned[name] = tune(name, clean, noisy)
    return tuned


class _Search:
    """Walks the grid one parameter at a time, twice: as good as trying all, in a third of it."""

    def __init__(self, kind: type[Classical], clean: Images, noisy: Images) -> None:
        self._kind, self._clean, self._noisy = kind, clean, noisy
        self._sigma = float(np.std(np.asarray(noisy, np.float64) - clean))
        self._seen: dict[tuple[float, ...], tuple[float, Classical]] = {}

    def best(self) -> Classical:
        """Return the method of least error."""
        grid = list(self._kind.grid.values())
        point = tuple(values[len(values) // 2] for values in grid)
        for axis in [*range(len(grid))] * 2:
            line = ((*point[:axis], value, *point[axis + 1 :]) for value in grid[axis])
            point = min(line, key=lambda at: self._try(at)[0])
        return self._try(point)[1]

    def _try(self, point: tuple[float, ...]) -> tuple[float, Classical]:
        if point not in self._seen:
            named = dict(zip(self._kind.grid, point, strict=True))
            scaled = {key: self._sigma * named[key] for key in ("sigma", "weight") if key in named}
            candidate = self._kind(**(named | scaled))
            self._seen[point] = _fit(candidate, self._clean, self._noisy)
        return self._seen[point]


def _fit(candidate: Classical, clean: Images, noisy: Images) -> tuple[float, Classical]:
    """Return the error of the candidate with the best of some lines, and that candidate."""
    plain = candidate(noisy).astype(np.float64)
    lines = list(_lines(plain, clean.astype(np.float64)))
    errors = [np.mean(np.square(np.clip(g * plain + o, 0, 1) - clean)) for g, o in lines]
    error, (gain, offset) = min(zip(errors, lines, strict=True))
    return float(error), replace(candidate, gain=gain, offset=offset)


def _lines(plain: NDArray[np.float64], clean: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """Yield no change, the least-squares line, and that line fitted anew to what it leaves inside.

    Pixels that a line takes out of [0, 1] are clipped, so they should not bend it.
    """
    yield 1.0, 0.0
    inside = np.ones(plain.shape, bool)
    for _ in range(4):
        x, y = plain[inside], clean[inside]
        if x.size < 2 or x.var() == 0:
            return
        gain = float(np.mean((x - x.mean()) * y) / x.var())
        yield gain, float(y.mean() - gain * x.mean())
        fitted = gain * plain + y.mean() - gain * x.mean()
        inside = (fitted > 0) & (fitted < 1)


def _wavelet_for(side: int) -> dict[str, Any]:
    """Return the wavelet and its levels; `sym4` reaches over 7 pixels and needs twice as many."""
    if side < 14:
        return {"wavelet": "db1", "wavelet_levels": 1}
    return {"wavelet": "sym4", "wavelet_levels": min(3, int(np.log2(side / 7)))}


def _moved(
    function: Callable[[NDArray[np.float64]], Any], image: NDArray[np.float64], *move: int
) -> NDArray[np.float64]:
    there = np.roll(image, move, axis=(0, 1))
    return np.roll(_array(function(there)), [-step for step in move], axis=(0, 1))


def _mean(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return _array(np.mean(list(parts), axis=0))


def _array(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)


def _check_images(clean: Images, noisy: Images) -> None:
    if clean.ndim != 4 or clean.shape != noisy.shape or len(clean) == 0:
        raise ArgumentError(
            "`noisy` must be a batch (N, H, W, C) of the shape of `clean` with at least one "
            f"image, to choose parameters by; got {noisy.shape} and {clean.shape}."
        )


def load_scikit_image(part: str) -> Any:
    """Return a part of scikit-image, such as ``"restoration"``, or say what is missing."""
    try:
        import_module("pywt")  # scikit-image finds out only when its wavelet is called
        return import_module(f"skimage.{part}")
    except ImportError as error:
        raise MissingDependencyError(
            f"The classical methods need {error.name or 'scikit-image'}, which is not installed; "
            "install it with: pip install 'quietpixel[train]'."
        ) from error
