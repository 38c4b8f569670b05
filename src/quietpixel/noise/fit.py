"""The Poisson-Gaussian law that explains the noise at all levels of brightness.

Where brightness goes from the dark to many photons, levels with equally many blocks would nearly
all be dark in an image of few bright objects. Those of `photon_levels` are even in the square root
of the brightness, and their blocks are compared with the law itself: in flat ones, the low orders
of the cosine transform have no more power than the noise.
"""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from quietpixel.noise.flat_blocks import (
    CONTENT,
    EQUAL,
    FEWEST,
    MOST_LEVELS,
    ORDER,
    SIDE,
    FloatArray,
    Levels,
    Spectra,
    low_orders,
)
from quietpixel.noise.laws import Gaussian, NoiseLaw, Poisson, Sequence

NOTHING = (0.05 / 255) ** 2
"""A variance below this is none: far less than the steps of 8 bits."""
TOO_MUCH, TOO_LITTLE = 0.25, 0.75
"""Where the logarithm of a variance is off by more, it is off by content, and counts no further;
content can only add to the noise, so too much is discounted sooner."""
SPECKLED, FEWEST_LEVELS, CONTRAST = 1.5, 4, 2.0
"""Speckle must fit so many times better, over so many levels, the brightest so many times the
darkest."""
NO_VARIANCE = 1e-12
MOST_ENDS, LIT, REFINED = 40, 0.02, 2
"""Levels that candidate lines go through at most, the least light of one that a line without read
noise goes through, and steps of least squares."""
SIMPLER = 1.1, 0.01
"""A law with one part is taken while its misfit is under 1.1 times the best one plus 0.01."""
FINE = 10
"""From this order on, thin lines of 2000 photons add 0.2 to the variance; from 8 on, 0.7."""
FLAT = 1.6
"""Most power in the low orders of a flat block, as a multiple of the variance; of blocks of white
noise, 7 % have more."""
LEAST_WEIGHT = 0.25
"""Of a level without flat blocks, whose variance holds content too."""
DIM, SPREAD = 0.1, 7.0
"""Share of the blocks that tell the noise in the dark, and by how many standard deviations of a
mean the blocks of the first level differ: the value without light is 2.4 below their middle."""
PASSES = 3


_DEVIATES = np.array([NormalDist().inv_cdf((i + 0.5) / 48) for i in range(48)])
_DEVIATES = _DEVIATES / _DEVIATES.std()
"""Values that stand for a standard normal distribution; the tails they lack would lower its 1."""
_CLEAN = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class PoissonGaussian:
    """Noise whose variance is ``gain * (clean - offset) + read_noise**2``, on the [0, 1] scale.

    Parameters
    ----------
    gain
        1 / the number of photons that a pixel of value 1 stands for; 0 without photon noise.
    read_noise
        Standard deviation of the noise in the dark.
    offset
        The value without light.

    References
    ----------
    A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise modeling
    and fitting for single-image raw-data", IEEE TIP 17, 2008.

    Examples
    --------
    >>> PoissonGaussian(gain=0.01, read_noise=0.02).sigma(0.96).round(3).item()
    0.1
    """

    gain: float
    read_noise: float
    offset: float = 0.0

    def sigma(self, clean: float | FloatArray) -> FloatArray:
        """Return the standard deviation of the noise, before clipping, at a clean value."""
        light = np.maximum(clean - np.float64(self.offset), 0)
        variance: FloatArray = self.gain * light + self.read_noise**2
        return np.asarray(np.sqrt(variance))

    def clipped(self, brightness: FloatArray) -> FloatArray:
        """Return the standard deviation that is seen where values are clipped to [0, 1].

        Parameters
        ----------
        brightness
            Means as they are seen, which clipping moves too.

        References
        ----------
        A. Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising", Signal
        Processing 89, 2009.
        """
        spread = self.sigma(_CLEAN)[:, np.newaxis] * _DEVIATES
        seen = np.clip(_CLEAN[:, np.newaxis] + spread, 0, 1)
        return np.asarray(np.interp(brightness, seen.mean(axis=1), seen.std(axis=1)))

    def to_law(self, *, clip: bool = True) -> NoiseLaw:
        """Return the noise law with numbers of three digits, such as ``poisson:40+gaussian:0.01``.

        Parameters
        ----------
        clip
            Whether the law clips to [0, 1].
        """
        read = float(f"{self.read_noise:.3g}")
        if self.gain <= 0:
            return Gaussian(read, clip=clip)
        peak, black = float(f"{1 / self.gain:.3g}"), float(f"{self.offset:.3g}")
        # A part that rounds to nothing is omitted, so that the law names only noise that there is.
        if read <= 0:
            return Poisson(peak, black=black, clip=clip)
        return Sequence((Poisson(peak, black=black), Gaussian(read, clip=clip)))


