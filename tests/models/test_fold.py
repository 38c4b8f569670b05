import keras
import numpy as np
import pytest

from quietpixel.errors import ModelError
from quietpixel.models import build
from quietpixel.models.fold import fold_to_gray


@pytest.mark.parametrize("sigma", [True, False])
def test_the_gray_model_answers_as_the_colour_model_does_to_gray(sigma: bool) -> None:
    keras.utils.set_random_seed(0)
    options = {"filters": (4, 6), "blocks": (0, 1), "sigma": sigma, "output": "residual"}
    colour, gray = (build("unet", channels=channels, **options) for channels in (3, 1))
    for weight in colour.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    fold_to_gray(colour, gray)
    image = np.random.default_rng(1).random((1, 16, 16, 1), np.float32)
    level = [np.full((1, 16, 16, 1), 0.1, np.float32)] if sigma else []
    three = np.repeat(image, 3, axis=-1)
    expected = np.asarray(colour([three, *level] if sigma else three)).mean(-1, keepdims=True)
    answered = np.asarray(gray([image, *level] if sigma else image))
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_models_of_other_layers_are_refused() -> None:
    colour = build("unet", channels=3, filters=(4, 6), blocks=(0, 1))
    gray = build("unet", channels=1, filters=(4, 8), blocks=(0, 1))
    with pytest.raises(ModelError, match=r"layers are alike; got weights of shape .*same options"):
        fold_to_gray(colour, gray)
