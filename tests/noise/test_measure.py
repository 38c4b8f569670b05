import numpy as np
import pytest

from quietpixel import containers
from quietpixel.errors import ImageError
from quietpixel.noise.fit import PoissonGaussian, fit_levels
from quietpixel.noise.flat_blocks import Levels
from quietpixel.noise.measure import fit_law, measure_noise
from quietpixel.noise.parser import image_rng, parse_noise


def make_clean(side: int = 192, channels: int = 1) -> np.ndarray:
    """Return a picture with slopes, edges and a patch of texture, float32 in [0, 1]."""
    across = np.linspace(0, 1, side, dtype=np.float32)
    image = 0.08 + 0.8 * np.add.outer(0.3 * across, 0.7 * across)
    image[side // 3 : side // 2, side // 4 : side // 2] = 0.15
    image[-side // 4 :, : side // 4] += 0.2 * np.random.default_rng(9).random(
        (side // 4, side // 4), np.float32
    )
    return np.repeat(image[..., None], channels, axis=2)


def make_noisy(text: str, **options: int) -> np.ndarray:
    return parse_noise(text)(make_clean(**options), image_rng(0, 0, 0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_gaussian_noise_is_found_alone(sigma: int, channels: int) -> None:
    measure = measure_noise(make_noisy(f"gaussian:{sigma}/255", channels=channels))
    assert 255 * measure.sigma == pytest.approx(sigma, rel=0.06)
    assert measure.gain == 0
    assert measure.read_noise == measure.sigma
    assert measure.kind == "white"


@pytest.mark.parametrize("peak", [20, 100, 1000])
def test_photon_noise_is_found_alone(peak: int) -> None:
    measure = measure_noise(make_noisy(f"poisson:{peak}"))
    assert 1 / measure.gain == pytest.approx(peak, rel=0.15)
    assert measure.read_noise < 0.15 * measure.sigma
    assert measure.kind == "white"


def test_both_parts_of_a_law_are_found() -> None:
    measure = measure_noise(make_noisy("poisson:100+gaussian:0.06", side=384))
    assert measure.gain == pytest.approx(0.01, rel=0.25)
    assert measure.read_noise == pytest.approx(0.06, rel=0.15)


def test_noise_beyond_the_ends_is_known_not_to_be_clipped() -> None:
    measure = measure_noise(make_noisy("gaussian:0.15,clip=no"))
    assert not measure.clipped
    assert str(measure.law).endswith(",clip=no")
    assert measure.sigma == pytest.approx(0.15, rel=0.06)


def test_a_law_stronger_than_from_black_to_white_is_read_again() -> None:
    """Images with mean 0 and a standard deviation of 1 have such noise."""
    measure = measure_noise((6 * make_noisy("gaussian:0.25,clip=no") - 3).astype(np.float32))
    assert measure.sigma == pytest.approx(1.5, rel=0.06)
    assert parse_noise(str(measure.law)) == measure.law


def test_several_images_give_one_law() -> None:
    images = [make_noisy("poisson:40"), 0.3 * make_clean(64) + 0.2]
    images[1] = parse_noise("poisson:40")(images[1], image_rng(0, 0, 1))
    law = fit_law(images)
    assert str(parse_noise(str(law))) == str(law)
    assert str(law).startswith("poisson:")
    assert float(str(law).split(":")[1].split("+")[0]) == pytest.approx(40, rel=0.15)


@pytest.mark.parametrize("side", [24, 28, 61])
def test_small_images_are_measured_roughly(side: int) -> None:
    noisy = parse_noise("gaussian:0.1")(
        np.full((side, side, 1), 0.5, np.float32), image_rng(0, 0, 0)
    )
    assert measure_noise(noisy).sigma == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_without_noise_has_none(value: float) -> None:
    measure = measure_noise(np.full((48, 48, 1), value, np.float32))
    assert measure.sigma == measure.gain == measure.read_noise == 0
    assert str(measure.law) == "gaussian:0"


def test_a_frame_of_one_value_does_not_count() -> None:
    noisy = np.pad(make_noisy("gaussian:0.1"), ((90, 90), (90, 90), (0, 0)))
    assert measure_noise(noisy).sigma == pytest.approx(0.1, rel=0.06)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_are_told_with_their_direction_and_strength(axis: int) -> None:
    rng = np.random.default_rng(0)
    shape = [192, 192, 1]
    shape[1 - axis] = 1
    lines = 0.05 * rng.standard_normal(shape)
    measure = measure_noise(make_clean() + lines + 0.03 * rng.standard_normal((192, 192, 1)))
    assert measure.kind == "stripes"
    assert measure.stripes[axis] == pytest.approx(0.05, rel=0.15)
    assert measure.stripes[1 - axis] < 0.01
    assert measure.read_noise == pytest.approx(0.03, rel=0.1)
    assert measure.sigma == pytest.approx(np.hypot(0.05, 0.03), rel=0.15)


@pytest.mark.parametrize("kernel", [(1, 2, 1), (1, 1, 1)])
def test_blurred_noise_is_correlated_and_still_measured(kernel: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).standard_normal((192, 192))
    weights = np.array(kernel) / sum(kernel)
    for axis in (0, 1):
        noise = np.apply_along_axis(np.convolve, axis, noise, weights, "same")
    noise *= 0.1 / noise.std()
    measure = measure_noise(make_clean() + noise[..., None])
    assert measure.kind == "correlated"
    assert measure.sigma == pytest.approx(0.1, rel=0.15)


def test_sharpened_noise_is_correlated() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal((192, 192, 1))
    sharp = noise - 0.5 * np.roll(noise, 1, 0) - 0.5 * np.roll(noise, 1, 1)
    assert measure_noise(make_clean() + sharp).kind == "correlated"


def test_a_minority_of_wrong_levels_moves_nothing() -> None:
    brightness = np.linspace(0.1, 0.9, 16)
    variance = 0.01 * brightness + 0.02**2
    variance[[2, 7, 11]] *= 4
    law = fit_levels(Levels(brightness, variance), clipped=False)
    assert law.gain == pytest.approx(0.01, rel=0.02)
    assert law.read_noise == pytest.approx(0.02, rel=0.05)


def test_what_clipping_hides_is_as_computed() -> None:
    law = PoissonGaussian(gain=0.0, read_noise=0.3)
    seen = np.clip(0.3 * np.random.default_rng(0).standard_normal(400_000), 0, 1)
    assert law.clipped(seen.mean()) == pytest.approx(seen.std(), rel=0.02)


@pytest.mark.parametrize(
    "image", [np.zeros((23, 40, 1)), np.zeros((40, 40)), [np.zeros((40, 23, 3))]]
)
def test_an_image_that_is_too_small_is_refused(image: np.ndarray) -> None:
    with pytest.raises(
        ImageError, match=r"at least 24 x 24 pixels because noise is read from flat"
    ):
        measure_noise(image)


def test_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="must hold at least one image to measure; got none"):
        fit_law([])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("offset", [False, True])
def test_values_that_are_not_finite_are_neither_noise_nor_outliers(
    value: float, offset: bool
) -> None:
    image = make_noisy("gaussian:0.05").astype(np.float64)
    image[:24] = value
    image[np.random.default_rng(1).random(image.shape) < 0.005] = value
    measure = measure_noise(image, offset=offset)
    assert (measure.kind, measure.outliers) == ("white", (0, 0))
    assert measure.sigma == pytest.approx(0.05, rel=0.06)


def test_an_image_whose_holes_leave_no_block_is_refused_in_a_sentence() -> None:
    image = np.random.default_rng(0).normal(100, 5, (64, 64)).astype(np.float32)
    image[::7] = np.nan
    with pytest.raises(ImageError, match="must hold blocks of 8 x 8 pixels that are finite"):
        containers.measure_noise(image)


@pytest.mark.parametrize("image", [[[1, 2], [3, 4]], None, 3.0])
def test_what_is_no_array_is_refused_in_a_sentence(image) -> None:
    with pytest.raises(ImageError, match=r"`image` must be a NumPy array; got \w+\. Try"):
        containers.measure_noise(image)
