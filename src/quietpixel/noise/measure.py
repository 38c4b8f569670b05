"""Noise of an image: its law, its strength by brightness, and its kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quietpixel.array_types import Array
from quietpixel.errors import ImageError
from quietpixel.imaging.defects import RARE, fill_hidden, outlier_distance, repair_outliers
from quietpixel.imaging.intensity_scale import estimate_range
from quietpixel.noise.fit import (
    NOTHING,
    PoissonGaussian,
    fit_levels,
    fit_line,
    fit_speckle,
    photon_levels,
)
from quietpixel.noise.flat_blocks import (
    EQUAL,
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
from quietpixel.noise.laws import NoiseLaw, SaltPepper, Speckle
from quietpixel.noise.laws import Sequence as Steps

KINDS = ("white", "correlated", "stripes", "impulses", "speckle")
DARKEST = 0.02
"""Share of the blocks whose mean is taken as the value without light."""
CLIPPED = 0.01
"""Share of zeros from which images are taken as clipped there."""
BOTH_ENDS = 0.2
"""Share of the outliers on either side from which they are salt and pepper, and not hot pixels."""

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


def stripe_variance(image: Array) -> float:
    """Return the variance of offsets that whole columns share.

    Differences between neighbouring columns are taken as the median over each of several bands of
    rows. What two bands that do not touch have in common cannot be the image's content, which
    seldom runs straight through all of it, nor noise of single pixels.

    Parameters
    ----------
    image
        (H, W, C).
    """
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


FAR_BEYOND = 2.0
"""Values beyond so many times white, counted from black, say nothing about the law."""
LOWEST = 2.42
"""The mean of a normal distribution's lowest 2 % lies so many standard deviations below its own."""
EXPLAINED = 6.0
"""Up to so many standard deviations of the law, an outlier is noise."""
HALF_NORMAL = 0.584
"""Standard deviation of normal noise whose negative half is cut off, as a share of the whole."""
SILENT = 0.5
"""Share of equal neighbours from which the dark has no noise."""
FEWEST_WHOLE, PHOTONS_ALONE = 3, 1.5
"""Levels that cut noise leaves whole at least; more variance than so many times that of photons in
the dark is read noise, half of which is cut off."""
BRIGHTNESSES = 8
"""Parts of the range of brightness in which a law is compared with the blocks."""
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
        Of the law ``variance = gain * (clean - offset) + read_noise**2``, on the [0, 1] scale;
        stripes and outliers are not part of it.
    kind
        ``"white"``, ``"correlated"`` (grain larger than a pixel, or sharpened), ``"stripes"``
        (whole rows or columns that are lighter or darker), ``"impulses"`` (single outlying pixels)
        or ``"speckle"`` (in proportion to the light).
    stripes
        Standard deviation between whole rows, and between whole columns.
    levels
        The noise by brightness, as it is seen after clipping.
    clipped
        Whether the values seem to be clipped to [0, 1].
    offset
        The value without light, on the [0, 1] scale.
    outliers
        Shares of the pixels that are far darker and far lighter than their neighbours.
    speckle
        Standard deviation as a share of the light, where the noise is speckle; else 0.
    black, white
        The values of the image that 0 and 1 stand for.
    agreement
        Power of the blocks' fine structure over the variance by the law: the 5 % quantile and the
        median, each the median over eight parts of the range of brightness. 0.5 and 1 if nothing
        but noise of that law is fine; texture raises the median, areas without noise lower both.
    """

    sigma: float
    gain: float
    read_noise: float
    kind: str
    stripes: tuple[float, float]
    levels: Levels
    clipped: bool
    offset: float = 0.0
    outliers: tuple[float, float] = (0.0, 0.0)
    speckle: float = 0.0
    black: float = 0.0
    white: float = 1.0
    agreement: tuple[float, float] = (0.5, 1.0)

    @property
    def model(self) -> PoissonGaussian:
        """The law as numbers."""
        return PoissonGaussian(self.gain, self.read_noise, self.offset)

    @property
    def law(self) -> NoiseLaw:
        """The law as training takes it; its text is such as ``poisson:40+gaussian:0.01``."""
        law = self.model.to_law(clip=self.clipped)
        if self.speckle:
            law = Speckle(float(f"{self.speckle:.3g}"), clip=self.clipped)
        if min(self.outliers) < BOTH_ENDS * sum(self.outliers) or not any(self.outliers):
            return law
        salt_pepper = SaltPepper(float(f"{sum(self.outliers):.2g}"), clip=self.clipped)
        steps = law.laws if isinstance(law, Steps) else (law,)
        return Steps((*steps, salt_pepper))

    @property
    def counts(self) -> dict[str, float]:
        """Offset, sigma, gain and read noise in the units of the image."""
        width = self.white - self.black
        return {
            "offset": self.black + self.offset * width, "sigma": self.sigma * width,
            "gain": self.gain * width, "read_noise": self.read_noise * width,
        }  # fmt: skip

    @property
    def warning(self) -> str | None:
        """A sentence if the law is too weak for the noise, else None."""
        if self.kind != "correlated":
            return None
        return (
            "the noise of neighbouring pixels is correlated, as after JPEG compression, "
            "demosaicing or enlarging; its level is a lower bound, and a law of white noise would "
            "be too weak. Denoise with the model 'photo', or train on pairs."
        )


@dataclass(frozen=True)
class _Reading:
    """The measurement of one image."""

    levels: Levels
    kind: str
    stripes: tuple[float, float]
    brightness: float
    clipped: bool
    dark: float
    outliers: tuple[float, float]
    spectra: Spectra


def measure_noise(images: Array | Iterable[Array], *, offset: bool = False) -> NoiseMeasure:
    """Return the noise of an image, or the common noise of several images taken alike.

    Parameters
    ----------
    images
        Floats (H, W, C) on the [0, 1] scale, at least 24 x 24 pixels; or several of them. Values
        that are not finite do not count.
    offset
        Whether the darkest part of the images is the value without light; False takes 0.

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
    given = [images] if isinstance(images, np.ndarray) and images.ndim == 3 else list(images)
    if offset:
        return _measure_scaled(given)
    return _measure(given)


