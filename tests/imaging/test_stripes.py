"""Row noise is found and removed; images without it are left alone."""

import numpy as np
import pytest

from quietpixel.imaging.stripes import stripe_offsets


def scene() -> np.ndarray:
    y, x = np.mgrid[:160, :400].astype(np.float32) / 200
    image = 0.3 + 0.3 * x + 0.1 * np.sin(9 * y + 5 * x)
    image[60:90, 40:120] += 0.2
    return np.repeat(image[..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("sigma", [3 / 255, 8 / 255])
def test_row_noise_is_removed_beside_white_noise(sigma: float) -> None:
    rng, clean = np.random.default_rng(0), scene()
    rows = sigma * rng.standard_normal((len(clean), 1, 1)).astype(np.float32)
    noisy = clean + rows + 3 / 255 * rng.standard_normal(clean.shape).astype(np.float32)
    offsets = stripe_offsets(noisy)
    assert offsets is not None
    assert offsets.shape == (160, 3)
    left = rows[:, 0] - offsets
    assert left.std() < 0.55 * sigma


def test_columns_are_rows_of_the_transposed_image() -> None:
    columns = 8 / 255 * np.random.default_rng(1).standard_normal((1, 400, 1)).astype(np.float32)
    noisy = scene() + columns
    assert stripe_offsets(noisy) is None
    assert stripe_offsets(noisy.swapaxes(0, 1)) is not None


@pytest.mark.parametrize("sigma", [0.0, 10 / 255])
def test_an_image_without_row_noise_has_none(sigma: float) -> None:
    noise = sigma * np.random.default_rng(0).standard_normal(scene().shape).astype(np.float32)
    assert stripe_offsets(scene() + noise) is None


def test_flat_and_tiny_images_have_none() -> None:
    assert stripe_offsets(np.full((64, 64, 3), 0.5, np.float32)) is None
    assert stripe_offsets(np.zeros((8, 64, 1), np.float32)) is None
