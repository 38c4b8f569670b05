"""The one path of an image: options, job, result, and the controls of strength."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, UnknownNameError
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.inference.arrays import read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.job import run
from quietpixel.inference.level import Noise, NoiseLevel
from quietpixel.inference.options import NUMBERS, DenoiseOptions
from quietpixel.inference.tile_plan import choose_grid

from ..tiny_models import write_sigma


def exact(path, **options):
    """Open a model in float32, where results are compared to the last digits."""
    return Denoiser(path, precision="f32", **options)


def noisy(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


# Options.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sigma": 2.0}, "`sigma` must be"),
        ({"strength": 2.1}, "`strength` must lie between 0"),
        ({"colour_strength": -0.1}, "`colour_strength` must lie between 0"),
        ({"range": (3, 1)}, "`range` must be two numbers"),
        ({"memory": "much"}, "`memory` must be a size above 0"),
        ({"threads": 0}, "`threads` must be a whole number of at least 1"),
        *(({name: True}, f"`{name}` must be a number, and True") for name in NUMBERS),
        ({"sigma": np.ones((2, 2), bool)}, "`sigma` must be a number"),
        ({"range": (0, True)}, r"`range` must be a number, .*; got \(0, True\)"),
    ],
)
def test_options_are_checked_when_they_are_made(options, words):
    with pytest.raises(ArgumentError, match=words):
        DenoiseOptions(**options)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        DenoiseOptions().strength = 2.0
    with pytest.raises(UnknownNameError, match="Unknown quality 'bset'"):
        DenoiseOptions(quality="bset")


# Results as records.


def test_a_result_says_where_the_level_comes_from(models):
    adder, image = exact(models["adder"]), noisy(30, 30)
    found = adder.denoise(image)
    level = pytest.approx(adder.estimate_sigma(image))
    assert (found.noise.sigma, found.noise.source) == (level, "estimated")
    width = np.ptp(found.scale)  # in units of the level
    assert found.noise.share == pytest.approx(found.noise.sigma / width)
    np.testing.assert_array_equal(found.image, adder(image))
    given = adder.denoise(image, DenoiseOptions(sigma=0.25))
    assert given.noise == Noise(0.25, "given", share=pytest.approx(0.25 / width))
    assert given.notes == found.notes[:1]
    assert exact(models["blur"]).denoise(image).noise == Noise(None, "unknown")
    assert exact(models["blind"]).denoise(image).noise == Noise(None, "unknown")


def test_a_result_names_a_scale_that_is_not_that_of_the_type(models):
    blur = exact(models["blur"])
    counts = blur.denoise((noisy(9, 9) * 4000).astype(np.uint16))
    assert counts.scale == (0, 4095)
    assert counts.notes == ("Intensity scale: black 0, white 4095 of 65535.",)
    assert blur.denoise(noisy(9, 9)).notes == ()


def test_a_job_holds_the_decisions_and_may_run_again(models):
    image = noisy(30, 30)
    job = exact(models["adder"]).prepare(image, DenoiseOptions(sigma=0.1))
    first, second = run(job).image, run(job).image
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first - image, 0.1, atol=1e-6)


# A stack takes the path of a single image.


@pytest.mark.parametrize("name", ["adder", "blur", "colour"])
def test_a_batch_equals_single_calls_for_neutral_rgb_too(models, name):
    denoiser = exact(models[name])
    images = noisy(5, 20, 20, 3)
    images[[1, 3]] = images[[1, 3], ..., :1]
    expected = np.stack([denoiser(image) for image in images])
    np.testing.assert_allclose(denoiser.batch(images), expected, atol=1e-6)
    assert (denoiser.batch(images)[1, ..., 0] == denoiser.batch(images)[1, ..., 2]).all()


# Strength.


@pytest.mark.parametrize("shape", [(12, 9), (12, 9, 3), (12, 9, 4)])
def test_strength_is_continuous_at_0_and_at_1(models, shape):
    blur, image = exact(models["blur"]), noisy(*shape)
    np.testing.assert_allclose(blur(image, strength=1e-9), image, atol=1e-6)
    np.testing.assert_allclose(blur(image, strength=1 - 1e-7), blur(image), atol=1e-6)
    np.testing.assert_allclose(
        blur(image, strength=0.25), 0.75 * image + 0.25 * blur(image), atol=1e-6
    )


def test_strength_above_1_multiplies_the_level(models):
    adder, image = exact(models["adder"]), noisy(12, 9, 3)
    np.testing.assert_allclose(adder(image, sigma=0.1, strength=1.5) - image, 0.15, atol=1e-6)
    estimate = adder.estimate_sigma(image)
    np.testing.assert_allclose(adder(image, strength=2) - image, 2 * estimate, atol=1e-6)


@pytest.fixture(scope="module")
def red(tmp_path_factory):
    """Give an RGB model that adds the noise level to red alone."""
    return write_sigma(tmp_path_factory.mktemp("red") / "red.onnx", red=True)


@pytest.mark.parametrize(
    ("strength", "colour_strength"), [(1, 0), (0, 1), (0.5, 1), (1, 2), (1.5, 0.5), (0, 2), (2, 1)]
)
def test_colour_strength_moves_colour_and_leaves_luminance(red, strength, colour_strength):
    denoiser, image = exact(red), noisy(12, 9, 3)
    result = denoiser(image, sigma=0.1, strength=strength, colour_strength=colour_strength)
    alone = denoiser(image, sigma=0.1, strength=strength)
    np.testing.assert_allclose(result @ LUMINANCE, alone @ LUMINANCE, atol=1e-6)
    coloured = denoiser(image, sigma=0.1, strength=colour_strength)
    np.testing.assert_allclose(np.diff(result), np.diff(coloured), atol=1e-6)


def test_a_second_pass_is_computed_only_for_another_level(models):
    adder, image = exact(models["adder"]), noisy(12, 9, 3)
    passes = {(0.5, 1.0): 1, (1.5, 1.5): 1, (0, 1.5): 1, (1.5, 1.0): 2, (0.5, 2.0): 2, (0, 0): 0}
    for (strength, colour), count in passes.items():
        options = DenoiseOptions(sigma=0.1, strength=strength, colour_strength=colour)
        assert len(adder.prepare(image, options).factors) == count


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 2)])
def test_colour_strength_of_a_gray_image_is_ignored_with_a_note(models, shape):
    blur, image = exact(models["blur"]), noisy(*shape)
    result = blur.denoise(image, DenoiseOptions(colour_strength=2))
    np.testing.assert_array_equal(result.image, blur(image))
    assert result.notes == ("The image is gray, so the colour strength has no effect.",)


@pytest.mark.parametrize("name", ["blur", "blind"])
@pytest.mark.parametrize("word", ["strength", "colour_strength"])
def test_strength_above_1_needs_a_level_to_raise(models, name, word):
    with pytest.raises(ArgumentError, match=f"`{word}` must be at most 1 because .* got 1.5"):
        exact(models[name])(noisy(9, 9, 3), **{word: 1.5})


# Parts of an image, and a step before the model.


def test_a_part_takes_the_level_of_the_whole_image(models):
    adder, image = exact(models["adder"]), noisy(40, 30)
    level = noisy(40, 30)[..., None]
    part = image[16:, 8:, None, None]
    job = adder.prepare_stack(
        part, read_layout(image), DenoiseOptions(), level=NoiseLevel(level), origin=(16, 8)
    )
    np.testing.assert_allclose(run(job).image[:, :, 0], (part + level[16:, 8:, None])[:, :, 0])


def test_a_repair_sees_places_of_the_whole_image_and_is_blended_too(models):
    image, rows = noisy(50, 40), noisy(50)
    blur = exact(models["blur"])
    whole = blur(image - rows[:, None] / 10)

    def repair(tile_pixels, tile):
        return tile_pixels - rows[tile.rows.start : tile.rows.stop, None, None, None] / 10

    for pixels, top in ((10**6, 0), (200, 0), (200, 20)):
        grid = choose_grid(blur.card, (50 - top, 40), pixels, margin=6)
        job = blur.prepare_stack(
            image[top:, :, None, None], read_layout(image), DenoiseOptions(strength=0.5),
            tiles=grid.tiles(), origin=(top, 0),
        )  # fmt: skip
        assert grid.halo == blur.card.halo + 6
        result = run(replace(job, repair=repair)).image[..., 0, 0]
        expected = (image + whole) / 2
        inside = slice(blur.card.halo if top else 0, None)  # the part has a border of its own
        np.testing.assert_allclose(result[inside], expected[top:][inside], atol=1e-6)


def test_a_denoiser_has_defaults_for_an_image(models):
    image = noisy(12, 9)
    options = DenoiseOptions(model=models["adder"], precision="f32", sigma=0.1, strength=1.5)
    denoiser = Denoiser.from_options(options)
    np.testing.assert_allclose(denoiser(image) - image, 0.15, atol=1e-6)
    np.testing.assert_allclose(denoiser(image, strength=1) - image, 0.1, atol=1e-6)
    stack = denoiser.batch(image[None, ..., None], sigma=0.2)
    np.testing.assert_allclose(stack[0, ..., 0] - image, 0.3, atol=1e-6)
