import keras
import numpy as np
import pytest

from quietpixel.errors import ModelError
from quietpixel.models import build
from quietpixel.training.initial_weights import transfer


@pytest.mark.parametrize("sigma", [True, False])
def test_the_gray_model_answers_as_the_colour_model_does_to_gray(sigma: bool) -> None:
    keras.utils.set_random_seed(0)
    options = {"filters": (4, 6), "blocks": (0, 1), "sigma": sigma, "output": "residual"}
    colour, gray = (build("unet", channels=channels, **options) for channels in (3, 1))
    for weight in colour.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    transfer(colour, gray)
    image = np.random.default_rng(1).random((1, 16, 16, 1), np.float32)
    level = [np.full((1, 16, 16, 1), 0.1, np.float32)] if sigma else []
    three = np.repeat(image, 3, axis=-1)
    expected = np.asarray(colour([three, *level] if sigma else three)).mean(-1, keepdims=True)
    answered = np.asarray(gray([image, *level] if sigma else image))
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_models_of_other_layers_are_refused() -> None:
    colour = build("unet", channels=3, filters=(4, 6), blocks=(0, 1))
    gray = build("unet", channels=1, filters=(4, 8), blocks=(0, 1))
    with pytest.raises(ModelError, match=r"layers differ .* weights of shape \(2, 2, 4, 6\) for"):
        transfer(colour, gray)


@pytest.mark.parametrize("block", ["residual", "convnext"])
def test_further_blocks_do_nothing_at_first_and_can_learn(block: str) -> None:
    small, large = (
        build("unet", filters=(4, 6, 8), blocks=blocks, output="residual", block=block)
        for blocks in [(0, 1, 1), (1, 2, 3)]
    )
    rng = np.random.default_rng(0)
    for weight in small.trainable_weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    transfer(small, large)
    image = rng.random((1, 16, 16, 1), np.float32)
    np.testing.assert_allclose(np.asarray(large(image)), np.asarray(small(image)), atol=1e-6)
    large.compile("sgd", "mse", run_eagerly=True)
    before = large.get_layer("lowest_block_2_last").get_weights()[0].copy()
    large.fit(image, image, verbose=0)
    assert np.abs(large.get_layer("lowest_block_2_last").get_weights()[0] - before).max() > 0


def test_a_model_with_fewer_blocks_is_refused() -> None:
    small, large = (build("unet", filters=(4, 6), blocks=(0, count)) for count in (1, 2))
    with pytest.raises(ModelError, match="only one of both has a layer 'lowest_block_1_first'"):
        transfer(large, small)
