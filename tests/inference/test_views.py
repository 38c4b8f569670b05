"""Averaging over flips and turns, and gray that is stored three times."""

import shutil

import numpy as np
import pytest

from quietpixel.card import Card
from quietpixel.containers import denoise
from quietpixel.errors import ArgumentError, UnknownNameError
from quietpixel.inference.arrays import read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.engine import flips_and_turns
from quietpixel.inference.tile_plan import bytes_per_pixel

PIXEL = bytes_per_pixel(Card(name="any", architecture="unet", channels=1), "f32")
"""What a pixel of a tile takes with the models of these tests."""


def exact(path, **options):
    """Open a model in float32, where results are compared to the last digits."""
    return Denoiser(path, precision="f32", **options)


def noisy(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def turned_mean(denoiser, image):
    """Return the mean over the eight flips and turns, each of the whole image."""
    answers = []
    for flipped in (image, image[:, ::-1]):
        for turns in range(4):
            back = np.rot90(denoiser(np.ascontiguousarray(np.rot90(flipped, turns))), -turns)
            answers.append(back if flipped is image else back[:, ::-1])
    return np.mean(answers, axis=0)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("blur", (21, 17)), ("colour", (21, 17, 3)), ("pyramid", (20, 12)), ("dense", (28, 28))],
)
def test_best_is_the_mean_over_flips_and_turns(models, name, shape):
    image = noisy(*shape)
    best = exact(models[name], quality="best")(image)
    np.testing.assert_allclose(best, turned_mean(exact(models[name]), image), atol=1e-5)
    if name in ("blur", "colour"):
        assert np.abs(best - exact(models[name])(image)).max() > 1e-3


@pytest.mark.parametrize("name", ["blur", "colour", "pyramid"])
@pytest.mark.parametrize("shape", [(50, 61), (33, 40, 3), (1, 90), (90, 1), (1, 1)])
def test_best_in_tiles_equals_whole(models, name, shape):
    image = noisy(*shape)
    tiled = exact(models[name], quality="best", memory=200 * PIXEL)(image)
    whole = exact(models[name], quality="best")(image)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_best_turns_the_noise_level_too(models):
    image, level = noisy(12, 9), np.random.default_rng(1).random((12, 9), np.float32)
    best = exact(models["adder"], quality="best")
    np.testing.assert_allclose(best(image, sigma=level) - image, level, atol=1e-6)


def test_best_of_a_batch_is_that_of_each(models):
    best, images = exact(models["blur"], quality="best"), noisy(3, 9, 7, 1)
    expected = np.stack([best(image) for image in images])
    np.testing.assert_allclose(best.batch(images), expected, atol=1e-6)


def test_a_size_that_is_not_square_is_not_laid_on_its_side():
    card = Card(name="wide", architecture="x", channels=1, size=(20, 30))
    assert flips_and_turns(card) == [(False, 0), (False, 2), (True, 0), (True, 2)]


def test_an_unknown_quality_is_refused(models):
    with pytest.raises(UnknownNameError, match="Unknown quality 'bset': did you mean 'best'"):
        Denoiser(models["blur"], quality="bset")


def test_best_is_an_option_of_the_function_too(models):
    image = noisy(9, 9)
    best = denoise(image, models["blur"], quality="best", precision="f32")
    assert np.array_equal(best, exact(models["blur"], quality="best")(image))


# Gray stored as RGB.


@pytest.mark.parametrize("name", ["blur", "colour"])
@pytest.mark.parametrize("alpha", [False, True])
def test_gray_stored_three_times_stays_gray(models, name, alpha):
    gray = noisy(20, 15, 1)
    image = np.concatenate([gray] * 3 + [np.ones_like(gray)] * alpha, axis=2)
    denoised = exact(models[name])(image)
    assert np.array_equal(denoised[..., 0], denoised[..., 1])
    assert np.array_equal(denoised[..., 0], denoised[..., 2])
    np.testing.assert_allclose(denoised[..., :1], exact(models[name])(gray), atol=1e-6)
    assert np.array_equal(denoised[..., 3:], image[..., 3:])


