"""What a patch asks of the model: an input, and what its output is compared with.

A task is frozen and is called as ``task(patches, rng)`` on the float32 patches (H, W, C) of one
scene, one or two of them; it returns input and target.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from quietpixel.data.patterns import weave
from quietpixel.noise.camera import LUMA
from quietpixel.noise.parser import Array, NoiseLaw

Patches = tuple[Array, ...]


class Task(Protocol):
    """Makes an example of the patches of a scene."""

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        ...


@dataclass(frozen=True)
class AddNoise:
    """From one clean patch: the input is noisy by `law`, the target clean.

    Parameters
    ----------
    law
        The noise.
    clean_fraction
        How often, from 0 to 1, a plain patch (`draw_plain`) stands in for the one given; half of
        those get no noise, for what has none must stay as it is.
    blur_fraction
        How often, from 0 to 1, the patch is softened (`soften`) before it gets its noise.
    pattern_fraction
        How often, from 0 to 1, the patch gets a regular fine pattern (`weave`) before all that.
    gray_fraction
        For colour patches: how often, from 0 to 1, the patch is made gray with the same noise in
        all channels; half of these are then toned, noise included.
    """

    law: NoiseLaw
    clean_fraction: float = 0.0
    blur_fraction: float = 0.0
    pattern_fraction: float = 0.0
    gray_fraction: float = 0.0

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        clean = patches[0]
        if self.clean_fraction and rng.random() < self.clean_fraction:
            clean = draw_plain(clean.shape, rng)
            if rng.random() < 0.5:
                return clean, clean
        else:
            if self.pattern_fraction and rng.random() < self.pattern_fraction:
                clean = weave(clean, rng)
            if self.blur_fraction and rng.random() < self.blur_fraction:
                clean = soften(clean, rng)
        if self.gray_fraction and clean.shape[-1] == 3 and rng.random() < self.gray_fraction:
            return self._gray(clean, rng)
        return self.law(clean, rng), clean

    def _gray(self, clean: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        luminance = (clean @ LUMA)[..., np.newaxis]
        noisy = self.law(luminance, rng)
        tone = np.ones(3, np.float32)
        if rng.random() < 0.5:
            tone = rng.uniform(0.75, 1.0, 3).astype(np.float32)
        return noisy * tone, luminance * tone


def draw_plain(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return an image (H, W, C) of one colour, or of a gradient from one colour to another.

    Photographs have few plain areas in strong colours, and what a model has hardly seen it shifts;
    so some values are drawn as 0 or 1, which gives black, white and the strongest colours.
    """
    first, second = np.clip(rng.uniform(-0.2, 1.2, (2, shape[2])), 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        return np.broadcast_to(first, shape).copy()
    down, right = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape[:2])
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    slope = np.cos(angle) * down[:, None] + np.sin(angle) * right
    share = np.clip((slope + 1) / 2, 0, 1)[..., None]
    plain: Array = (first + share * (second - first)).astype(np.float32)
    return plain


def soften(clean: Array, rng: np.random.Generator) -> Array:
    """Return an image (H, W, C) as soft as a camera's own pixels, by a Gaussian of 0.3 to 1.3.

    Photographs collected for training were mostly made smaller, so they are sharper from pixel to
    pixel than what a camera gives; a model that knows only such takes more noise for detail.
    """
    from scipy import ndimage  # only training softens; denoising needs no scipy

    width = rng.uniform(0.3, 1.3)
    soft: Array = ndimage.gaussian_filter(clean, (width, width, 0), mode="mirror")
    return soft


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
