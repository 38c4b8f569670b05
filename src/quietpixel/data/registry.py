"""The named data sets."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.idx import IdxSet
from quietpixel.data.split import SPLIT_NAMES, Split
from quietpixel.errors import check_known, import_optional

Loader = Callable[[str, Path | None], Split]
"""Returns a part of a data set from its name and the user's folder."""

DIGIT_SIZE = 28
"""Height and width of an enlarged digit in pixels, as in MNIST."""
FAINTEST, BRIGHTEST = 1.5, 15.5
"""Ink, from 0 to 16, that becomes black and white; removes the ripples of the enlargement."""


def load_digits(split: str, data_dir: Path | None) -> Split:
    """Return one part of the 1,797 digits of scikit-learn, enlarged from 8x8 to 28x28 pixels.

    Parameters
    ----------
    split
        The part.
    data_dir
        Unused, as nothing is downloaded.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    pixels, labels = _enlarge_digits()
    rows = choose_rows(labels)[split]
    return Split(pixels[rows], labels[rows], "digits", split)


@cache  # a run with its report needs three parts, each of which took half a second
def _enlarge_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    datasets, ndimage = (
        import_optional(module, "The data set 'digits' needs scikit-learn")
        for module in ("sklearn.datasets", "scipy.ndimage")
    )
    images, labels = datasets.load_digits(return_X_y=True)
    factor = DIGIT_SIZE / 8
    # In grid mode pixels are areas, so that the enlarged digit is not shifted.
    large = ndimage.zoom(
        images.reshape(-1, 8, 8), (1, factor, factor), order=3, mode="nearest", grid_mode=True
    )
    ink = np.clip((large - FAINTEST) / (BRIGHTEST - FAINTEST), 0, 1)
    pixels = np.rint(ink * 255).astype(np.uint8)[..., np.newaxis]
    return pixels, labels.astype(np.int64)


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


MNIST = IdxSet(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)

FASHION_MNIST = IdxSet(
    "fashion-mnist",
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)

LOADERS: dict[str, Loader] = {
    "digits": load_digits,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
}


def load_split(name: str, split: str, *, data_dir: str | Path | None = None) -> Split:
    """Return one part of a named data set.

    ``mnist`` and ``fashion-mnist``: the first 55,000 of the 60,000 training images are for
    training, the last 5,000 for validation, and the 10,000 test images for test. ``digits``: 1,797
    digits split by a fixed seed, stratified by digit; needs no network.

    Parameters
    ----------
    name
        ``"mnist"``, ``"fashion-mnist"`` or ``"digits"``.
    split
        ``"train"``, ``"validation"`` or ``"test"``.
    data_dir
        Folder that is searched first for the files of the set, before the folder that
        ``QUIETPIXEL_DATA`` names, the user's cache and the network.

    Returns
    -------
    Split
        uint8 images (N, 28, 28, 1) and int64 labels (N,).

    Raises
    ------
    UnknownNameError
        If there is no such set or no such split.
    DataError
        If a file is damaged, or missing and cannot be downloaded.
    MissingDependencyError
        If a package that the set needs is not installed.

    Examples
    --------
    >>> load_split("digits", "test").images.shape
    (299, 28, 28, 1)
    """
    check_known("split", split, SPLIT_NAMES)
    # Checked here, so that a loader never sees a name of another set.
    check_known("data set", name, LOADERS)
    return LOADERS[name](split, None if data_dir is None else Path(data_dir))


def named_sets() -> tuple[str, ...]:
    """Return the names of the data sets.

    Examples
    --------
    >>> "digits" in named_sets()
    True
    """
    return tuple(LOADERS)