def test_gray_stored_three_times_has_the_noise_of_one(models):
    gray = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((64, 64, 1)).astype(np.float32)
    adder = exact(models["adder"])
    once = adder.estimate_sigma(gray)
    assert once == pytest.approx(0.1, rel=0.1)
    assert adder.estimate_sigma(gray.repeat(3, axis=2)) == once


def test_one_coloured_pixel_is_colour():
    image = noisy(200, 30, 1).repeat(3, axis=2)
    assert read_layout(image).neutral
    image[199, 29, 2] += 0.01
    assert not read_layout(image).neutral


def test_the_default_model_is_the_same_for_gray_and_colour(models, monkeypatch, tmp_path):
    shutil.copy(models["blur"], tmp_path / "photo-gray.onnx")
    shutil.copy(models["adder"], tmp_path / "photo.onnx")
    monkeypatch.setattr("quietpixel.inference.model_store.BUNDLED", tmp_path)
    gray, colour = noisy(9, 9, 1), noisy(9, 9, 3)
    denoiser = Denoiser(precision="f32")
    assert denoiser.card.name == "adder"
    for image in (gray, gray[..., 0], gray.repeat(3, axis=2), colour):
        np.testing.assert_allclose(denoiser(image, sigma=0.25), image + 0.25, atol=1e-6)
        np.testing.assert_allclose(
            denoise(image, sigma=0.25, precision="f32"), image + 0.25, atol=1e-6
        )


def test_the_one_default_that_is_there_serves_all(models, monkeypatch, tmp_path):
    shutil.copy(models["colour"], tmp_path / "photo.onnx")
    monkeypatch.setattr("quietpixel.inference.model_store.BUNDLED", tmp_path)
    gray = noisy(9, 9)
    assert np.array_equal(denoise(gray, precision="f32"), exact(models["colour"])(gray))


# The place of the result.


@pytest.mark.parametrize("name", ["blur", "colour", "pyramid"])
@pytest.mark.parametrize("memory", ["512MB", 200 * PIXEL, 900 * PIXEL])
@pytest.mark.parametrize(
    "shape", [(50, 61), (33, 40, 3), (30, 41, 4), (61, 20, 2), (1, 90), (90, 1), (1, 1)]
)
def test_a_result_in_the_place_of_the_image_is_the_same(models, name, memory, shape):
    image = noisy(*shape)
    if shape[-1] in (2, 4):
        image[..., -1] = image[..., -1] > 0.5
    denoiser = exact(models[name], memory=memory)
    expected = denoiser(image)
    other = np.full_like(image, 7)
    assert denoiser(image, out=other) is other
    assert np.array_equal(other, expected)
    assert denoiser(image, out=image) is image
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_gray_stored_three_times_has_a_place_too(models, strength):
    image = noisy(20, 15, 1).repeat(3, axis=2)
    expected = exact(models["blur"])(image, strength=strength)
    assert exact(models["blur"])(image, strength=strength, out=image) is image
    assert np.array_equal(image, expected)


def test_a_place_that_does_not_lie_in_one_piece(models):
    image = noisy(20, 15)
    wide = np.zeros((20, 30), np.float32)
    exact(models["blur"])(image, out=wide[:, ::2])
    assert np.array_equal(wide[:, ::2], exact(models["blur"])(image))
    assert (wide[:, 1::2] == 0).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda image: image[:5], "must have the type and shape of the result, float32"),
        (lambda image: image.astype(np.float64), "got float64"),
        (lambda image: [1], "got list"),
        (lambda image: image[::-1], "overlaps `image`"),
        (lambda image: np.broadcast_to(np.float32(0), image.shape), "cannot be written to"),
    ],
)
def test_a_place_that_cannot_take_the_result_is_refused(models, change, what):
    image = noisy(9, 9)
    with pytest.raises(ArgumentError, match=what):
        exact(models["blur"])(image, out=change(image))
