"""The scale of an image follows its content, not single extreme values, its unit or its offset."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import quietpixel
from quietpixel import Denoiser
from quietpixel.errors import ImageError

SIDE = 128


@pytest.fixture(scope="module")
def photo() -> Denoiser:
    return Denoiser("photo", precision="f32")


@functools.cache
def scene() -> np.ndarray:
    """Soft discs on a gradient, in [0, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = 0.15 + 0.1 * np.sin(5 * x + 3 * y)
    for _ in range(20):
        row, column, radius, height = rng.uniform([0, 0, 0.02, 0.1], [1, 1, 0.12, 0.7])
        image += height / (1 + np.exp((np.hypot(y - row, x - column) - radius) * 200))
    return np.clip(image, 0, 1)


TRUTH = 100 + 400 * scene()
NOISY = (100 + np.random.default_rng(1).poisson(400 * scene())).astype(np.uint16)
"""400 photons at the brightest, with an offset of 100 counts."""


def rmse(image: np.ndarray, truth: np.ndarray, where: np.ndarray | bool = True) -> float:
    return float(np.sqrt(np.mean((np.asarray(image, float) - truth) ** 2, where=where)))


@pytest.fixture(scope="module")
def plain(photo: Denoiser) -> np.ndarray:
    """Return what the model makes of the image without damage."""
    return photo(NOISY)


@pytest.mark.parametrize("value", [1100, 5000, 65535])
@pytest.mark.parametrize("count", [1, 10])
def test_hot_pixels_leave_the_others_unaffected(
    photo: Denoiser, plain: np.ndarray, value: int, count: int
) -> None:
    places = np.random.default_rng(2).permutation(SIDE**2)[:count]
    hot, others = NOISY.copy(), np.ones(NOISY.shape, bool)
    hot.flat[places] = value
    others.flat[places] = False
    result = photo(hot)
    assert rmse(result, TRUTH, others) < 1.05 * rmse(plain, TRUTH, others)
    assert (result.flat[places] == value).all()
    assert rmse(plain, TRUTH) < 0.5 * rmse(NOISY, TRUTH)
    assert photo.denoise(hot).scale == pytest.approx((100, 510), abs=25)


def test_neither_many_hot_pixels_nor_hidden_colours_set_white(photo: Denoiser) -> None:
    plain = photo.find_scale([NOISY]).range
    hot = NOISY.copy()
    high = np.random.default_rng(0).integers(20_000, 60_000, NOISY.shape).astype(np.uint16)
    hot[::6, ::6] = high[::6, ::6]  # more than any share of outliers that is left out
    assert photo.find_scale([hot]).range == pytest.approx(plain, abs=25)
    alpha = np.full_like(NOISY, 65535)
    alpha[:, :40] = 0
    shown = np.where(alpha > 0, NOISY, high)
    assert photo.find_scale([np.dstack([shown, alpha])]).range == pytest.approx(plain, abs=25)


@pytest.mark.parametrize("model", ["photo", "photo-gray"])
def test_a_saturated_area_and_a_star_leave_the_others_unaffected(model: str) -> None:
    photo = Denoiser(model, precision="f32")
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(y - 40, x - 70)
    star = (NOISY + 30000 * np.exp(-(distance**2) / 3)).astype(np.uint16)
    plain = photo(NOISY)
    assert rmse(photo(star), TRUTH, distance > 9) < 1.05 * rmse(plain, TRUTH, distance > 9)
    plate = NOISY.copy()
    plate[:20, :30] = 65535
    others = (y > 24) | (x > 34)
    denoised = photo(plate)
    assert rmse(denoised, TRUTH, others) < 1.05 * rmse(plain, TRUTH, others)
    assert (denoised[:20, :30] == 65535).all()


@pytest.mark.parametrize(
    ("scale", "offset"), [(2e-4, 0), (1e-6, 3e-6), (1e9, -5e9), (255, 0), (1, -100)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_any_magnitude_are_denoised(
    photo: Denoiser, scale: float, offset: float, dtype: type
) -> None:
    clean = scene()
    noisy = clean + 0.06 * np.random.default_rng(3).standard_normal(clean.shape)
    result = photo((noisy * scale + offset).astype(dtype))
    assert result.dtype == dtype
    denoised = (result.astype(np.float64) - offset) / scale
    assert rmse(denoised, clean) < 0.5 * rmse(noisy, clean)


def test_a_bit_more_or_a_bright_value_changes_nothing(photo: Denoiser) -> None:
    noise = np.random.default_rng(4).standard_normal((SIDE, SIDE))
    for clean, sigma, bright in ((255 * scene(), 15, 5000), (4000 * scene(), 200, 4096)):
        noisy = np.rint(np.clip(clean + sigma * noise, 0, 4095)).astype(np.float32)
        if bright == 4096:
            noisy = noisy.astype(np.uint16)
        plain = rmse(photo(noisy), clean)
        noisy[50, 50] = bright
        others = noisy != bright
        assert rmse(photo(noisy), clean, others) < 1.05 * plain
        assert plain < 0.5 * sigma


def test_white_of_14_bits_in_16_is_found(photo: Denoiser) -> None:
    clean = 16000 * scene()
    noise = 300 * np.random.default_rng(4).standard_normal((SIDE, SIDE))
    noisy = np.rint(np.clip(clean + noise, 0, 16383)).astype(np.uint16)
    found = photo.denoise(noisy)
    assert found.scale == pytest.approx((0, 16383), abs=600)
    assert rmse(found.image, clean) < 0.4 * rmse(noisy, clean)


def test_few_counts_are_denoised(photo: Denoiser) -> None:
    clean = 5 * scene()
    counts = np.random.default_rng(5).poisson(clean).astype(np.float32)
    filtered = min(rmse(gaussian_filter(counts, width), clean) for width in (1, 1.5, 2, 2.5, 3))
    for denoiser in (photo, Denoiser(precision="f32")):
        assert rmse(denoiser(counts), clean) < 1.1 * filtered < 0.6 * rmse(counts, clean)


BORDER = np.zeros(NOISY.shape, bool)
BORDER[:6] = BORDER[:, -9:] = BORDER[60, 60] = True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_comes_back_and_does_not_count(photo: Denoiser, dtype: type) -> None:
    expected = photo(NOISY.astype(dtype))
    result = photo(np.where(BORDER, np.nan, NOISY).astype(dtype))
    np.testing.assert_array_equal(np.isnan(result), BORDER)
    assert rmse(result, TRUTH, ~BORDER) < 1.05 * rmse(expected, TRUTH, ~BORDER)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masked_values_come_back_and_do_not_count(photo: Denoiser, dtype: type) -> None:
    expected = photo(NOISY.astype(dtype))
    masked = np.ma.MaskedArray(np.where(BORDER, 1e9, NOISY).astype(dtype), BORDER)
    result = photo(masked)
    assert rmse(np.asarray(result), TRUTH, ~BORDER) < 1.05 * rmse(expected, TRUTH, ~BORDER)
    assert isinstance(result, np.ma.MaskedArray)
    np.testing.assert_array_equal(result.mask, BORDER)
    np.testing.assert_array_equal(result.data[BORDER], masked.data[BORDER])


@pytest.mark.parametrize("value", [-3.4028235e38, -1e30, -9999, -32768, 65535, 3.4028235e38])
@pytest.mark.parametrize("rows", [1, 20])
def test_areas_without_data_and_saturated_ones_do_not_count(
    photo: Denoiser, plain: np.ndarray, value: float, rows: int
) -> None:
    """A line of -9999 left the others as noisy as they were, of the largest float destroyed all."""
    image = NOISY.astype(np.float32)
    image[:rows] = value
    result, far = photo(image), np.s_[25:]
    np.testing.assert_array_equal(result[:rows], image[:rows])
    assert rmse(result[far], TRUTH[far]) < 1.05 * rmse(plain[far], TRUTH[far])
    expected = quietpixel.measure_noise(NOISY[rows:]).counts["sigma"]
    assert quietpixel.measure_noise(image).counts["sigma"] == pytest.approx(expected, rel=0.2)


def test_masked_values_within_the_scale_come_back(photo: Denoiser) -> None:
    masked = np.ma.MaskedArray(np.where(BORDER, 300, NOISY).astype(np.uint16), BORDER)
    assert (photo(masked, law="none").data[BORDER] == 300).all()


@pytest.mark.parametrize("size", [SIDE, 512])
def test_what_is_not_rare_is_content_however_bright(photo: Denoiser, size: int) -> None:
    """Of an image that is mostly NaN, the rest decides what is rare."""
    image = np.full((size, size), np.nan)
    image[:64, :64] = NOISY[:64, :64]
    image[:9, :9] += 800  # 2 % of what is known, beyond twice the given white
    result = photo(image, range=(100, 450))
    assert (result[:9, :9] != image[:9, :9]).mean() > 0.9


def test_the_largest_half_floats_stay_finite(photo: Denoiser) -> None:
    noise = np.random.default_rng(0).normal(0, 200, (64, 64))
    image = np.minimum(65300 + noise, 65504).astype(np.float16)
    assert np.isfinite(photo(image, range=(0, 65504))).all()


def test_an_image_without_a_finite_value_is_refused(photo: Denoiser) -> None:
    with pytest.raises(ImageError, match="must hold finite numbers; all of its 256 values are NaN"):
        photo(np.full((16, 16), np.nan))
    with pytest.raises(ImageError, match="NaN, infinite or masked"):
        photo(np.ma.MaskedArray(np.ones((4, 4)), True))


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    levels=st.sampled_from([1, 2, 5, 0]),
    change=st.tuples(st.floats(-6, 9), st.floats(-100, 100)),
)
@settings(deadline=None)
def test_an_affine_change_of_the_values_changes_the_result_alike(
    photo: Denoiser,
    seed: int,
    shape: tuple[int, int],
    levels: int,
    change: tuple[float, float],
) -> None:
    exponent, offset = change
    rng = np.random.default_rng(seed)
    image = rng.random(shape) if levels == 0 else rng.integers(0, levels, shape) * 1.0
    width = float(np.ptp(image))
    factor, shift = 10.0**exponent, offset * width * 10.0**exponent
    changed = photo(image * factor + shift)
    expected = photo(image) * factor + shift
    np.testing.assert_allclose(changed, expected, rtol=0, atol=1e-3 * width * factor)


def test_large_integers_survive_in_float64(photo: Denoiser) -> None:
    image = 2.0**52 + np.random.default_rng(0).integers(0, 1000, (40, 40))
    plain = photo(image - 2.0**52)
    assert np.abs(photo(image) - 2.0**52 - plain).max() <= 1


def test_the_scale_is_reported_and_a_given_range_overrides_it(photo: Denoiser) -> None:
    found = photo.denoise(NOISY)
    black, white = found.scale
    assert f"Intensity scale: black {black:g}, white {white:g} of 65535." in found.notes
    given = photo.denoise(NOISY, quietpixel.DenoiseOptions(range=(0, 1000)))
    assert given.scale == (0, 1000)
    assert "Intensity scale: black 0, white 1000 of 65535." in given.notes


def test_eight_bits_use_their_full_range(photo: Denoiser) -> None:
    found = photo.denoise((NOISY // 4).astype(np.uint8))
    assert found.scale == (0, 255)
    assert not any("scale" in note for note in found.notes)


def test_a_given_level_means_the_same_on_every_scale(models) -> None:
    """The model `adder` adds its noise level to the image."""
    adder = Denoiser(models["adder"], precision="f32")
    image = 0.3 + 0.1 * np.random.default_rng(0).random((30, 30))
    np.testing.assert_allclose(adder(image, sigma=0.1) - image, 0.1, atol=1e-6)
    counts = (4095 * image).astype(np.uint16)
    counts[0, 0] = 4095
    added = adder(counts, sigma=0.1).astype(float) - counts
    np.testing.assert_allclose(added.ravel()[1:], 409.5, atol=0.6)


def test_images_that_share_a_scale_get_that_of_all(photo: Denoiser) -> None:
    pages = [NOISY, NOISY * np.uint16(2), NOISY * np.uint16(4)]
    scale = photo.find_scale(pages)
    single = [photo.find_scale([page]) for page in pages]
    assert scale.black <= min(each.black for each in single) + 20
    assert scale.white == pytest.approx(single[-1].white, rel=0.05)
    assert photo.denoise(pages[0], scale=scale).scale == scale.range
    stack = np.stack(pages)[..., None]
    for page, cleaned in zip(pages, photo.batch(stack), strict=True):  # each by a law of its own
        np.testing.assert_array_equal(cleaned[..., 0], photo(page, range=scale.range))