def fit_levels(levels: Levels, *, clipped: bool) -> PoissonGaussian:
    """Return the law that fits the levels best, in a way that a minority of wrong ones cannot move.

    Parameters
    ----------
    levels
        Brightness and variance as observed.
    clipped
        Whether the values were clipped to [0, 1], which makes the noise near both ends look small.
    """
    # Levels without noise are clipped or synthetic, and have no logarithm.
    known = levels.variance > NOTHING
    if not known.any():
        return PoissonGaussian(0.0, float(np.sqrt(np.median(levels.variance))))
    fit = _Fit(levels.brightness[known], levels.variance[known], clipped, 0.0)
    whole = fit.search(0.0, 1.0)
    # Read noise alone is tried first: it needs no brightness to be right.
    for share in (0.0, 1.0):
        simple = fit.search(share, share)
        if fit.misfit(simple) <= SIMPLER[0] * fit.misfit(whole) + SIMPLER[1]:
            return simple
    return whole


def fit_line(levels: Levels, *, dark: float) -> PoissonGaussian:
    """Return the law whose line through variance by brightness fits unclipped levels best.

    Candidates are the lines through two levels, and those of one part through one level; the best
    is refined by least squares over the levels that it explains.

    Parameters
    ----------
    levels
        Brightness and variance as observed; content may have added to a minority.
    dark
        The value without light. The variance alone does not tell it from read noise.
    """
    light, variance = levels.brightness - dark, np.maximum(levels.variance, NO_VARIANCE)
    chosen = np.unique(np.linspace(0, len(light) - 1, MOST_ENDS).astype(int))
    first, last = (chosen[each] for each in np.triu_indices(len(chosen), 1))
    rise = light[last] - light[first]
    slopes = (variance[last] - variance[first]) / np.where(rise > 0, rise, np.inf)
    lit = chosen[light[chosen] > LIT]
    slopes = np.concatenate([slopes, np.zeros(len(chosen)), variance[lit] / light[lit]])
    ends = np.concatenate([first, chosen, lit])
    starts = variance[ends] - slopes * light[ends]
    possible = (slopes >= 0) & (starts >= -1e-9 * variance.max())
    lines = np.stack([slopes, np.maximum(starts, 0)])[:, possible]
    off = np.log(variance / np.maximum(np.outer(lines[0], light) + lines[1][:, None], NO_VARIANCE))
    # Twice the limits, because a wrong slope is off by more than content.
    misfit = (2 * _limited(off / 2) * levels.weight).sum(axis=1)
    slope, start = lines[:, np.argmin(misfit)]
    for _ in range(REFINED):
        expected = np.maximum(slope * light + start, NO_VARIANCE)
        near = np.abs(np.log(variance / expected)) < TOO_MUCH
        weight = np.sqrt(np.broadcast_to(levels.weight, light.shape)) / expected * near
        sides = np.stack([light, np.ones(len(light))], axis=1) * weight[:, None]
        found = np.linalg.lstsq(sides, variance * weight, rcond=None)[0]
        if near.sum() < 3 or found.min() < 0:
            break
        slope, start = found
    return PoissonGaussian(float(slope), float(np.sqrt(start)), dark)


