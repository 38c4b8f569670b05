"""Training tasks: from the patches of a scene to an input and a target.

A task is frozen and is called as ``task(patches, rng)`` with the float32 patches (H, W, C) of one
scene, one or two of them; it returns input and target.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.noise.camera import LUMA
from quietpixel.noise.laws import NoiseLaw

Patches = tuple[FloatArray, ...]
Task = Callable[[Patches, np.random.Generator], tuple[FloatArray, FloatArray]]
"""Makes an example from the patches of a scene: input and target."""

PERIODS = 2.3, 12.0
"""Shortest and longest period of a pattern, in pixels."""
AMPLITUDES = 0.02, 0.3
"""Smallest and largest amplitude of a pattern, on the scale [0, 1]."""
LEAST_BLUR, BLUR, CAMERA_BLUR = 0.3, 1.3, 3.0
"""Smallest standard deviation of a blur, and the largest for any patch and for one with
``camera=yes``, in pixels."""


@dataclass(frozen=True)
class AddNoise:
    """From one clean patch: the input is noisy, the target clean.

    Parameters
    ----------
    law
        The noise. A patch that gets ``photo`` with ``camera=yes`` is always blurred, up to
        `CAMERA_BLUR`: a model that meets such noise on sharp patches too keeps some as detail.
    clean_fraction
        Probability that the patch is replaced by a plain one (`draw_plain`); half of these get no
        noise, so that the model leaves clean areas unchanged.
    blur_fraction
        Probability that the patch is blurred (`blur`) before it gets noise.
    pattern_fraction
        Probability that the patch gets a regular fine pattern (`draw_pattern`) before that.
    gray_fraction
        Probability that a colour patch is made gray, with the same noise in all channels; half of
        these are then toned, noise included.
    contrast_fraction
        Probability that the contrast of the patch changes (`change_contrast`) before that.
    """

    law: NoiseLaw
    clean_fraction: float = 0.0
    blur_fraction: float = 0.0
    pattern_fraction: float = 0.0
    gray_fraction: float = 0.0
    contrast_fraction: float = 0.0

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""

        # A fraction of 0 draws no number, so that runs of older recipes stay reproducible.
        def happens(fraction: float) -> bool:
            return bool(fraction) and rng.random() < fraction

        clean, law = patches[0], self.law
        if law.of_camera:  # others draw at the end, as they did, so that runs stay reproducible
            law = law.choose(rng)
        if happens(self.clean_fraction):
            clean = draw_plain(clean.shape, rng)
            if happens(0.5):
                return clean, clean
        else:
            if happens(self.pattern_fraction):
                clean = draw_pattern(clean, rng)
            if law.of_camera or happens(self.blur_fraction):
                clean = blur(clean, rng, CAMERA_BLUR if law.of_camera else BLUR)
            if happens(self.contrast_fraction):
                clean = change_contrast(clean, rng)
        if clean.shape[-1] != 3 or not happens(self.gray_fraction):
            return law(clean, rng), clean
        # One channel gets the noise, which all three then share.
        gray = (clean @ LUMA)[..., np.newaxis]
        noisy = law(gray, rng)
        tone = np.ones(3, np.float32)
        if happens(0.5):
            tone = rng.uniform(0.75, 1.0, 3).astype(np.float32)
        return noisy * tone, gray * tone


def draw_plain(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Return an image (H, W, C) of one colour, or of a gradient between two colours.

    Photographs have few plain areas in strong colours, and a model shifts colours that it has
    rarely seen. Some values are therefore 0 or 1: black, white and the strongest colours.

    Parameters
    ----------
    shape
        (H, W, C).
    rng
        Random generator.
    """
    first, second = np.clip(rng.uniform(-0.2, 1.2, (2, shape[2])), 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        return np.broadcast_to(first, shape).copy()
    down, right = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape[:2])
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    slope = np.cos(angle) * down[:, None] + np.sin(angle) * right
    share = np.clip((slope + 1) / 2, 0, 1)[..., None]
    return (first + share * (second - first)).astype(np.float32)


