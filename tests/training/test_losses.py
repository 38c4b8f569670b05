import numpy as np
import pytest

keras = pytest.importorskip("keras")

from quietpixel.training.in_memory import fit_images  # noqa: E402
from quietpixel.training.losses import WEIGHTED, find_loss, negative_psnr  # noqa: E402
from quietpixel.training.named_recipes import named_recipe  # noqa: E402
from quietpixel.training.recipe import Recipe  # noqa: E402


def test_the_loss_in_decibels_is_the_mean_of_each_images_own() -> None:
    target = np.zeros((2, 4, 4, 3), np.float32)
    output = np.stack([target[0] + 0.1, target[1] + 0.01])
    losses = np.asarray(negative_psnr(target, output))
    np.testing.assert_allclose(losses, [-20, -40], atol=0.5)
    assert float(negative_psnr(target, target)[0]) == pytest.approx(-50, abs=1e-3)


@pytest.mark.parametrize("name", WEIGHTED)
def test_only_weighted_pixels_count(name: str) -> None:
    rng = np.random.default_rng(0)
    clean, output = rng.random((2, 2, 8, 8, 1), np.float32)
    weights = np.zeros_like(clean)
    weights[:, :4] = 2  # the upper half
    found = np.asarray(WEIGHTED[name](np.concatenate([clean, weights], axis=-1), output))
    upper = keras.losses.get(find_loss(name))(clean[:, :4], output[:, :4])
    np.testing.assert_allclose(found.mean(), np.asarray(upper).mean(), rtol=1e-4)


def test_a_recipe_may_name_it() -> None:
    images = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    options = {"filters": (8, 8), "blocks": (0, 0), "output": "residual"}
    recipe = Recipe(model="unet", options=options, loss="negative_psnr", epochs=2, batch=4)
    assert fit_images(images, recipe).denoise(images).shape == images.shape


def test_a_photo_model_is_polished_with_it() -> None:
    first, second = named_recipe("photo"), named_recipe("photo-polish")
    assert (first.loss, second.loss) == ("mean_absolute_error", "negative_psnr")
    assert second.options == first.options
    assert second.learning_rate < first.learning_rate


def test_the_model_for_tables_learns_from_gaussian_noise_alone() -> None:
    recipe = named_recipe("gaussian")
    assert all(law.startswith("gaussian:") for law in recipe.noise.split("|"))
    assert (recipe.loss, recipe.blur_fraction) == ("negative_psnr", 0.0)
