"""Noise of an image: its law, its strength by brightness, and its kind."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ImageError
from quietpixel.noise.fit import PoissonGaussian, fit_levels
from quietpixel.noise.flat_blocks import (
    FLATTEST,
    ORDER,
    SIDE,
    Levels,
    Spectra,
    block_spectra,
    join_levels,
    low_orders,
    noise_levels,
)
from quietpixel.noise.parser import NoiseLaw

Array = NDArray[Any]

KINDS = ("white", "correlated", "stripes")

COARSE = 3
"""Up to this order, coefficients tell how flat a block is when the others are compared."""
MIDDLE, FINE = (ORDER >= 4) & (ORDER <= 6), ORDER >= 9
REDDEST, BLUEST = 1.85, 0.6
"""White noise has as much power in the middle orders as in the fine ones. On photographs with white
noise of 5/255 or more the ratio was 0.97 to 1.4, in four full of texture 1.8 to 2.4; with noise
blurred by a Gaussian of half a pixel it was 1.89 and more."""
STRIPED = 0.3
"""Stripes are named from this share of the whole noise's standard deviation."""
SMOOTHEST = 0.1
"""Share of the blocks kept twice over to measure correlated noise."""
FAINTEST = (0.75 / 255) ** 2
"""Stripes with less variance are none: straight edges of a clean photograph make as much."""
ALIKE = 0.15
"""Least correlation of the steps of two bands; blurred noise reached 0.1 by chance."""
LARGEST = 3 / 0.6745
"""A step between columns counts up to this many times the median of all (3 sigma if normal)."""


def colour_of(spectra: Spectra) -> float:
    """Return the power of middle orders over that of fine ones in flat blocks: 1 if white.

    More is noise with grain larger than a pixel (blurred, enlarged, compressed), less is noise that
    was sharpened.
    """
    power = spectra.least(low_orders(COARSE), FLATTEST).power.mean(axis=0)
    fine = float(np.median(power[FINE]))
    return float(np.median(power[MIDDLE])) / fine if fine > 0 else 1.0


def correlated_variance(spectra: Spectra) -> tuple[float, float]:
    """Return a brightness and, there, the variance of noise most of which lies in low orders.

    Blocks are chosen by their fine orders, then by their slopes (order 1), and read in all others;
    mean and slopes are filled in from order 2. Over photographs with noise blurred by a Gaussian of
    0.5 to 0.7 pixels the median of sigma was 0.95 to 1.08 of the truth, with 1.2 pixels 0.85 to
    0.94: grain that is large beside a block is not seen whole.
    """
    even = spectra.least(FINE, SMOOTHEST).least(ORDER == 1, SMOOTHEST)
    power = even.power.mean(axis=0)
    filled = power[ORDER == 2].mean() * (ORDER < 2).sum()
    return float(even.mean.mean()), float(power[ORDER >= 2].sum() + filled) / len(ORDER)


def stripe_variance(image: Array) -> tuple[float, float]:
    """Return the variance of offsets that whole rows share, and whole columns.

    Differences between neighbouring columns are taken as the median over each of several bands of
    rows. What two bands that do not touch have in common cannot be the image's content, which
    seldom runs straight through all of it, nor noise of single pixels.

    Parameters
    ----------
    image
        (H, W, C).
    """
    return _columns(image.swapaxes(0, 1)), _columns(image)


