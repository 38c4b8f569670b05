"""Whether an image resembles those of a calibration, from what denoising removed.

Error bars hold for images like those of the calibration. An image is described by how strong the
noise is, how it is correlated, how it follows detail, edges and brightness, and how much the image
varies. Its distance from the images of the calibration says whether it is one of them. It must also
have as fine detail as they: a calibration on texture says nothing of smooth places, where errors
are smaller.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Array
from quietpixel.imaging.residual import examine
from quietpixel.imaging.tiling import spread_runs
from quietpixel.imaging.uncertainty import conformal_quantile, describe_pixels, shorten

FloatArray = NDArray[np.float64]

SIDE, MOST = 96, 4
"""An image is described by the medians over at most 4 x 4 squares of 96 pixels."""
LEAST = 32
"""Smallest height and width that are described."""
FOLDS = 4
COMMON = 0.97
"""Share of the images of a calibration that are within the limit when others decide it."""
FEWEST, MARGIN = 33, 1.5
"""With fewer images, the largest distance says little, so the limit is that times the margin."""
NAMES = ("noise level", "grain", "detail in the noise", "edges", "noise by brightness", "content")
DETAIL, DETAIL_MARGIN = "fine detail", 1.2
"""An image may have so many times less of it than the calibration's smoothest. Chosen on eight
generated sets of 80 images: from 1.25 on, smooth ones pass for texture, and more than 92.5 % of the
pixels lie inside; 1.0 warns about 3.4 to 5 % of a calibration's own set, 1.2 about 2.8 %."""


@dataclass(frozen=True)
class Familiarity:
    """The images of a calibration, as a centre and a scale for each direction.

    Parameters
    ----------
    centre
        Median description, (6,).
    whitening
        Matrix that makes the spread of descriptions 1 in all directions, (6, 6).
    limit
        Largest distance of an image that resembles them.
    detail
        Least fine detail of an image that resembles them.
    """

    centre: FloatArray
    whitening: FloatArray
    limit: float
    detail: float = 0.0

    def distance(self, description: FloatArray) -> float:
        """Return how far a description lies from the centre."""
        return float(np.linalg.norm(self.whitening @ (description[:-1] - self.centre)))

    def differs_in(self, description: FloatArray) -> str | None:
        """Return what of an image is unlike the calibration; None if it resembles it.

        Parameters
        ----------
        description
            As `describe_image` returns it.
        """
        if self.distance(description) > self.limit:  # not NaN, for what is too small
            spread = 1 / np.linalg.norm(self.whitening, axis=0)
            return NAMES[int(np.argmax(np.abs(description[:-1] - self.centre) / spread))]
        return DETAIL if description[-1] < self.detail else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {name: shorten(np.asarray(value), 5) for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Familiarity":
        """Return what `to_dict` gave."""
        centre, whitening = np.array(values["centre"]), np.array(values["whitening"])
        detail = float(values.get("detail", 0.0))  # older cards have none
        return cls(centre, whitening, float(values["limit"]), detail)


def describe_image(noisy: Array, denoised: Array) -> FloatArray:
    """Return the description of an image, (7,); NaN if it is smaller than 32 x 32 pixels.

    Parameters
    ----------
    noisy, denoised
        Floats (H, W, C) on the [0, 1] scale; squares with values that are not finite are skipped.
    """
    found = []
    for top in _starts(noisy.shape[0]):
        for left in _starts(noisy.shape[1]):
            square = np.s_[top : top + SIDE, left : left + SIDE]
            one, other = noisy[square], denoised[square]
            if min(one.shape[:2]) >= LEAST and np.isfinite(one).all() and np.isfinite(other).all():
                found.append(_describe_square(one, other))
    return np.median(found, axis=0) if found else np.full(len(NAMES) + 1, np.nan)


def _starts(length: int) -> list[int]:
    return sorted({int(start) for start in spread_runs(length, SIDE, MOST)[::SIDE]})


def _describe_square(noisy: Array, denoised: Array) -> FloatArray:
    found = examine(noisy, denoised)
    plane = denoised.mean(axis=-1, dtype=np.float64)
    taken = (noisy.mean(axis=-1, dtype=np.float64) - plane) ** 2
    bright = plane > np.median(plane)
    rise = 0.0
    if bright.any():  # 1e-12 for places where nothing was removed
        rise = math.log((taken[bright].mean() + 1e-12) / (taken[~bright].mean() + 1e-12))
    # Medians, because the edges of a smooth image are few. Flat areas vary little, gradients bend
    # little, and texture does both.
    around = plane[2:, 1:-1] + plane[:-2, 1:-1] + plane[1:-1, 2:] + plane[1:-1, :-2]
    bent = np.median(np.abs(plane[1:-1, 1:-1] - around / 4))
    detail = np.sqrt(bent * np.median(describe_pixels(noisy, denoised)[1]))
    return np.array([
        math.log(found.sigma + 1e-4), found.neighbours, found.follows,
        math.log(max(found.edges, 1e-3)), rise, math.log(float(plane.std()) + 1e-3),
        detail,
    ])  # fmt: skip


def fit_familiarity(
    descriptions: Sequence[FloatArray], images: Sequence[int]
) -> Familiarity | None:
    """Return what the images of a calibration have in common; None for fewer than four.

    Parameters
    ----------
    descriptions
        As `describe_image` returns them.
    images
        For each, the number of the image that it was cut from.
    """
    every = np.reshape(descriptions, (len(images), len(NAMES) + 1))
    known = np.isfinite(every).all(axis=1)
    rows, numbers = every[known], np.asarray(images)[known]
    if len(np.unique(numbers)) < FOLDS:
        return None
    folds = np.unique(numbers, return_inverse=True)[1] % FOLDS
    distances = []
    for fold in range(FOLDS):
        others = _fit(rows[folds != fold])
        distances += [others.distance(row) for row in rows[folds == fold]]
    # Each distance is from images without its own, as that of a new image will be.
    limit = conformal_quantile(np.array(distances), COMMON)
    if len(rows) < FEWEST:
        limit *= MARGIN
    whole = _fit(rows)
    detail = float(rows[:, -1].min()) / DETAIL_MARGIN
    return Familiarity(whole.centre, whole.whitening, limit, detail)


def _fit(rows: FloatArray) -> Familiarity:
    rows = rows[:, :-1]
    centre = np.median(rows, axis=0)
    around = rows - centre
    # A tenth of the variances is added, so that few images do not make a direction too narrow.
    covariance = around.T @ around / len(rows)
    covariance += np.diag(0.1 * np.diag(covariance) + 1e-4)
    return Familiarity(centre, np.linalg.inv(np.linalg.cholesky(covariance)), math.inf)