def blur(clean: FloatArray, rng: np.random.Generator, widest: float) -> FloatArray:
    """Return an image as soft as the pixels of a camera, by a Gaussian.

    Photographs collected for training were mostly downscaled and are sharper than those that come
    from a camera; a model that knows only such images takes more noise for detail.

    Parameters
    ----------
    clean
        (H, W, C).
    rng
        Random generator.
    widest
        Largest standard deviation of the Gaussian, in pixels.
    """
    from scipy import ndimage  # denoising needs no scipy

    width = rng.uniform(LEAST_BLUR, widest)
    return ndimage.gaussian_filter(clean, (width, width, 0), mode="mirror")


def change_contrast(clean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return an image with 0.75 to 1.35 times the contrast, around a random value.

    Where black and white are estimated, some of the content lies beyond them.

    Parameters
    ----------
    clean
        (H, W, C) in [0, 1].
    rng
        Random generator.
    """
    centre, gain = np.float32(rng.random()), np.float32(rng.uniform(0.75, 1.35))
    return centre + gain * (clean - centre)


def draw_pattern(clean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return an image with a regular fine pattern on a part of it.

    Cloth, blinds, bricks and rows of windows repeat every few pixels. Most photographs have no
    such patterns, and a model that has rarely seen them takes faint ones for noise.

    The pattern consists of stripes, sometimes crossed by others, slightly bent, with soft or hard
    edges. The image under it may fade to its mean. The part itself has soft or hard edges.

    Parameters
    ----------
    clean
        (H, W, C) in [0, 1].
    rng
        Random generator.
    """
    y, x = np.mgrid[: clean.shape[0], : clean.shape[1]].astype(np.float32)

    def between(ends: tuple[float, float]) -> float:
        # Even on a logarithmic scale: short periods are as frequent as long ones.
        return float(np.exp(rng.uniform(*np.log(ends))))

    def wave(shortest: float, longest: float) -> FloatArray:
        """Return one slow wave (H, W) in [-1, 1] with a period between the two."""
        right, down, phase, height = rng.uniform(-1, 1, 4)
        frequency = 2 * np.pi / rng.uniform(shortest, longest)
        return np.sin((right * x + down * y) * frequency + np.pi * phase) * height

    def stripes(period: float, angle: float) -> FloatArray:
        """Return stripes (H, W) in [-1, 1] across `angle`, bent by a slow wave."""
        across = np.cos(angle) * x + np.sin(angle) * y
        bend = wave(60, 200) * rng.uniform(0, 6)
        sine: FloatArray = np.sin(across * (2 * np.pi / period) + bend + rng.uniform(0, 2 * np.pi))
        hardness = rng.uniform(0, max(period - 4, 0))  # hard edges alias in short periods
        return sine if hardness < 0.1 else np.tanh(hardness * sine) / np.tanh(hardness)

    period, angle = between(PERIODS), rng.uniform(0, np.pi)
    pattern = stripes(period, angle)
    if rng.random() >= 0.7:  # checks, or a grid
        crossing = angle + rng.uniform(0.4, 1) * np.pi / 2
        others = stripes(period * rng.uniform(0.8, 2), crossing)
        checks = rng.random() < 0.5
        pattern = pattern * others if checks else np.mean([pattern, others], axis=0)
    edge = wave(80, 300) + rng.uniform(-0.3, 0.6)
    share = (1 / (1 + np.exp(-rng.uniform(2, 40) * edge)))[..., None]
    amplitudes = between(AMPLITUDES) * rng.uniform(0.6, 1, clean.shape[2])
    fade = share * rng.uniform(0, 0.7)
    below = clean + fade * (clean.mean((0, 1), keepdims=True) - clean)
    drawn: FloatArray = np.clip(below + share * pattern[..., None] * amplitudes, 0, 1)
    return drawn.astype(np.float32)


@dataclass(frozen=True)
class TakePair:
    """From a noisy and a clean patch of one scene: input and target as they are."""

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""
        return patches[0], patches[1]


@dataclass(frozen=True)
class SwapPair:
    """From two noisy patches of one scene: either is the input, the other the target.

    References
    ----------
    J. Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML 2018.
    """

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""
        first = int(rng.integers(2))
        return patches[first], patches[1 - first]
