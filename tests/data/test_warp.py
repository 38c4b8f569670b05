import numpy as np
import pytest

from quietpixel.data.batches import NoisyBatches
from quietpixel.data.warp import warp_image
from quietpixel.imaging.noise import Gaussian


def bar(channels: int = 1) -> np.ndarray:
    image = np.zeros((28, 28, channels), np.float32)
    image[4:24, 12:16] = 1
    return image


def test_about_half_of_the_images_stay_and_the_rest_move_by_no_more_than_said() -> None:
    image, rng = bar(), np.random.default_rng(0)
    warped = [warp_image(image, 0.1, rng) for _ in range(400)]
    moved = np.stack([one for one in warped if one is not image])
    assert len(moved) == pytest.approx(200, abs=40)
    assert moved.dtype == np.float32
    assert moved.min() == 0
    assert moved.max() == 1
    rows, columns = np.nonzero(moved.max(axis=0)[..., 0] > 0.5)
    assert set(rows) <= set(range(2, 26))  # 10 pixels from the middle, and a tenth
    assert set(columns) <= set(range(10, 18))
    assert moved.mean() == pytest.approx(image.mean(), abs=0.005)


def test_all_channels_move_alike() -> None:
    warped = [warp_image(bar(3), 0.2, np.random.default_rng(seed)) for seed in range(6)]
    assert any(one[..., 0].sum() != bar().sum() for one in warped)
    for one in warped:
        np.testing.assert_array_equal(one[..., 0], one[..., 2])


def test_a_batch_of_warped_images_can_be_made_again() -> None:
    images = np.stack([bar()] * 8)
    plain, warped, again = (
        NoisyBatches(images, Gaussian(0.1), batch=8, seed=0, warp=amount).make(3, 0)
        for amount in (0.0, 0.1, 0.1)
    )
    for one, two in zip(warped, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(warped[1] - plain[1]).max() > 0.1
    np.testing.assert_allclose(
        np.mean((warped[0] - warped[1]) ** 2), np.mean((plain[0] - plain[1]) ** 2), rtol=0.1
    )
