import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.inference.arrays import check_range, find_range, read_layout

TYPES = st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64])


def back_and_forth(array, range=None):
    layout, part = read_layout(array, range), array[..., np.newaxis]
    noisy = layout.to_model(part)
    return layout.correct(part, noisy, noisy)[..., 0]


@given(TYPES.flatmap(lambda dtype: arrays(dtype, (4, 5), elements=values(dtype))))
@settings(deadline=None)
def test_there_and_back_is_the_same(array):
    result = back_and_forth(array)
    assert result.dtype == array.dtype
    tolerance = 0 if array.dtype.kind == "u" else 1e-6 * max(np.abs(array).max(), 1)
    np.testing.assert_allclose(
        result.astype(float),
        array.astype(float),
        rtol=1e-3 if array.dtype == np.float16 else 1e-6,
        atol=tolerance,
    )


def values(dtype):
    if np.dtype(dtype).kind == "u":
        return st.integers(0, np.iinfo(dtype).max)
    return st.floats(-3, 60000, width=np.dtype(dtype).itemsize * 8, allow_subnormal=False)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 200]], np.uint8), (0, 255)),
        (np.array([[0, 200]], np.uint16), (0, 255)),
        (np.array([[0, 4095]], np.uint16), (0, 4095)),
        (np.array([[0, 4096]], np.uint16), (0, 65535)),
        (np.array([[-0.3, 1.7]]), (0, 1)),
        (np.array([[0.0, 4095.0]]), (0, 4095)),
        (np.array([[0.5, 3000.5]]), (0, 4095)),
        (np.array([[-700.5, 90000.25]]), (-700.5, 90000.25)),
        (np.array([[-20.5, 0.25]]), (-20.5, 1)),
        (np.r_[np.full(500, 0.5), 40.25][np.newaxis], (0, 1)),  # a highlight, not a scale
    ],
)
def test_range_is_found(array, expected):
    assert find_range(array) == expected


def test_alpha_says_nothing_about_the_range():
    image = np.zeros((2, 2, 4), np.uint16)
    image[..., :3], image[..., 3] = 900, 65535
    assert find_range(image) == (0, 1023)


def test_many_bright_points_are_content_and_a_few_are_hot_pixels():
    image = np.full((100, 100, 1), 500, np.uint16)
    image[5, 5] = image[50, 20] = 60000
    assert read_layout(image).range == (0, 1023)
    image[::5, ::5] = 60000
    assert read_layout(image).range == (0, 65535)


def test_integers_are_rounded_and_kept_in_range():
    layout = read_layout(np.zeros((1, 1), np.uint8))
    image = np.array([0.5 / 255 + 0.001, 100.6 / 255, 1.3, -0.2], np.float32)
    assert layout.correct(image, image, image).tolist() == [1, 101, 255, 0]


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
def test_integers_of_64_bits_stop_at_their_ends(dtype):
    """They are changed modulo 2**64, because float64 holds 53 bits of them."""
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    array = np.array([[[least + 5], [most - 5], [most // 2 + 3]]], dtype)
    layout = read_layout(array[..., 0], (0, 2.0**50))
    noisy = np.zeros(array.shape, np.float32)
    for change, expected in (
        (2.0**-10, [least + 5 + 2**40, most, most // 2 + 3 + 2**40]),
        (-(2.0**-10), [least, most - 5 - 2**40, most // 2 + 3 - 2**40]),
    ):
        assert layout.correct(array, noisy, noisy + np.float32(change)).ravel().tolist() == expected


def test_bits_in_use_stay_in_use():
    layout, image = read_layout(np.array([[4000]], np.uint16)), np.array([1.2], np.float32)
    assert layout.correct(image, image, image).tolist() == [4095]


def test_given_range_does_not_clip():
    array = np.array([[500, 3500]], np.uint16)
    assert back_and_forth(array, (1000, 3000)).tolist() == [[500, 3500]]


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((3, 20, 30), r"numpy.moveaxis\(image, 0, -1\)"),
        ((7, 20, 30), "pages of a stack one by one"),
        ((2, 20, 30, 3), "Denoiser.batch"),
        ((20,), "Pass one image"),
    ],
)
def test_shapes_are_refused_with_a_remedy(shape, remedy):
    with pytest.raises(ImageError, match=rf"must have the shape \(H, W\).*{remedy}"):
        read_layout(np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "object", "datetime64[s]"])
def test_types_are_refused(dtype):
    with pytest.raises(ImageError, match="must hold bool, integers of 8 to 64 bits or floats"):
        read_layout(np.zeros((2, 2), dtype))


def test_what_is_no_array_is_refused():
    with pytest.raises(ImageError, match=r"must be a NumPy array; got list. Try numpy.asarray"):
        read_layout([[0.0]])


def test_no_pixels_are_refused():
    with pytest.raises(ImageError, match=r"at least one pixel; got shape \(0, 5\)"):
        read_layout(np.zeros((0, 5)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(value):
    image = np.zeros((4, 5, 3), np.float32)
    image[2, 1, 0] = image[3, 4, 2] = value
    with pytest.raises(ImageError, match=r"2 of its 60 values are not, the first at \(2, 1, 0\)"):
        read_layout(image)


def test_infinities_of_both_signs_are_refused():
    with pytest.raises(ImageError, match="2 of its 2 values"):
        read_layout(np.array([[np.inf, -np.inf]]))


@pytest.mark.parametrize("range", [(1, 0), (0, 0), (0, np.inf), 5, ("a", "b"), (1, 2, 3)])
def test_range_is_refused(range):
    with pytest.raises(ArgumentError, match="`range` must be two numbers"):
        check_range(range)
