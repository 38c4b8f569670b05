import hashlib
import sys

import numpy as np
import pytest

from quietpixel.data import registry
from quietpixel.data.registry import choose_rows, load_digits
from quietpixel.errors import MissingDependencyError

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def parts():
    return {split: load_digits(split, None) for split in SPLITS}


def test_sizes(parts):
    assert [len(parts[split]) for split in SPLITS] == [1299, 199, 299]
    assert all(part.images.shape[1:] == (28, 28, 1) for part in parts.values())


def test_each_part_has_its_share_of_each_digit(parts):
    for split, share in {"train": 130, "validation": 20, "test": 30}.items():
        assert np.abs(np.bincount(parts[split].labels) - share).max() <= 4


def test_images_use_the_whole_range_on_a_black_ground(parts):
    images = parts["test"].images
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert np.mean(images == 0) > 0.4


def test_the_enlarged_digit_has_the_ink_of_the_small_one(parts):
    from sklearn.datasets import load_digits

    small = load_digits().images[choose_rows(load_digits().target)["test"]] / 16
    blocks = parts["test"].as_float().reshape(-1, 4, 7, 4, 7).mean((2, 4))
    pairs = small.reshape(-1, 4, 2, 4, 2).mean((2, 4))
    assert np.corrcoef(blocks.ravel(), pairs.ravel())[0, 1] > 0.98


def test_the_rows_never_change():
    """Golden: MD5 of the rows as int64, of numpy.random.RandomState(0), exact."""
    rows = choose_rows(np.arange(1000) % 10)
    joined = np.concatenate([rows[split] for split in SPLITS])
    assert sorted(joined) == list(range(1000))
    assert (
        hashlib.md5(joined.astype("<i8").tobytes()).hexdigest()
        == "2386046557976e0b1700554065a38667"
    )


def test_a_missing_scikit_learn_is_named(monkeypatch):
    registry._enlarge_digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependencyError, match=r"needs scikit-learn.*quietpixel\[train\]"):
        load_digits("test", None)
