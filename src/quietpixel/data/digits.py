"""The handwritten digits that scikit-learn carries, enlarged: a data set without a download."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.download import Progress
from quietpixel.data.split import Split
from quietpixel.errors import MissingDependencyError

SIZE = 28
"""Height and width of an enlarged digit, in pixels: that of MNIST."""

FAINTEST, BRIGHTEST = 1.5, 15.5
"""Ink, of 0 to 16, that becomes black and white; takes away the ripples of the enlarging."""


def load_digits(split: str, data_dir: Path | None, on_progress: Progress | None) -> Split:
    """Return one part of the 1,797 digits of scikit-learn, enlarged from 8x8 to 28x28 pixels.

    Nothing is downloaded: `data_dir` and `on_progress` are there to be like other sets.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    del data_dir, on_progress
    datasets, ndimage = _import("sklearn.datasets"), _import("scipy.ndimage")
    images, labels = datasets.load_digits(return_X_y=True)
    rows = choose_rows(labels)[split]
    small = images[rows].reshape(-1, 8, 8)
    return Split(_enlarge(small, ndimage), labels[rows].astype(np.int64), "digits", split)


def choose_rows(labels: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each split, in order.

    Of each digit a sixth is for test and a ninth for validation. `RandomState` and not
    `default_rng`, because NumPy promises that its numbers never change.

    Examples
    --------
    >>> rows = choose_rows(np.repeat([0, 1], 18))
    >>> {split: len(part) for split, part in rows.items()}
    {'train': 26, 'validation': 4, 'test': 6}
    """
    random = np.random.RandomState(0)
    chosen = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        test, validation = round(len(rows) / 6), round(len(rows) / 9)
        chosen[rows[:test]] = 2
        chosen[rows[test : test + validation]] = 1
    return {
        split: np.flatnonzero(chosen == number)
        for number, split in enumerate(("train", "validation", "test"))
    }


def _enlarge(small: NDArray[Any], ndimage: Any) -> NDArray[np.uint8]:
    """Return (N, 8, 8) ink from 0 to 16 as uint8 (N, 28, 28, 1), by a cubic spline."""
    factor = SIZE / small.shape[1]
    large = ndimage.zoom(small, (1, factor, factor), order=3, mode="nearest", grid_mode=True)
    ink = np.clip((large - FAINTEST) / (BRIGHTEST - FAINTEST), 0, 1)
    digits: NDArray[np.uint8] = np.rint(ink * 255).astype(np.uint8)
    return digits[..., np.newaxis]


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            "The data set 'digits' needs scikit-learn, which is not installed; got "
            f"'{error}'. Install it with: pip install 'quietpixel[train]'."
        ) from error