def _measure_scaled(images: Sequence[Array]) -> NoiseMeasure:
    """Measure on the scale of the content, where weak noise does not pass for none."""
    known = [each for each in images if getattr(each, "ndim", 0) == 3]
    found = estimate_range(known) if known else None
    if found is None:
        return _measure(images)
    low, high = found
    width = high - low
    scaled = [_hide_plateaus((image - low) / width) for image in images]
    measure = _measure(scaled, scaled=True, dark=None)
    levels = measure.levels
    zeros = float(np.mean([np.mean(image == 0) for image in known])) > CLIPPED
    if zeros and low < 0 < high and levels.brightness[0] + low / width < levels.sigma[0]:
        # A camera without offset: half of the noise in the dark is cut off.
        low, width = 0.0, high
        scaled = [_hide_plateaus(image / width) for image in images]
        measure = _measure(scaled, scaled=True, dark=0.0)
    levels = Levels(measure.levels.brightness * width + low, measure.levels.variance * width**2)
    return replace(
        measure,
        sigma=measure.sigma * width,
        gain=measure.gain * width,
        read_noise=measure.read_noise * width,
        offset=measure.offset * width + low if measure.offset else 0.0,
        stripes=(measure.stripes[0] * width, measure.stripes[1] * width),
        levels=levels,
    )


def _hide_plateaus(image: Array) -> Array:
    """Return an image with NaN for its end values far beyond the scale: saturated, or no data."""
    values = (find.reduce(image, axis=None) for find in (np.fmin, np.fmax))  # without NaN
    ends = [each for each in values if abs(each) > FAR_BEYOND]
    return np.where(np.isin(image, ends), np.nan, image) if ends else image


def _measure(
    images: Sequence[Array], *, scaled: bool = False, dark: float | None = 0.0
) -> NoiseMeasure:
    readings = [_read(image, scaled=scaled, dark=dark) for image in images]
    if not readings:
        raise ImageError("`images` must hold at least one image to measure; got none.")
    levels = join_levels([each.levels for each in readings])
    # A single value beyond [0, 1] shows that nothing was clipped.
    clipped = all(each.clipped for each in readings)
    # One fit over the levels of all images: each alone may cover few brightnesses.
    if scaled:
        model = _fit_scaled(levels, min(each.dark for each in readings), cut=dark is not None)
    else:
        model = fit_levels(levels, clipped=clipped)
    kinds = [each.kind for each in readings]
    # The most frequent kind; of equally frequent ones, that of the first image.
    kind = max(dict.fromkeys(kinds), key=kinds.count)
    speckle = fit_speckle(levels, model) if kind == "white" else None
    dark_outliers, bright_outliers = np.mean([each.outliers for each in readings], axis=0)
    rows, columns = np.mean([each.stripes for each in readings], axis=0)
    brightness = float(np.mean([each.brightness for each in readings]))
    return NoiseMeasure(
        sigma=float(np.sqrt(model.sigma(brightness) ** 2 + rows**2 + columns**2)),
        gain=model.gain,
        read_noise=model.read_noise,
        kind="speckle" if speckle else kind,
        stripes=(float(rows), float(columns)),
        levels=levels,
        clipped=clipped,
        offset=model.offset,
        outliers=(float(dark_outliers), float(bright_outliers)),
        speckle=speckle or 0.0,
        agreement=_compare([each.spectra for each in readings], model),
    )


