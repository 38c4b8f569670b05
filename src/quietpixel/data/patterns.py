"""Draws regular fine patterns on clean patches, for photographs have too few of them to learn from.

Stripes of cloth, blinds, bricks and window rows repeat every few pixels. Where a model has hardly
seen such, it takes faint ones for noise and smooths them away.
"""

from dataclasses import dataclass

import numpy as np

from quietpixel.noise.parser import Array

PERIODS = 2.3, 12.0
"""Shortest and longest distance, in pixels, at which a pattern repeats."""

AMPLITUDES = 0.02, 0.3
"""Least and greatest swing of a pattern about its mean, of the range [0, 1]."""


def weave(clean: Array, rng: np.random.Generator) -> Array:
    """Return an image (H, W, C), values in [0, 1], with a regular fine pattern on a part of it.

    The pattern is of stripes, sometimes crossed by others, slightly bent, soft like a sine or
    hard-edged; where it lies, the image below may fade to its mean. The part ends softly or hard.
    """
    height, width, channels = clean.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    plane = _Plane(x, y, rng)
    pattern = _pattern(plane, rng)
    edge = plane.swell(80, 300) + rng.uniform(-0.3, 0.6)
    share = (1 / (1 + np.exp(-rng.uniform(2, 40) * edge)))[..., None]
    amplitudes = _between(AMPLITUDES, rng) * rng.uniform(0.6, 1, channels)
    fade = share * rng.uniform(0, 0.7)
    below = clean + fade * (clean.mean((0, 1), keepdims=True) - clean)
    woven: Array = np.clip(below + share * pattern[..., None] * amplitudes, 0, 1)
    return woven.astype(np.float32)


def _pattern(plane: "_Plane", rng: np.random.Generator) -> Array:
    """Stripes, or two sets of stripes multiplied (checks) or added (a grid); in [-1, 1]."""
    period, angle = _between(PERIODS, rng), rng.uniform(0, np.pi)
    stripes = plane.stripes(period, angle)
    if rng.random() < 0.7:
        return stripes
    across = angle + rng.uniform(0.4, 1) * np.pi / 2
    others = plane.stripes(period * rng.uniform(0.8, 2), across)
    checks = rng.random() < 0.5
    crossed: Array = stripes * others if checks else np.mean([stripes, others], axis=0)
    return crossed


def _between(ends: tuple[float, float], rng: np.random.Generator) -> float:
    """A number drawn evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(*np.log(ends))))


@dataclass(frozen=True)
class _Plane:
    """Draws waves over an image whose pixels have the coordinates `x` and `y`, each (H, W)."""

    x: Array
    y: Array
    rng: np.random.Generator

    def swell(self, shortest: float, longest: float) -> Array:
        """A single slow wave of a period drawn from [`shortest`, `longest`]; in [-1, 1]."""
        right, down, begin, height = self.rng.uniform(-1, 1, 4)
        turn = 2 * np.pi / self.rng.uniform(shortest, longest)
        wave: Array = np.sin((right * self.x + down * self.y) * turn + np.pi * begin) * height
        return wave

    def stripes(self, period: float, angle: float) -> Array:
        """Stripes of `period` pixels across `angle`, bent by a slow wave; in [-1, 1]."""
        way = np.cos(angle) * self.x + np.sin(angle) * self.y
        bend = self.swell(60, 200) * self.rng.uniform(0, 6)
        wave: Array = np.sin(way * (2 * np.pi / period) + bend + self.rng.uniform(0, 2 * np.pi))
        hardness = self.rng.uniform(0, max(period - 4, 0))  # hard edges alias in short periods
        return wave if hardness < 0.1 else np.tanh(hardness * wave) / np.tanh(hardness)
