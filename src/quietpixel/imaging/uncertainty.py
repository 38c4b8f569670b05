"""How far the truth may lie from a denoised pixel: half widths of intervals, split conformal.

The half width is a factor times the local strength of what was removed. The factors belong to
cells: by that strength, which says how noisy the place is, by how much the denoised image varies
there, and by the kind of noise. In each cell the factor is the conformal quantile of images that
the model was not trained on (Mondrian conformal prediction).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from quietpixel.array_types import Array, FloatArray

SHARE = 0.9
"""The share of pixels whose truth is to lie inside."""
NEAR, WIDE = 2, 7
"""Pixels around one that say how the image varies, and how strong the noise is."""
REACH = WIDE + 1
"""Pixels around one that decide its half width."""
KINDS = ("white", "shared", "coarse")
"""Kinds of noise, from the one that leaves the smallest errors where it is as strong as others."""
CORRELATED, TOGETHER = 0.15, 0.5
"""Correlation of neighbours in what was removed from which noise counts as coarse (white noise 0,
grain and that of cameras 0.4 to 0.9), and the variance of the sum of its channels, over that of
equal channels, from which it counts as shared by them (independent ones 1/3, gray 1)."""
FLOOR = 0.2 / 255
"""Added in quadrature to what was removed, so that a place without noise has some width."""
STRENGTHS, VARIETIES = 32, 8
"""Most cells of each kind of noise; fewer where there are few pixels."""
WORDS = ("strengths", "varieties", "factors")
"""Entries of a card for the cells of one kind of noise."""
PER_CELL = 400
PER_IMAGE = 12_000
"""Pixels drawn from each image; neighbours say nearly the same."""
PER_CELL_OF_SHOTS, PER_PAIR_OF_SHOTS = 40_000, 250_000
"""The squared error that two noisy shots give is 20 times smaller than the noise in it, so that it
needs so many pixels for 10 %."""


@dataclass(frozen=True)
class Cells:
    """The factors, by cell.

    Parameters
    ----------
    strengths
        Limits between the rows of cells, (R - 1,).
    varieties
        For each row, limits between its cells, (R, K - 1).
    factors
        Half widths over the strength, (R, K).
    """

    strengths: FloatArray
    varieties: FloatArray
    factors: FloatArray

    def width_at(self, strength: FloatArray, variety: FloatArray) -> FloatArray:
        """Return the half width where `describe_pixels` gave these."""
        rows = np.searchsorted(self.strengths, strength)
        cells = np.zeros(rows.shape, np.intp)
        # No searchsorted, because each row has limits of its own.
        for limits in self.varieties.T:
            cells += variety > limits[rows]
        return np.asarray(self.factors[rows, cells] * strength, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the cells as what JSON can hold, numbers rounded to four digits."""
        return {word: shorten(getattr(self, word), 4) for word in WORDS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Cells":
        """Return the cells that `to_dict` gave."""
        return cls(*(np.array(values[word], np.float32) for word in WORDS))


@dataclass(frozen=True)
class Calibration:
    """The factors for each kind of noise.

    Parameters
    ----------
    kinds
        The cells of each of `KINDS`.
    share
        The share of pixels that they are made for.
    """

    kinds: tuple[Cells, ...]
    share: float = SHARE

    def half_width(self, noisy: FloatArray, denoised: FloatArray) -> FloatArray:
        """Return for each pixel how far the truth may lie, (H, W, C) on the [0, 1] scale.

        Parameters
        ----------
        noisy, denoised
            float32 (H, W, C) on the [0, 1] scale.
        """
        return self.width_at(*describe_pixels(noisy, denoised))

    def width_at(self, strength: FloatArray, variety: FloatArray, kind: FloatArray) -> FloatArray:
        """Return the half width where `describe_pixels` gave these."""
        width = np.empty(strength.shape, np.float32)
        for number, cells in enumerate(self.kinds):
            here = kind == number
            width[here] = cells.width_at(strength[here], variety[here])
        return width

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as what JSON can hold."""
        kinds = dict(zip(KINDS, (each.to_dict() for each in self.kinds), strict=True))
        return {"share": self.share, **kinds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """Return the calibration that `to_dict` gave, or an older one of one kind of cells."""
        kinds = tuple(Cells.from_dict(values.get(kind, values)) for kind in KINDS)
        return cls(kinds, float(values["share"]))


def describe_pixels(
    noisy: FloatArray, denoised: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how strong what was removed is around each pixel, and how the image varies there.

    Returns
    -------
    strength, variety
        Standard deviations of what was removed and of `denoised`, (H, W, C).
    kind
        The number of the kind of noise among `KINDS`, (H, W, C).
    """
    removed = noisy - denoised
    taken = np.maximum(_mean_around(removed**2, WIDE), 0) + np.float32(FLOOR) ** 2
    mean = _mean_around(denoised, NEAR)
    variance = _mean_around(denoised**2, NEAR) - mean**2
    # Rounding can leave a mean of squares slightly below 0.
    return np.sqrt(taken), np.sqrt(np.maximum(variance, 0)), _find_kind(removed, taken)


def _find_kind(removed: FloatArray, taken: FloatArray) -> FloatArray:
    """Return the kind of noise around each pixel, from what was removed and its mean square."""
    products = np.zeros_like(removed)
    products[1:] += removed[1:] * removed[:-1]
    products[:, 1:] += removed[:, 1:] * removed[:, :-1]
    coarse = _mean_around(products, WIDE) > 2 * CORRELATED * taken
    total = removed.sum(axis=2, keepdims=True)
    # The variance of a sum is that of independent parts, and up to so many times that.
    most = removed.shape[2] * taken.sum(axis=2, keepdims=True)
    shared = _mean_around(total**2, WIDE) > TOGETHER * most
    return np.where(coarse, 2, shared).astype(np.float32)


def fit_pixels(parts: Sequence[FloatArray], *, shots: bool = False) -> Calibration:
    """Return the calibration with which 90 % of the pixels of some images lie inside.

    Over pixels of further images drawn like these, at least that share is expected to lie inside,
    in each cell apart; for one pixel or one image nothing is promised.

    Parameters
    ----------
    parts
        What `draw_pixels` gave for each image, or `draw_shots` for each pair of shots.
    shots
        Whether they are pairs of shots.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", Springer 2005,
    section 4.5 (Mondrian). J. Lei et al., "Distribution-free predictive inference for regression",
    JASA 113, 2018 (split conformal, with a local scale).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clean = np.full((64, 64, 1), 0.5, np.float32)
    >>> denoised = clean + 0.01 * rng.standard_normal(clean.shape).astype(np.float32)
    >>> noisy = clean + 0.1 * rng.standard_normal(clean.shape).astype(np.float32)
    >>> calibration = fit_pixels([draw_pixels(noisy, denoised, clean, seed=0)])
    >>> inside = abs(clean - denoised) <= calibration.half_width(noisy, denoised)
    >>> bool(0.85 < inside.mean() < 0.95)
    True
    """
    *pixels, kind = np.concatenate(parts, axis=1)
    least = PER_CELL_OF_SHOTS if shots else PER_CELL
    every, kinds = None, []
    for number in range(len(KINDS)):
        here = kind == number
        if np.count_nonzero(here) < least:  # those of all kinds
            every = every or _fit_cells(*pixels, shots=shots)
            kinds.append(every)
        else:
            kinds.append(_fit_cells(*(each[here] for each in pixels), shots=shots))
    return Calibration(tuple(kinds))


def _fit_cells(
    error: FloatArray, strength: FloatArray, variety: FloatArray, *, shots: bool
) -> Cells:
    score = error / (strength**2 if shots else strength)
    quantile = normal_quantile if shots else conformal_quantile
    cells = max(len(score) // (PER_CELL_OF_SHOTS if shots else PER_CELL), 1)
    columns = min(VARIETIES, max(cells // STRENGTHS, 1))
    rows = min(STRENGTHS, max(cells // columns, 1))
    limits = _limits(strength, rows)
    places = np.searchsorted(limits, strength)
    varieties, factors = [], []
    for row in range(rows):
        # A row without pixels, of equal strengths, gets the factor of all of them.
        inside = places == row
        edges = _limits(variety[inside], columns) if inside.any() else np.zeros(columns - 1)
        column = np.searchsorted(edges, variety[inside])
        whole = quantile(score[inside] if inside.any() else score, SHARE)
        among = [score[inside][column == each] for each in range(columns)]
        factors.append([quantile(one, SHARE) if len(one) else whole for one in among])
        varieties.append(edges)
    return Cells(
        limits.astype(np.float32),
        np.array(varieties, np.float32).reshape(rows, columns - 1),
        np.array(factors, np.float32),
    )


def draw_pixels(
    noisy: FloatArray, denoised: FloatArray, clean: FloatArray, *, seed: int
) -> FloatArray:
    """Return the error of some pixels of an image, and what describes them, (4, n)."""
    ready = np.clip(denoised, 0, 1)
    return _draw([np.abs(clean - ready), *describe_pixels(noisy, ready)], PER_IMAGE, seed)


def draw_shots(
    shots: tuple[FloatArray, FloatArray], denoised: tuple[FloatArray, FloatArray], *, seed: int
) -> FloatArray:
    """Return an estimate of the squared error of pixels, and what describes them, (4, n).

    With errors e and noise n, the shots y and their results f have ``f1 - y2 = e1 - n2`` and
    ``f2 - y1 = e2 - n1``, whose squares, less that of ``y1 - y2 = n1 - n2``, leave twice the
    squared error on average, because the noise of one shot is independent of the other.

    Parameters
    ----------
    shots
        Two images (H, W, C) of one scene on the [0, 1] scale.
    denoised
        Their results.
    seed
        Which pixels are drawn of a large image.
    """
    (first, second), (one, other) = shots, denoised
    squares = ((one - second) ** 2 + (other - first) ** 2 - (first - second) ** 2) / 2
    return _draw([squares, *describe_pixels(first, one)], PER_PAIR_OF_SHOTS, seed)


def _draw(facts: Sequence[FloatArray], most: int, seed: int) -> FloatArray:
    values = np.stack(facts).reshape(len(facts), -1)
    if values.shape[1] <= most:
        return values
    return values[:, np.random.default_rng(seed).choice(values.shape[1], most, replace=False)]


def normal_quantile(squares: FloatArray, share: float) -> float:
    """Return what a share of errors does not exceed, given their squares.

    Nine tenths of errors lie within 1.64 root mean squares if they are normal, and within 1.63 if
    they follow Laplace's law.

    Examples
    --------
    >>> round(normal_quantile(np.full(5, 4.0), 0.9), 2)
    3.29
    """
    deviations = NormalDist().inv_cdf((1 + share) / 2)
    return float(deviations * np.sqrt(max(squares.mean(dtype=np.float64), 0)))


def conformal_quantile(scores: Array, share: float) -> float:
    """Return the ceil((n + 1) * share)-th smallest of n scores, or the largest if there are few.

    Examples
    --------
    >>> conformal_quantile(np.arange(1, 10), 0.9)
    9.0
    """
    # One more than n, because the score of a new pixel is one of them too.
    rank = min(math.ceil((len(scores) + 1) * share), len(scores))
    return float(np.partition(scores, rank - 1)[rank - 1])


def _limits(values: FloatArray, count: int) -> Array:
    return np.asarray(np.quantile(values, np.arange(1, count) / count))


def _mean_around(image: FloatArray, radius: int) -> FloatArray:
    """Return the mean over a square around each pixel; borders are mirrored."""
    for axis in (0, 1):
        pad = [(radius + 1, radius) if each == axis else (0, 0) for each in range(image.ndim)]
        # In float64: a running sum over a large image loses the digits of a float32.
        sums = np.cumsum(np.pad(image, pad, mode="symmetric"), axis=axis, dtype=np.float64)
        length, side = image.shape[axis], 2 * radius + 1
        upper = np.take(sums, np.arange(side, side + length), axis)
        lower = np.take(sums, np.arange(length), axis)
        image = ((upper - lower) / side).astype(np.float32)
    return image


def shorten(values: Array, digits: int) -> Any:
    """Return numbers of any shape as nested lists, each with so many significant digits."""
    return (
        [shorten(row, digits) for row in values] if values.ndim else float(f"{values:.{digits}g}")
    )