def _compare(spectra: Sequence[Spectra], model: PoissonGaussian) -> tuple[float, float]:
    """Return how well the fine structure of blocks agrees with a law, see `NoiseMeasure`."""
    mean = np.concatenate([each.mean for each in spectra])
    fine = np.concatenate([each.power[:, FINE].mean(axis=1) for each in spectra])
    share = fine / np.maximum(model.sigma(np.maximum(mean, model.offset)) ** 2, NOTHING)
    parts = np.array_split(share[np.argsort(mean, kind="stable")], BRIGHTNESSES)
    quantiles = [np.quantile(part, (0.05, 0.5)) for part in parts if len(part)]
    low, middle = np.median(quantiles, axis=0)
    return float(low), float(middle)


def _fit_scaled(levels: Levels, dark: float, *, cut: bool) -> PoissonGaussian:
    """Return the law of unclipped images, or of such whose noise is `cut` off in the dark."""
    whole = levels.brightness > 2 * levels.sigma
    if not cut or whole.sum() < FEWEST_WHOLE:
        return fit_line(levels, dark=dark)
    above = Levels(levels.brightness[whole], levels.variance[whole], levels.weight[whole])
    model, darkest = fit_line(above, dark=dark), float(levels.variance[0])
    if darkest > PHOTONS_ALONE * model.gain * levels.brightness[0]:
        model = replace(model, read_noise=float(np.sqrt(darkest)) / HALF_NORMAL)
    return model


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


def _read(image: Array, *, scaled: bool, dark: float | None) -> _Reading:
    shape = getattr(image, "shape", type(image).__name__)
    if getattr(image, "ndim", 0) != 3 or min(image.shape[:2]) < LEAST_SIDE:
        raise ImageError(
            f"`images` must be (H, W, C) and at least {LEAST_SIDE} x {LEAST_SIDE} pixels because "
            f"noise is read from flat blocks of {SIDE} x {SIDE}; got {shape}. Measure a larger "
            "image of the same kind."
        )
    known = np.isfinite(image)
    seen = image
    if not known.all():
        image = np.where(known, image, np.nan)
        # With zeros in their place, missing values would pass for dead pixels.
        seen = fill_hidden(image, known)
    distance = outlier_distance(seen)
    if distance is None:
        return _read_repaired(image, None, scaled=scaled, dark=dark)
    repaired = repair_outliers(image, distance)
    found = _read_repaired(image, repaired, scaled=scaled, dark=dark)
    if scaled:
        # Few photons, or read noise cut off at 0, look like outliers but follow the law.
        law = fit_line(found.levels, dark=found.dark)
        far = np.abs(image - repaired) > EXPLAINED * law.sigma(repaired + law.gain)
        if np.mean(far) < RARE:
            return _read_repaired(image, None, scaled=scaled, dark=dark)
    return found


def _find_dark(spectra: Spectra, *, scaled: bool) -> float:
    """Return the value without light: the mean of the darkest blocks."""
    last = max(round(DARKEST * len(spectra)), 1) - 1
    darkest = spectra.among(spectra.mean <= np.partition(spectra.mean, last)[last] + EQUAL)
    dark = float(darkest.mean.mean())
    if scaled:
        # Of many blocks as dark, these are so by their noise.
        dark += LOWEST * float(np.sqrt(np.median(darkest.power[:, FINE].mean(axis=1)))) / SIDE
    return dark


def _read_repaired(
    image: Array, repaired: Array | None, *, scaled: bool, dark: float | None
) -> _Reading:
    outliers = (0.0, 0.0)
    if repaired is not None:
        outliers = float((image < repaired).mean()), float((image > repaired).mean())
        image = repaired
    spectra = block_spectra(image)
    if not len(spectra):
        raise ImageError(
            f"`images` must hold blocks of {SIDE} x {SIDE} pixels that are finite and not masked; "
            "got an image with none. Measure another image of the same kind."
        )
    if dark is None:
        dark = _find_dark(spectra, scaled=scaled)
    if scaled:
        levels, even = photon_levels(spectra, dark)
    else:
        levels, even = noise_levels(spectra), spectra
    # Where nothing but photons makes noise, most blocks with any hold content too.
    silent = float(np.mean(np.diff(image, axis=1) == 0)) > SILENT
    white = float(np.median(levels.variance))
    uncorrelated = (scaled and silent) or white < NOTHING or BLUEST <= colour_of(even) <= REDDEST
    rows, columns = stripe_variance(image.swapaxes(0, 1)), stripe_variance(image)
    kind = "white" if repaired is None else "impulses"
    if max(rows, columns) > max(STRIPED**2 * (white + rows + columns), FAINTEST):
        kind = "stripes"
    else:
        # Weak stripes are as likely to be content.
        rows = columns = 0.0
        if repaired is None and not uncorrelated:
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
        dark=dark,
        outliers=outliers,
        spectra=spectra,
    )
