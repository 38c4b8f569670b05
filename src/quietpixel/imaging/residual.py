"""The residual, noisy minus denoised: whether it looks like noise, and the error without truth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quietpixel.array_types import Array

Denoise = Callable[[Array], Array]

LAGS = 6
"""Largest distance in pixels of the autocorrelation."""
STEP = 1e-3
"""Size of the random step of Monte-Carlo SURE, relative to sigma."""
EDGES = 0.1
"""Share of the pixels that count as edges, those with the steepest slope."""


@dataclass(frozen=True)
class Residual:
    """Statistics of the residual `noisy - denoised`.

    Parameters
    ----------
    sigma
        Its standard deviation.
    autocorrelation
        float (2 LAGS + 1, 2 LAGS + 1): correlation by distance, 1 in the middle; 0 elsewhere for
        white noise.
    neighbours
        The mean over the four nearest neighbours.
    follows
        Correlation with the fine detail of the denoised image, in [-1, 1]; above 0 where detail
        was removed with the noise.
    edges
        Its strength on the strongest edges relative to that beside them; 1 where edges were left
        alone and the noise is the same everywhere.
    """

    sigma: float
    autocorrelation: Array
    neighbours: float
    follows: float
    edges: float


def examine(noisy: Array, denoised: Array) -> Residual:
    """Return statistics of what denoising removed.

    Parameters
    ----------
    noisy, denoised
        Floats (H, W, C) in [0, 1], at least 32 x 32 pixels.

    Examples
    --------
    >>> clean = np.full((64, 64, 1), 0.5)
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> found = examine(clean + noise, clean)
    >>> round(found.sigma, 2), abs(found.neighbours) < 0.05
    (0.1, True)
    """
    plane = np.asarray(denoised, np.float64).mean(axis=-1)
    taken = np.asarray(noisy, np.float64).mean(axis=-1) - plane
    # A shift of brightness is not a pattern, and would show as correlation at all distances.
    taken -= taken.mean()
    sides = plane.shape[0] + LAGS, plane.shape[1] + LAGS  # padded: opposite borders do not meet
    power = np.abs(np.fft.rfft2(taken, sides)) ** 2
    correlation = np.roll(np.fft.irfft2(power, sides), (LAGS, LAGS), (0, 1))
    correlation = correlation[: 2 * LAGS + 1, : 2 * LAGS + 1]
    correlation = correlation / max(float(correlation[LAGS, LAGS]), 1e-30)
    # The finest detail is skipped, because blur that spreads noise evenly leaves its traces there.
    detail = _smooth(plane, 1) - _smooth(plane, 3)
    scale = float(taken.std() * detail.std())
    slope = np.hypot(*np.gradient(plane))
    edge, flat = slope >= np.quantile(slope, 1 - EDGES), slope <= np.quantile(slope, 0.5)
    return Residual(
        sigma=float(taken.std()),
        autocorrelation=correlation,
        neighbours=float((correlation[LAGS, LAGS - 1] + correlation[LAGS - 1, LAGS]) / 2),
        follows=float(np.mean(taken * (detail - detail.mean())) / scale) if scale else 0.0,
        edges=float(taken[edge].std() / max(float(taken[flat].std()), 1e-30))
        if slope.any()
        else 1.0,
    )


def estimate_error(
    denoise: Denoise, noisy: Array, sigma: float | Array, rng: np.random.Generator
) -> float:
    """Return the mean squared error of a denoised image without its clean one (Monte-Carlo SURE).

    It is right on average for normal noise of known strength that was not clipped, and nearly so
    for photon noise of more than a few photons, with the strength that each noisy value has.

    Parameters
    ----------
    denoise
        From an image to the denoised one.
    noisy
        Floats (H, W, C).
    sigma
        Standard deviation of the noise, one for all or one for each value.
    rng
        Draws the direction of the step.

    References
    ----------
    S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE", IEEE TIP 17(9), 2008.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = 0.5 + 0.1 * rng.standard_normal((100, 100, 1))
    >>> round(estimate_error(lambda image: image, noisy, 0.1, rng), 3)
    0.01
    """
    direction = rng.choice([-1.0, 1.0], noisy.shape).astype(np.float32)
    variance = np.square(sigma, dtype=np.float64)
    # Relative to the noise: a small step is lost in float32, a large one is not a derivative.
    step = np.float32(STEP * max(np.sqrt(variance.mean()), np.finfo(np.float32).tiny))
    first = np.asarray(denoise(noisy), np.float64)
    moved = np.asarray(denoise((noisy + step * direction).astype(noisy.dtype)), np.float64)
    divergence = direction * (moved - first) / step
    return float(np.mean((first - noisy) ** 2 + variance * (2 * divergence - 1)))


def _smooth(plane: Array, reach: int) -> Array:
    """Return the means over squares of 2 `reach` + 1 pixels, twice."""
    for _ in range(2):
        padded = np.pad(plane, ((reach, reach), (0, 0)), mode="edge")
        rows = [padded[i : i + plane.shape[0]] for i in range(2 * reach + 1)]
        plane = np.asarray(np.mean(rows, axis=0).T)
    return plane
