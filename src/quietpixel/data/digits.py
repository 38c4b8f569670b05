"""The handwritten digits of scikit-learn, enlarged: a data set without a download."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.download import Progress
from quietpixel.data.split import SPLIT_NAMES, Split
from quietpixel.errors import MissingDependencyError

SIZE = 28
"""Height and width of an enlarged digit in pixels, as in MNIST."""
FAINTEST, BRIGHTEST = 1.5, 15.5
"""Ink, from 0 to 16, that becomes black and white; removes the ripples of the enlargement."""


def load_digits(split: str, data_dir: Path | None, on_progress: Progress | None) -> Split:
    """Return one part of the 1,797 digits of scikit-learn, enlarged from 8x8 to 28x28 pixels.

    Parameters
    ----------
    split
        The part.
    data_dir, on_progress
        Unused, as nothing is downloaded.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    del data_dir, on_progress
    try:
        datasets: Any = import_module("sklearn.datasets")
        ndimage: Any = import_module("scipy.ndimage")
    except ImportError as error:
        raise MissingDependencyError(
            "The data set 'digits' needs scikit-learn, which is not installed; got "
            f"'{error}'. Install it with: pip install 'quietpixel[train]'."
        ) from error
    images, labels = datasets.load_digits(return_X_y=True)
    rows = choose_rows(labels)[split]
    factor = SIZE / 8
    large = ndimage.zoom(
        images[rows].reshape(-1, 8, 8), (1, factor, factor), order=3, mode="nearest", grid_mode=True
    )
    ink = np.clip((large - FAINTEST) / (BRIGHTEST - FAINTEST), 0, 1)
    pixels = np.rint(ink * 255).astype(np.uint8)[..., np.newaxis]
    return Split(pixels, labels[rows].astype(np.int64), "digits", split)


def choose_rows(labels: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each split, in order: of each digit, 1/6 for test, 1/9 for validation.

    Parameters
    ----------
    labels
        The digit of each row.

    Examples
    --------
    >>> rows = choose_rows(np.repeat([0, 1], 18))
    >>> {split: len(part) for split, part in rows.items()}
    {'train': 26, 'validation': 4, 'test': 6}
    """
    # Not default_rng: NumPy promises only of RandomState that its numbers never change.
    random = np.random.RandomState(0)
    chosen = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        test, validation = round(len(rows) / 6), round(len(rows) / 9)
        chosen[rows[:test]] = 2
        chosen[rows[test : test + validation]] = 1
    return {split: np.flatnonzero(chosen == number) for number, split in enumerate(SPLIT_NAMES)}