def _columns(image: Array) -> float:
    steps = np.diff(image, axis=1)
    known = np.isfinite(steps)
    if not known.all():
        # A step next to a hole counts as none, and the median over a band hardly moves.
        steps = np.where(known, steps, 0)
    count = int(np.clip(len(image) // 16, 3, 8))
    bands = np.array([np.median(band, axis=0) for band in np.array_split(steps, count)])
    bands -= np.median(bands, axis=1, keepdims=True)
    limit = LARGEST * np.median(np.abs(bands), axis=1, keepdims=True)
    bands = np.clip(bands, -limit, limit)
    pairs = [(i, j) for i in range(count) for j in range(i + 2, count)]
    common = float(np.mean([np.mean(bands[i] * bands[j]) for i, j in pairs]))
    if common < ALIKE * np.mean(bands**2):
        return 0.0
    return common / 2  # a step is the difference of two columns


LEAST_SIDE = 3 * SIDE
"""Height and width that an image must have, in pixels."""


@dataclass(frozen=True)
class NoiseMeasure:
    """The measured noise of one or more images.

    Parameters
    ----------
    sigma
        Standard deviation at the images' mean brightness, stripes included; before clipping.
    gain, read_noise
        Of the law ``variance = gain * clean + read_noise**2``, on the [0, 1] scale; stripes are no
        part of it.
    kind
        ``"white"``, ``"correlated"`` (grain larger than a pixel, or sharpened) or ``"stripes"``
        (whole rows or columns that are lighter or darker).
    stripes
        Standard deviation between whole rows, and between whole columns.
    levels
        The noise by brightness, as it is seen after clipping.
    clipped
        Whether the values seem to be clipped to [0, 1].
    """

    sigma: float
    gain: float
    read_noise: float
    kind: str
    stripes: tuple[float, float]
    levels: Levels
    clipped: bool

    @property
    def model(self) -> PoissonGaussian:
        """The law as numbers."""
        return PoissonGaussian(self.gain, self.read_noise)

    @property
    def law(self) -> NoiseLaw:
        """The law as training takes it; its text is such as ``poisson:40+gaussian:0.01``."""
        return self.model.to_law(clip=self.clipped)


@dataclass(frozen=True)
class _Reading:
    """The measurement of one image."""

    levels: Levels
    kind: str
    stripes: tuple[float, float]
    brightness: float
    clipped: bool


def measure_noise(images: Array | Iterable[Array]) -> NoiseMeasure:
    """Return the noise of an image, or the common noise of several images taken alike.

    Parameters
    ----------
    images
        Floats (H, W, C) on the [0, 1] scale, at least 24 x 24 pixels; or several of them. Values
        that are not finite do not count.

    Raises
    ------
    ImageError
        If an image is too small, or there is none.

    Examples
    --------
    >>> clean = np.tile(np.linspace(0.1, 0.9, 256, dtype=np.float32), (256, 1))[..., None]
    >>> noisy = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> measure = measure_noise(noisy)
    >>> measure.kind, round(measure.sigma, 2)
    ('white', 0.1)
    """
    given = [images] if isinstance(images, np.ndarray) and images.ndim == 3 else images
    readings = [_read(image) for image in given]
    if not readings:
        raise ImageError("`images` must hold at least one image to measure; got none.")
    levels = join_levels([each.levels for each in readings])
    # A single value beyond [0, 1] shows that nothing was clipped.
    clipped = all(each.clipped for each in readings)
    # One fit over the levels of all images: each alone may cover few brightnesses.
    model = fit_levels(levels, clipped=clipped)
    rows, columns = np.mean([each.stripes for each in readings], axis=0)
    brightness = float(np.mean([each.brightness for each in readings]))
    kinds = [each.kind for each in readings]
    return NoiseMeasure(
        sigma=float(np.sqrt(model.sigma(brightness) ** 2 + rows**2 + columns**2)),
        gain=model.gain,
        read_noise=model.read_noise,
        # The most frequent kind; of equally frequent ones, that of the first image.
        kind=max(dict.fromkeys(kinds), key=kinds.count),
        stripes=(float(rows), float(columns)),
        levels=levels,
        clipped=clipped,
    )


def fit_law(images: Array | Iterable[Array]) -> NoiseLaw:
    """Return the Poisson-Gaussian law of the noise of images that were taken alike.

    It says how strong the noise is, and takes it as white; ask `measure_noise` whether it is.

    Parameters
    ----------
    images
        As `measure_noise` takes them.

    Raises
    ------
    ImageError
        If an image is too small, or there is none.

    Examples
    --------
    >>> clean = np.full((128, 128, 1), 0.5, np.float32)
    >>> str(fit_law(clean))
    'gaussian:0'
    """
    return measure_noise(images).law


def _read(image: Array) -> _Reading:
    shape = getattr(image, "shape", type(image).__name__)
    if getattr(image, "ndim", 0) != 3 or min(image.shape[:2]) < LEAST_SIDE:
        raise ImageError(
            f"`images` must be (H, W, C) and at least {LEAST_SIDE} x {LEAST_SIDE} pixels because "
            f"noise is read from flat blocks of {SIDE} x {SIDE}; got {shape}. Measure a larger "
            "image of the same kind."
        )
    spectra = block_spectra(image)
    if not len(spectra):
        raise ImageError(
            f"`images` must hold blocks of {SIDE} x {SIDE} pixels that are finite and not masked; "
            "got an image with none. Measure another image of the same kind."
        )
    levels = noise_levels(spectra)
    rows, columns = stripe_variance(image)
    white = float(np.median(levels.variance))
    kind = "white"
    if max(rows, columns) > max(STRIPED**2 * (white + rows + columns), FAINTEST):
        kind = "stripes"
    else:
        # Weak stripes are as likely to be content.
        rows = columns = 0.0
        if not BLUEST <= colour_of(spectra) <= REDDEST:
            kind = "correlated"
            # Fine orders hold too little or too much of such noise; all orders together do not.
            brightness, variance = correlated_variance(spectra)
            fine = float(fit_levels(levels, clipped=False).sigma(brightness)) ** 2
            if fine > 0:
                levels = replace(levels, variance=levels.variance * (variance / fine))
    return _Reading(
        levels=levels,
        kind=kind,
        stripes=(rows**0.5, columns**0.5),
        brightness=float(np.nanmean(image)),
        clipped=bool(np.nanmin(image) >= 0 and np.nanmax(image) <= 1),
    )
