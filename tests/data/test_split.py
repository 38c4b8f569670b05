import numpy as np
import pytest

from quietpixel.data import Split
from quietpixel.errors import DataError, UnknownNameError


def test_bytes_become_floats_from_0_to_1():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = Split(images, None, "ramp", "test").as_float()
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(np.rint(floats * 255), images)
    assert (floats.min(), floats.max()) == (0, 1)


def test_floats_stay_as_they_are():
    images = np.full((2, 4, 4, 3), 0.25, np.float32)
    np.testing.assert_array_equal(Split(images, None, "gray", "train").as_float(), images)


def test_a_split_is_read_only_and_leaves_the_given_array_alone():
    images = np.zeros((1, 4, 4, 1), np.uint8)
    split = Split(images, np.zeros(1, int), "black", "train")
    with pytest.raises(ValueError, match="read-only"):
        split.images[0] = 1
    images[0] = 1


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 2), np.uint8), np.zeros((2, 4, 4, 1))],
)
def test_other_shapes_and_types_are_refused(images):
    with pytest.raises(DataError, match=r"must be uint8 or float32 of shape \(N, height, width"):
        Split(images, None, "odd", "train")


def test_labels_must_match_the_images():
    with pytest.raises(DataError, match=r"one label for each image; got labels of shape \(3,\)"):
        Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, int), "odd", "train")


def test_a_misspelt_split_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'validation'"):
        Split(np.zeros((2, 4, 4, 1), np.uint8), None, "odd", "validaton")
