import numpy as np
import pytest

from quietpixel.errors import ImageError
from quietpixel.inference.denoiser import Denoiser


@pytest.fixture(scope="module")
def blur(models):
    return Denoiser(models["blur"])


def noisy(*shape, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "u":
        values = values * np.iinfo(dtype).max
    return values.astype(dtype)


@pytest.mark.parametrize(
    "shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4), (1, 1), (1, 50)]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["blur", "colour"])
def test_type_and_shape_stay_and_the_input_too(models, name, dtype, shape):
    image = noisy(*shape, dtype=dtype)
    before = image.copy()
    image.flags.writeable = False
    denoised = Denoiser(models[name])(image)
    assert (denoised.shape, denoised.dtype) == (image.shape, image.dtype)
    assert np.array_equal(image, before)
    assert not np.shares_memory(image, denoised)


def test_size_is_refused_with_a_remedy(models):
    denoiser = Denoiser(models["dense"])
    with pytest.raises(ImageError, match=r"must be 28x28 .* got 27x28. Resize or pad it to 28x28"):
        denoiser(noisy(27, 28))


def test_fixed_size_runs_alone_and_in_batches(models):
    denoiser, images = Denoiser(models["dense"]), noisy(5, 28, 28, 1)
    expected = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    np.testing.assert_allclose(denoiser.batch(images), expected, atol=1e-5)
    np.testing.assert_allclose(denoiser(images[2]), expected[2], atol=1e-5)
