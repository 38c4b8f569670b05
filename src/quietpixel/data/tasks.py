"""What a patch asks of the model: an input, and what its output is compared with.

A task is frozen and is called as ``task(patches, rng)`` on the float32 patches (H, W, C) of one
scene, one or two of them; it returns input and target.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from quietpixel.imaging.noise import Array, NoiseLaw

Patches = tuple[Array, ...]


class Task(Protocol):
    """Makes an example of the patches of a scene."""

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        ...


@dataclass(frozen=True)
class AddNoise:
    """From one clean patch: the input is noisy by `law`, the target clean."""

    law: NoiseLaw

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        return self.law(patches[0], rng), patches[0]


@dataclass(frozen=True)
class TakePair:
    """From a noisy and a clean patch of one scene: input and target as they are."""

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        return patches[0], patches[1]


@dataclass(frozen=True)
class SwapPair:
    """From two noisy patches of one scene: either is the input, the other the target.

    References
    ----------
    J. Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML 2018.
    """

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        first = int(rng.integers(2))
        return patches[first], patches[1 - first]
