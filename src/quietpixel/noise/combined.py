"""Noise laws made of others: a range, a sequence, a mixture."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from quietpixel.errors import ArgumentError
from quietpixel.noise.laws import Array, NoiseLaw, print_value


@dataclass(frozen=True)
class Ranged(NoiseLaw):
    """A law whose main number is drawn evenly from a range for each image.

    Parameters
    ----------
    lowest, highest
        The same law, with the least and the greatest main number.

    Examples
    --------
    >>> from quietpixel.noise.laws import Gaussian
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
    def _simpler(self) -> str:
        return str(self.highest)

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
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
    >>> from quietpixel.noise.laws import Gaussian, Poisson
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


@dataclass(frozen=True)
class Mixture(NoiseLaw):
    """One of several laws, drawn evenly for each image.

    Examples
    --------
    >>> from quietpixel.noise.laws import Gaussian, Poisson
    >>> str(Mixture((Gaussian(0.1, clip=False), Poisson(30))))
    'gaussian:0.1,clip=no|poisson:30'
    """

    laws: tuple[NoiseLaw, ...]
    varies: ClassVar[str] = "one of its laws"

    @property
    def _clips(self) -> bool:
        return False  # the law that is drawn has clipped, if it does

    @property
    def _simpler(self) -> str:
        return str(self.laws[0])

    def corrupt(self, clean: Array, rng: np.random.Generator) -> Array:
        """Return `clean` with the noise of one of the laws, clipped if that law clips."""
        return self.laws[int(rng.integers(len(self.laws)))](clean, rng)

    def __str__(self) -> str:
        """Return the law as text that `parse_noise` reads back."""
        return "|".join(str(law) for law in self.laws)
