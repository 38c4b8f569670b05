"""The noise level that a denoiser should be given for an image, found from the image alone."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.noise.estimate import estimate_sigma

Array = NDArray[Any]

WEIGHTS = Path(__file__).parent.parent / "weights" / "noise-level.npz"
LEAST_SIDE = 32
"""Height and width in pixels below which only white noise is measured."""
OCTAVES, BLOCK = 5, 8
"""Octaves of spatial frequency that are measured, and the side of a block in samples of each."""
FLATTEST = (0.03, 0.1, 0.3)
"""The blocks of each octave are summed up by these quantiles of their power."""
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) / np.sqrt(
    np.array([[3], [2], [6]], np.float32)
)
"""Luminance and two colour differences, orthonormal."""
COARSE, LEAST_COARSE = 1.4, 2 / 255
"""Coarse noise has at least this ratio of its level to that of white noise, and this level."""
FLOOR = 1.5 / 255
"""Levels are compared as the logarithm of the level plus this."""


def estimate_level(image: Array) -> float:
    """Return the level that `measure_level` finds, without the kind of the noise."""
    return measure_level(image)[0]


def measure_level(image: Array) -> tuple[float, bool]:
    """Return the level with which a denoiser gives the best picture of a noisy image.

    On white noise that is its standard deviation. Noise that neighbours or channels share escapes
    an estimator of white noise: it finds 0.1 to 0.4 of it in camera JPEGs. So the power of the
    flattest blocks in each octave of luminance and colour goes through a small network, trained for
    the error of the picture that the denoiser then makes (``benchmarks/train_noise_level.py``).

    Parameters
    ----------
    image
        Floats (H, W, 1) or (H, W, 3), black 0 and white 1.

    Returns
    -------
    level
        On the image's scale, at least 0.
    coarse
        Whether the noise is coarser than a pixel: the level is well above what white noise would
        need. On three photographs with white noise, shared by channels or not, the level was 0.8
        to 1.05 times that; with noise blurred by 0.6 to 1 pixel mostly 1.5 to 7 times. In camera
        JPEGs of PolyU it is mostly 4 to 10 times.
    """
    # A smaller image has too few blocks for quantiles of their power.
    if min(image.shape[:2]) < LEAST_SIDE:
        return estimate_sigma(image), False
    weights = _weights()
    features = level_features(image)
    white = float(np.exp(features[0]))
    x = (relative_features(features) - weights["mean"]) / weights["deviation"]
    for number in (1, 2, 3):
        x = x @ weights[f"kernel_{number}"] + weights[f"bias_{number}"]
        # Rectified between the layers only: the result is a logarithm and may be negative.
        x = np.maximum(x, 0) if number < 3 else x
    level = float(max((white + FLOOR) * np.exp(x[0]) - FLOOR, 0.0))
    return level, level > max(COARSE * white, LEAST_COARSE)


def level_features(image: Array) -> NDArray[np.float64]:
    """Return what the level is estimated from, (32,): logarithms of amplitudes.

    The white noise of all channels and of luminance alone, then, of luminance and of colour, the
    amplitude of the flattest blocks in each octave.
    """
    # Gray has no network of its own: three equal channels are colour without colour noise.
    colours = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    planes = colours.astype(np.float32) @ OPPONENT.T
    white = [estimate_sigma(colours), estimate_sigma(planes[..., :1])]
    features = list(np.log(np.array(white) + 1e-4))
    luminance, first, second = (_block_powers(planes[..., i]) for i in range(3))
    colour = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    for powers in (luminance, colour):
        for octave in range(OCTAVES):
            if octave < len(powers):
                # Clipped areas have no power at all and would pass for the flattest blocks.
                power = powers[octave][powers[octave] > 0]
                flat = np.quantile(power, FLATTEST) if len(power) else np.zeros(len(FLATTEST))
                amplitudes = 0.5 * np.log(flat + 1e-8)
            # An octave that the image is too small for is taken to be like the one before it.
            features += list(amplitudes)
    return np.array(features)


def _block_powers(plane: Array) -> list[Array]:
    """Return, for each octave that the plane is large enough for, the power of its blocks."""
    powers: list[Array] = []
    while len(powers) < OCTAVES and min(plane.shape) // 2 * 2 >= BLOCK:
        height, width = (side // 2 * 2 for side in plane.shape)
        plane = plane[:height, :width]
        half = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        # What halving loses is this octave's share of the image.
        detail = np.square(plane - half.repeat(2, 0).repeat(2, 1))
        rows, columns = height // BLOCK, width // BLOCK
        blocks = detail[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
        powers.append(blocks.mean((1, 3)).ravel())
        plane = half
    return powers


def relative_features(features: Array) -> Array:
    """Return the features with all amplitudes but the first relative to it."""
    return np.concatenate([features[..., :1], features[..., 1:] - features[..., :1]], axis=-1)


@cache
def _weights() -> dict[str, Array]:
    with np.load(WEIGHTS) as stored:
        return dict(stored)
