"""Noise laws: frozen, seeded, and written as text such as ``gaussian:0.5,mean=0.5``.

A law is called on a clean image and gives the noisy one. Clipping to [0, 1] is part of the law
(``clip``), done once, after the last step of a sequence.
"""

import math
import re
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quietpixel.errors import ArgumentError, unknown_name

Array = npt.NDArray[np.float32]

FROZEN_EPOCH = 0
"""The epoch that noise belongs to which is drawn once."""


def image_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random generator of one image in one epoch, so that it can be made again alone.

    Examples
    --------
    >>> bool(image_rng(0, 3, 7).random() == image_rng(0, 3, 7).random())
    True
    """
    return np.random.default_rng((seed, epoch, index))


def add_noise(clean: Array, law: "NoiseLaw", *, seed: int) -> Array:
    """Return images (N, H, W, C) with noise drawn once, each image's own by its place.

    Parameters
    ----------
    clean
        float32 in [0, 1], shape (N, H, W, C).
    law
        The noise.
    seed
        Decides the noise; the first images of a set get the same noise as in the whole set.
    """
    rngs = (image_rng(seed, FROZEN_EPOCH, index) for index in range(len(clean)))
    noisy = [law(image, rng) for image, rng in zip(clean, rngs, strict=True)]
    return np.stack(noisy) if noisy else clean.copy()


@dataclass(frozen=True)
class NoiseLaw:
    """A way in which a clean image becomes noisy; called as ``law(clean, rng)``."""

    word: ClassVar[str] = ""
    main: ClassVar[str] = ""

    def __call__(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` (float32, [0, 1], any shape) with this noise, the same shape."""
        noisy = self.corrupt(clean, rng).astype(np.float32, copy=False)
        return np.clip(noisy, 0.0, 1.0, out=noisy) if self._clips else noisy

    @property
    def _clips(self) -> bool:
        return bool(getattr(self, "clip", True))

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped."""
        raise NotImplementedError

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        options = "".join(
            f",{f.name}={_print_value(getattr(self, f.name))}"
            for f in fields(self)
            if f.name != self.main and getattr(self, f.name) != f.default
        )
        return f"{self.word}:{_print_value(getattr(self, self.main))}{options}"


@dataclass(frozen=True)
class Gaussian(NoiseLaw):
    """Additive noise from a normal distribution.

    Parameters
    ----------
    sigma
        Standard deviation on the [0, 1] scale, not negative.
    mean
        Mean of the noise.
    clip
        Whether the result is clipped to [0, 1].

    Examples
    --------
    >>> str(Gaussian(sigma=0.5, mean=0.5))
    'gaussian:0.5,mean=0.5'
    """

    sigma: float
    mean: float = 0.0
    clip: bool = True
    word: ClassVar[str] = "gaussian"
    main: ClassVar[str] = "sigma"

    def __post_init__(self) -> None:
        _require(self.sigma >= 0, self, "not be negative", "a standard deviation has no sign")

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped."""
        noise = rng.standard_normal(clean.shape, np.float32)
        return clean + np.float32(self.sigma) * noise + np.float32(self.mean)

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        return mean + self.mean, variance + self.sigma**2


@dataclass(frozen=True)
class Poisson(NoiseLaw):
    """Photon noise: a pixel of value 1 stands for `peak` photons on average.

    Parameters
    ----------
    peak
        Photons at value 1, more than 0.
    clip
        Whether the result is clipped to [0, 1].
    """

    peak: float
    clip: bool = True
    word: ClassVar[str] = "poisson"
    main: ClassVar[str] = "peak"

    def __post_init__(self) -> None:
        _require(self.peak > 0, self, "be more than 0", "it is the number of photons at value 1")

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped; negative light counts as none."""
        photons = rng.poisson(np.maximum(clean, 0.0) * self.peak)
        return (photons / self.peak).astype(np.float32)

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        return mean, variance + mean / np.float32(self.peak)


@dataclass(frozen=True)
class SaltPepper(NoiseLaw):
    """A share of the pixels becomes black or white, half each.

    Parameters
    ----------
    amount
        Share of pixels hit, in [0, 1].
    """

    amount: float
    clip: bool = True
    word: ClassVar[str] = "salt-pepper"
    main: ClassVar[str] = "amount"

    def __post_init__(self) -> None:
        _require(0 <= self.amount <= 1, self, "lie in [0, 1]", "it is a share of the pixels")

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped."""
        draw = rng.random(clean.shape, np.float32)
        noisy = np.where(draw < self.amount / 2, np.float32(0), clean)
        return np.where(draw >= 1 - self.amount / 2, np.float32(1), noisy)

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        kept = 1 - self.amount
        new_mean = kept * mean + self.amount / 2
        return new_mean, kept * (variance + mean**2) + self.amount / 2 - new_mean**2