def photon_levels(spectra: Spectra, dark: float) -> tuple[Levels, Spectra]:
    """Return the noise at up to 16 levels of brightness, and spectra relative to its law.

    The spectra are those of flat blocks with a photon in a pixel or more, because spectra of single
    photons are not even; those of all with a photon where hardly any block is flat, as with
    correlated noise.

    Parameters
    ----------
    spectra
        Of the blocks of an image.
    dark
        The value without light.
    """
    mean = spectra.mean.astype(np.float64)
    low = spectra.power[:, low_orders(CONTENT)].mean(axis=1)
    fine = spectra.power[:, ORDER >= FINE].mean(axis=1)
    # The means of dark blocks differ by their noise, which says nothing about the variance.
    dimmest = np.median(fine[mean <= np.quantile(mean, DIM) + EQUAL])
    root = np.sqrt(np.maximum(mean - dark - SPREAD * np.sqrt(dimmest) / SIDE, 0))
    place = (MOST_LEVELS * root / max(root.max(), 1e-12)).astype(int).clip(max=MOST_LEVELS - 1)
    parts = [np.flatnonzero(place == level) for level in range(MOST_LEVELS)]
    parts = [part for part in parts if len(part) >= FEWEST] or [np.arange(len(mean))]
    # No block passes at first, so that bright levels take part from the start, content or not.
    expected: FloatArray = np.zeros(len(mean))
    for _ in range(1 + PASSES):
        flat = [part[low[part] <= FLAT * expected[part]] for part in parts]
        passed = [min(max(len(each) / FEWEST, LEAST_WEIGHT), 1.0) for each in flat]
        flat = [
            each if len(each) >= FEWEST else part[np.argsort(low[part], kind="stable")[:FEWEST]]
            for each, part in zip(flat, parts, strict=True)
        ]
        # Limited, because some of those that pass for flat hold fine texture.
        variance = [np.minimum(fine[each], 3 * np.median(fine[each])).mean() for each in flat]
        brightness = [mean[each].mean() for each in flat]
        levels = Levels(np.array(brightness), np.array(variance, np.float64), np.array(passed))
        law = fit_line(levels, dark=dark)
        expected = np.maximum(law.sigma(mean) ** 2, NO_VARIANCE)
    even = Spectra(spectra.mean, spectra.power / expected[:, np.newaxis])
    lit = expected >= law.gain**2
    flat = lit & (low <= FLAT * expected)
    if flat.sum() >= FEWEST:
        return levels, even.among(flat)
    return levels, even.among(lit) if lit.any() else even


@dataclass(frozen=True)
class _Fit:
    """Tries laws by two numbers: the sigma at the middle brightness, and the photons' share."""

    brightness: FloatArray
    variance: FloatArray
    clipped: bool
    offset: float

    @cached_property
    def middle(self) -> float:
        return float(np.median(self.brightness))

    def make(self, sigma: float, share: float) -> PoissonGaussian:
        # Photon noise grows with brightness, so its share needs one: the middle one.
        gain = share * sigma**2 / max(self.middle - self.offset, 1e-3)
        return PoissonGaussian(gain, float(np.sqrt(1 - share)) * sigma, self.offset)

    def misfit(self, law: PoissonGaussian) -> float:
        model = law.clipped if self.clipped else law.sigma
        expected = np.maximum(model(self.brightness) ** 2, NOTHING)
        # In proportion, so that weak noise in the dark counts as much as strong noise.
        return _discounted(np.log(self.variance / expected))

    def search(self, least: float, most: float) -> PoissonGaussian:
        """Return the best law whose share lies between two; a grid, made finer around its best."""
        sigma, factor = float(np.sqrt(np.median(self.variance))), 2.0
        shares = np.linspace(least, most, 17) if most > least else np.array([least])
        law = self.make(sigma, least)
        # Each pass is four times as fine; the last has steps of 0.14 % of sigma.
        for _ in range(4):
            sigmas = sigma * factor ** np.linspace(-1, 1, 17)
            tried = [(self.misfit(self.make(s, t)), s, t) for s in sigmas for t in shares]
            _, sigma, share = min(tried)
            law = self.make(sigma, share)
            factor, width = factor**0.25, (shares[-1] - shares[0]) / 6
            if most > least:
                shares = np.linspace(max(share - width, least), min(share + width, most), 9)
        return law


def _discounted(off: FloatArray) -> float:
    """Return the mean of errors of the logarithm, each limited as its sign allows."""
    return float(_limited(off).mean())


def _limited(off: FloatArray) -> FloatArray:
    return np.where(off > 0, np.minimum(off, TOO_MUCH), np.minimum(-off, TOO_LITTLE))


def fit_speckle(levels: Levels, law: PoissonGaussian) -> float | None:
    """Return the share of the light that speckle noise varies by; None unless it fits better.

    Parameters
    ----------
    levels
        Brightness and variance as observed.
    law
        The best law of `fit_levels`.
    """
    known = levels.variance > NOTHING
    light = levels.brightness - law.offset
    # In the dark, read noise would pass for speckle without limit.
    known &= light > 0.02
    if known.sum() < FEWEST_LEVELS or light[known].max() < CONTRAST * light[known].min():
        return None
    fit = _Fit(levels.brightness[known], levels.variance[known], False, law.offset)
    # Speckle is in proportion to the light.
    off = np.log(fit.variance / light[known] ** 2)
    if SPECKLED * _discounted(off - np.median(off)) + 0.01 > fit.misfit(law):
        return None
    return float(np.sqrt(np.median(levels.variance[known] / light[known] ** 2)))
