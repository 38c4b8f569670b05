"""Noise of a camera: real in its three marks, seeded, and within the range."""

import numpy as np
import pytest

from quietpixel.errors import ArgumentError
from quietpixel.noise.camera import Camera
from quietpixel.noise.parser import image_rng, parse_noise


def draw(clean: np.ndarray, count: int = 40) -> np.ndarray:
    law = Camera(0.02)
    return np.stack([law(clean, image_rng(0, 0, i)) - clean for i in range(count)])


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_seeded_and_keeps_shape_type_and_range(channels: int) -> None:
    clean = np.random.default_rng(0).random((33, 46, channels), np.float32)
    first, second = (Camera(0.02)(clean, image_rng(1, 2, 3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == clean.shape
    assert first.dtype == np.float32


def test_a_gray_image_without_a_channel_axis_is_taken() -> None:
    assert Camera(0.02)(np.full((16, 16), 0.5, np.float32), image_rng(0, 0, 0)).shape == (16, 16)


def test_the_noise_depends_on_brightness() -> None:
    levels = [draw(np.full((48, 48, 3), value, np.float32)).std() for value in (0.1, 0.7)]
    assert levels[0] > 1.3 * levels[1]


def test_neighbours_and_channels_are_correlated() -> None:
    noise = draw(np.full((48, 48, 3), 0.5, np.float32))
    flat = noise - noise.mean(axis=(1, 2), keepdims=True)
    spread = (flat**2).mean()
    assert (flat[:, :, 1:] * flat[:, :, :-1]).mean() > 0.2 * spread
    colour = np.abs((flat[..., 0] * flat[..., 1]).mean(axis=(1, 2)))
    assert colour.mean() > 0.02 * spread


@pytest.mark.parametrize("brightness", [0.02, 0.2, 0.5, 0.98])
def test_the_mean_stays_at_any_brightness(brightness: float) -> None:
    noise = draw(np.full((48, 48, 3), brightness, np.float32), 100)
    assert abs(noise.mean()) < 0.25 / 255


def test_it_is_a_law_in_words() -> None:
    assert parse_noise("camera:0.02") == Camera(0.02)
    assert str(parse_noise("camera:0.02+gaussian:0.01")) == "camera:0.02+gaussian:0.01"


def test_what_it_refuses() -> None:
    with pytest.raises(
        ArgumentError, match=r"`gain` .* more than 0 .* got -1\. Try camera:0\.02\."
    ):
        Camera(-1.0)
    with pytest.raises(ArgumentError, match=r"\(H, W, 3\) because it spreads.*got \(2, 2, 2\)"):
        Camera(0.1)(np.zeros((2, 2, 2), np.float32), image_rng(0, 0, 0))
    with pytest.raises(ArgumentError, match="no single mean and variance because another camera"):
        Camera(0.1).propagate(np.zeros(1, np.float32), np.zeros(1, np.float32))
