"""The noise laws, single and combined, frozen; as text such as ``gaussian:0.5,mean=0.5``."""

from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import ClassVar

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.errors import ArgumentError, naming_missing


@dataclass(frozen=True)
class NoiseLaw:
    """A way in which a clean image becomes noisy; called as ``law(clean, rng)``."""

    word: ClassVar[str] = ""
    main: ClassVar[str] = ""
    varies: ClassVar[str] = ""
    """What differs from image to image, for a law without one mean and variance."""

    def __call__(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` (float32, [0, 1], any shape) with this noise, the same shape."""
        # Clipped here and not in `corrupt`, so that a sequence is clipped once, at its end.
        with naming_missing("This noise law needs", "train"):
            noisy = self.corrupt(clean, rng).astype(np.float32, copy=False)
        return np.clip(noisy, 0.0, 1.0, out=noisy) if self._clips else noisy

    @property
    def _clips(self) -> bool:
        return bool(getattr(self, "clip", True))

    @property
    def of_camera(self) -> bool:
        """Whether it, or one of its laws, is ``photo`` with ``camera=yes``."""
        laws: tuple[NoiseLaw, ...] = getattr(self, "laws", ())
        return bool(getattr(self, "camera", False)) or any(law.of_camera for law in laws)

    def choose(self, rng: np.random.Generator) -> "NoiseLaw":
        """Return the law that an image gets: of a mixture one of its laws, else this one."""
        return self

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped."""
        raise NotImplementedError

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input.

        Raises
        ------
        ArgumentError
            If the law has no single mean and variance.
        """
        raise ArgumentError(
            f"The noise law '{self}' has no single mean and variance because {self.varies} is "
            f"drawn for each image; give one such as '{self._simpler}'."
        )

    @property
    def _simpler(self) -> str:
        """A law with one mean and variance to propose instead."""
        return "poisson:100+gaussian:0.01"

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        options = "".join(
            f",{f.name}={print_value(getattr(self, f.name))}"
            for f in fields(self)
            if f.name != self.main and getattr(self, f.name) != f.default
        )
        return f"{self.word}:{print_value(getattr(self, self.main))}{options}"


@dataclass(frozen=True)
class DrawnNoise(NoiseLaw):
    """A law that draws another kind of noise for each whole image; nothing is clipped.

    A subclass says why it needs an image (`reason`) and what is drawn (`varies`), and implements
    `draw` for (H, W, C).
    """

    reason: ClassVar[str] = ""

    _clips: ClassVar[bool] = False

    def draw(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` (H, W, C), 1 or 3 channels, with noise, not clipped."""
        raise NotImplementedError

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean`, (H, W) or (H, W, C), with noise, not clipped.

        Raises
        ------
        ArgumentError
            If it has another shape.
        """
        if clean.ndim == 2:
            return self.draw(clean[..., np.newaxis], rng)[..., 0]
        if clean.ndim != 3 or clean.shape[-1] not in (1, 3):
            raise ArgumentError(
                f"{self.word.capitalize()} noise needs an image of shape (H, W), (H, W, 1) or "
                f"(H, W, 3) because it {self.reason}; got {clean.shape}."
            )
        return self.draw(clean, rng)


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
        require(self.sigma >= 0, self, "not be negative", "a standard deviation has no sign")

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped."""
        noise = rng.standard_normal(clean.shape, np.float32)
        return clean + np.float32(self.sigma) * noise + np.float32(self.mean)

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        return mean + self.mean, variance + self.sigma**2


@dataclass(frozen=True)
class Poisson(NoiseLaw):
    """Photon noise: a pixel of value 1 stands for `peak` photons on average.

    Parameters
    ----------
    peak
        Photons that a difference of 1 stands for, more than 0.
    clip
        Whether the result is clipped to [0, 1].
    black
        The value without light, such as the offset of a camera.

    Examples
    --------
    >>> str(Poisson(400, black=0.1))
    'poisson:400,black=0.1'
    """

    peak: float
    clip: bool = True
    black: float = 0.0
    word: ClassVar[str] = "poisson"
    main: ClassVar[str] = "peak"

    def __post_init__(self) -> None:
        require(self.peak > 0, self, "be more than 0", "it is the number of photons at value 1")

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped; negative light counts as none."""
        photons = rng.poisson(np.maximum(clean - np.float32(self.black), 0.0) * self.peak)
        return (photons / self.peak + self.black).astype(np.float32)

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        black = np.float32(self.black)
        lit: FloatArray = np.maximum(mean, black)  # as in `corrupt`
        return lit, variance + (lit - black) / np.float32(self.peak)


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
        require(0 <= self.amount <= 1, self, "lie in [0, 1]", "it is a share of the pixels")

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped."""
        # One draw for both, so that no pixel becomes black and white.
        draw = rng.random(clean.shape, np.float32)
        noisy = np.where(draw < self.amount / 2, np.float32(0), clean)
        return np.where(draw >= 1 - self.amount / 2, np.float32(1), noisy)

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        # The law of total variance over pixels that are kept, black and white.
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
        require(self.sigma >= 0, self, "not be negative", "a standard deviation has no sign")

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped."""
        return clean * (1 + np.float32(self.sigma) * rng.standard_normal(clean.shape, np.float32))

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        # The variance of a product of independent factors, one of mean 1.
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
        require(self.width >= 0, self, "not be negative", "it is the largest deviation")

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with this noise, not clipped."""
        return clean + np.float32(self.width) * (2 * rng.random(clean.shape, np.float32) - 1)

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        # A uniform law on [-w, w] has the variance w**2 / 3.
        return mean, variance + self.width**2 / 3


def print_value(value: float | bool) -> str:
    """Return a number or a switch as the text of a law writes it."""
    if isinstance(value, bool):  # a bool is a number too
        return "yes" if value else "no"
    # The short form only where it is read back as the same number.
    return format(value, "g") if float(format(value, "g")) == value else repr(value)


def require(holds: bool, law: NoiseLaw, rule: str, reason: str, remedy: str = "") -> None:
    """Raise ArgumentError unless the main number of a law obeys its rule."""
    if not holds:
        raise ArgumentError(
            f"`{law.main}` of the noise law '{law.word}' must {rule} because {reason}; "
            f"got {getattr(law, law.main):g}.{remedy and f' Try {remedy}.'}"
        )


@dataclass(frozen=True)
class Ranged(NoiseLaw):
    """A law whose main number is drawn evenly from a range for each image.

    Parameters
    ----------
    lowest, highest
        The same law, with the least and the greatest main number.

    Examples
    --------
    >>> str(Ranged(Gaussian(0.0), Gaussian(0.2)))
    'gaussian:0..0.2'
    """

    lowest: NoiseLaw
    highest: NoiseLaw
    varies: ClassVar[str] = "its strength"

    def __post_init__(self) -> None:
        if self._ends[0] > self._ends[1]:
            raise ArgumentError(
                f"The range of the noise law '{self.lowest.word}' must begin with its least "
                f"number; got '{self}'. Exchange the two."
            )

    @property
    def _ends(self) -> tuple[float, float]:
        main = self.lowest.main
        return getattr(self.lowest, main), getattr(self.highest, main)

    @property
    def _clips(self) -> bool:
        return self.lowest._clips

    @property
    def of_camera(self) -> bool:
        """Whether it is ``photo`` with ``camera=yes``."""
        return self.lowest.of_camera

    @property
    def _simpler(self) -> str:
        return str(self.highest)

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with noise of a strength drawn from `rng`, not clipped."""
        number = float(rng.uniform(*self._ends))
        law = replace(self.lowest, **{self.lowest.main: number})
        return law.corrupt(clean, rng)

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        word, _, rest = str(self.highest).partition(":")
        return f"{word}:{print_value(self._ends[0])}..{rest}"


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

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with all the noise, not clipped."""
        for law in self.laws:
            clean = law.corrupt(clean, rng)
        return clean

    def propagate(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the unclipped output, given those of the input."""
        for law in self.laws:
            mean, variance = law.propagate(mean, variance)
        return mean, variance

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        return "+".join(str(law) for law in self.laws)


@dataclass(frozen=True)
class Mixture(NoiseLaw):
    """One of several laws, drawn evenly for each image, or as often as it is named.


    Examples
    --------
    >>> str(Mixture((Gaussian(0.1, clip=False), Poisson(30))))
    'gaussian:0.1,clip=no|poisson:30'
    """

    laws: tuple[NoiseLaw, ...]
    varies: ClassVar[str] = "one of its laws"

    _clips: ClassVar[bool] = False  # the law that is drawn has clipped, if it does

    @property
    def _simpler(self) -> str:
        return str(self.laws[0])

    def choose(self, rng: np.random.Generator) -> NoiseLaw:
        """Return the law of one image."""
        return self.laws[int(rng.integers(len(self.laws)))]

    def corrupt(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` with the noise of one of the laws, clipped if that law clips."""
        return self.choose(rng)(clean, rng)

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        counted = [(str(law), len(list(same))) for law, same in groupby(self.laws)]
        return "|".join(f"{count}*{law}" if count > 1 else law for law, count in counted)
