"""What was taken away from an image: does it look like noise, and how good is the rest?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Denoise = Callable[[Array], Array]

LAGS = 6
"""How far apart pixels are whose likeness is looked at, at most."""
STEP = 1e-3
"""Relative to sigma: how much the image is moved to see how much the output follows."""
EDGES = 0.1
"""The share of the image with the strongest edges."""


@dataclass(frozen=True)
class Residual:
    """What `noisy - denoised` looks like.

    Parameters
    ----------
    sigma
        Its standard deviation.
    autocorrelation
        float (2 LAGS + 1, 2 LAGS + 1): likeness of pixels so far apart, 1 in the middle; 0
        elsewhere for white noise.
    neighbours
        The mean over the four nearest neighbours.
    follows
        Correlation with the fine detail of the denoised image, in [-1, 1]; above 0 where detail
        went with the noise.
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
    """Return what was taken away, seen as noise.

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
    taken = np.asarray(noisy, np.float64).mean(axis=-1) - np.asarray(denoised, float).mean(axis=-1)
    taken -= taken.mean()
    likeness = _autocorrelate(taken)
    middle = likeness[LAGS, LAGS - 1], likeness[LAGS - 1, LAGS]
    plane = np.asarray(denoised, np.float64).mean(axis=-1)
    return Residual(
        sigma=float(taken.std()),
        autocorrelation=likeness,
        neighbours=float(np.mean(middle)),
        follows=_correlation(taken, _detail(plane)),
        edges=_edge_strength(taken, plane),
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
        For the direction in which the image is moved.

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
    step = np.float32(STEP * max(np.sqrt(variance.mean()), np.finfo(np.float32).tiny))
    first = np.asarray(denoise(noisy), np.float64)
    moved = np.asarray(denoise((noisy + step * direction).astype(noisy.dtype)), np.float64)
    follows = direction * (moved - first) / step
    return float(np.mean((first - noisy) ** 2 + variance * (2 * follows - 1)))


def _autocorrelate(plane: Array) -> Array:
    """Return the likeness by distance, (2 LAGS + 1, 2 LAGS + 1), from the power spectrum."""
    height, width = plane.shape
    power = np.abs(np.fft.rfft2(plane, (height + LAGS, width + LAGS))) ** 2
    likeness = np.fft.irfft2(power, (height + LAGS, width + LAGS))
    likeness = np.roll(likeness, (LAGS, LAGS), (0, 1))[: 2 * LAGS + 1, : 2 * LAGS + 1]
    return np.asarray(likeness / max(float(likeness[LAGS, LAGS]), 1e-30))


def _detail(plane: Array) -> Array:
    """Return what of a plane lies between 3 and 7 pixels in size.

    The finest is left out because blur that spreads noise evenly leaves its traces there.
    """
    return _smooth(plane, 1) - _smooth(plane, 3)


def _smooth(plane: Array, reach: int) -> Array:
    """Return the means over squares that reach so many pixels to all sides."""
    for _ in range(2):
        padded = np.pad(plane, ((reach, reach), (0, 0)), mode="edge")
        rows = [padded[i : i + plane.shape[0]] for i in range(2 * reach + 1)]
        plane = np.asarray(np.mean(rows, axis=0).T)
    return plane


def _edge_strength(taken: Array, plane: Array) -> float:
    """Compare the strongest edges with their surroundings of the same brightness."""
    slope = np.hypot(*np.gradient(plane))
    edge = slope >= np.quantile(slope, 1 - EDGES)
    calm = slope <= np.quantile(slope, 0.5)
    if not slope.any() or not calm.any():
        return 1.0
    return float(taken[edge].std() / max(float(taken[calm].std()), 1e-30))


def _correlation(one: Array, other: Array) -> float:
    strength = float(one.std() * other.std())
    return (
        float(np.mean((one - one.mean()) * (other - other.mean())) / strength) if strength else 0.0
    )
