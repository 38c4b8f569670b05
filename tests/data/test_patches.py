"""Patches come from (seed, epoch, index) and nothing else."""

import numpy as np

from quietpixel.data.patches import PatchBatches, turn
from quietpixel.imaging.noise import parse_noise


def batches(seed: int = 0, noise: str = "gaussian:0..0.2,clip=no", **options: int) -> PatchBatches:
    small, large = np.full((16, 20, 1), 10, np.uint8), np.full((40, 64, 1), 200, np.uint8)
    settings = {"patch": 16, "batch": 4, "steps": 3, **options}
    return PatchBatches([small, large], parse_noise(noise), seed=seed, **settings)


def test_any_batch_can_be_made_again_alone() -> None:
    used = batches()
    for index in range(3):
        used.make(0, index)
    for again, first in zip(batches().make(2, 1), used.make(2, 1), strict=True):
        np.testing.assert_array_equal(again, first)


def test_epoch_index_and_seed_each_decide() -> None:
    drawn = [
        batches().make(0, 0),
        batches().make(1, 0),
        batches().make(0, 1),
        batches(1).make(0, 0),
    ]
    assert len({noisy.tobytes() for noisy, _ in drawn}) == 4


def test_a_look_before_the_first_epoch_does_not_count() -> None:
    watched = batches()
    first = watched[0][0]
    watched.on_epoch_begin()
    np.testing.assert_array_equal(watched[0][0], first)
    watched.on_epoch_begin()
    np.testing.assert_array_equal(watched[0][0], batches().make(1, 0)[0])


def test_patches_are_float_in_shape_and_noisy_without_clipping() -> None:
    noisy, clean = batches(noise="gaussian:0.2,clip=no").make(0, 0)
    assert noisy.shape == clean.shape == (4, 16, 16, 1)
    assert noisy.dtype == clean.dtype == np.float32
    assert len(batches()) == 3
    assert noisy.min() < 0 or noisy.max() > 1


def test_large_images_are_drawn_from_in_proportion_to_their_area() -> None:
    _, clean = batches(batch=2000).make(0, 0)
    assert abs(float((clean[:, 0, 0, 0] > 0.5).mean()) - 2560 / 2880) < 0.03


def test_the_eight_ways_are_all_different() -> None:
    patch = np.arange(9).reshape(3, 3, 1)
    assert len({turn(patch, way).tobytes() for way in range(8)}) == 8