@dataclass(frozen=True)
class Speckle(NoiseLaw):
    """Multiplicative noise: each pixel times a normal number of mean 1.

    Parameters
    ----------
    sigma
        Standard deviation of the factor, not negative.
    """

    sigma: float
    clip: bool = True
    word: ClassVar[str] = "speckle"
    main: ClassVar[str] = "sigma"

    def __post_init__(self) -> None:
        _require(self.sigma >= 0, self, "not be negative", "a standard deviation has no sign")

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped."""
        return clean * (1 + np.float32(self.sigma) * rng.standard_normal(clean.shape, np.float32))

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        return mean, variance * (1 + self.sigma**2) + mean**2 * self.sigma**2


@dataclass(frozen=True)
class Uniform(NoiseLaw):
    """Additive noise, evenly spread between -`width` and `width`.

    Parameters
    ----------
    width
        Largest deviation on the [0, 1] scale, not negative.
    """

    width: float
    clip: bool = True
    word: ClassVar[str] = "uniform"
    main: ClassVar[str] = "width"

    def __post_init__(self) -> None:
        _require(self.width >= 0, self, "not be negative", "it is the largest deviation")

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with this noise, not clipped."""
        return clean + np.float32(self.width) * (2 * rng.random(clean.shape, np.float32) - 1)

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        return mean, variance + self.width**2 / 3


@dataclass(frozen=True)
class Sequence(NoiseLaw):
    """Several laws one after the other, clipped once at the end if the last law clips.

    Examples
    --------
    >>> str(Sequence((Poisson(30), Gaussian(0.02))))
    'poisson:30+gaussian:0.02'
    """

    laws: tuple[NoiseLaw, ...]

    @property
    def _clips(self) -> bool:
        return self.laws[-1]._clips

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with all the noise, not clipped."""
        for law in self.laws:
            clean = law.corrupt(clean, rng)
        return clean

    def propagate(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Return mean and variance of the unclipped output, given those of the input."""
        for law in self.laws:
            mean, variance = law.propagate(mean, variance)
        return mean, variance

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        return "+".join(str(law) for law in self.laws)


NOISE_LAWS: dict[str, type[NoiseLaw]] = {
    law.word: law for law in (Gaussian, Poisson, SaltPepper, Speckle, Uniform)
}
"""Every noise law by the word that names it."""


def parse_noise(text: str) -> NoiseLaw:
    """Return the noise law that `text` describes.

    Parameters
    ----------
    text
        ``word:number`` with options after commas, steps of a sequence joined by ``+``; numbers may
        be fractions such as ``25/255``.

    Raises
    ------
    UnknownNameError
        If a word is not a noise law.
    ArgumentError
        If a number or an option is not one, or breaks its law's rule.

    Examples
    --------
    >>> parse_noise("gaussian:0.5,mean=0.5")
    Gaussian(sigma=0.5, mean=0.5, clip=True)
    >>> parse_noise("gaussian:51/255,clip=no").sigma
    0.2
    """
    laws = tuple(_parse_law(part.strip()) for part in re.split(r"\+(?=\s*[a-zA-Z])", text))
    if len(laws) == 1:
        return laws[0]
    return Sequence((*(replace(law, clip=True) for law in laws[:-1]), laws[-1]))  # type: ignore[call-arg]


def parse_number(text: str) -> float:
    """Return the number that `text` writes as a decimal or as a fraction of two.

    Raises
    ------
    ArgumentError
        If it is not a finite number.

    Examples
    --------
    >>> parse_number("25/255") == 25 / 255
    True
    """
    try:
        above, _, below = text.partition("/")
        number = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(
            f"A number is wanted, such as 0.1 or 25/255, but '{text}' is none; correct it."
        )
    return number


def _parse_law(text: str) -> NoiseLaw:
    word, colon, rest = text.partition(":")
    law = NOISE_LAWS.get(word)
    if law is None:
        raise unknown_name("noise law", word, NOISE_LAWS)
    number, *options = rest.split(",")
    if not colon or not number:
        raise ArgumentError(
            f"The noise law '{word}' needs a number for its {law.main}, for example "
            f"'{word}:0.1', but '{text}' gives none."
        )
    return law(**{law.main: parse_number(number)}, **dict(_parse_option(law, o) for o in options))


def _parse_option(law: type[NoiseLaw], text: str) -> tuple[str, float | bool]:
    name, _, value = text.strip().partition("=")
    known = [f.name for f in fields(law) if f.name != law.main]
    if name not in known:
        raise unknown_name(f"option of the noise law '{law.word}'", name, known)
    return name, _parse_switch(value) if name == "clip" else parse_number(value)


def _parse_switch(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ArgumentError(f"`clip` must be yes or no; got '{text}'.")
    return text == "yes"


def _print_value(value: float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format(value, "g") if float(format(value, "g")) == value else repr(value)


def _require(holds: bool, law: NoiseLaw, rule: str, reason: str) -> None:
    if not holds:
        raise ArgumentError(
            f"`{law.main}` of the noise law '{law.word}' must {rule} because {reason}; "
            f"got {getattr(law, law.main):g}."
        )
