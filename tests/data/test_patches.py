"""Patches come from (seed, epoch, index) and nothing else."""

import numpy as np
import pytest

from quietpixel.card import UNKNOWN_SIGMA
from quietpixel.data.batches import Batches
from quietpixel.data.image_cache import SkippedFiles, StoredImage, show_pages
from quietpixel.data.patches import PatchSampler, PatchSampling, shrink, turn
from quietpixel.data.self_supervised import HidePixels, SplitNeighbours
from quietpixel.data.tasks import AddNoise, TakePair, Task
from quietpixel.errors import DataError
from quietpixel.noise.parser import parse_noise

SMALL, LARGE = np.full((16, 20, 1), 10, np.uint8), np.full((40, 64, 1), 200, np.uint8)


class ArraySource:
    """Scenes in memory, in place of an `ImageCache`."""

    def __init__(self, scenes: list[tuple[np.ndarray, ...]]) -> None:
        self.scenes = [tuple(StoredImage(image) for image in scene) for scene in scenes]
        self.areas = np.array([np.prod(scene[0].size) for scene in self.scenes], np.int64)
        self.skipped = SkippedFiles(print)
        self.masks: dict[object, object] = {}

    def open(self, index: int) -> tuple[StoredImage, ...] | None:
        return self.scenes[index]


def batches(
    seed: int = 0, noise: str = "gaussian:0..0.2,clip=no", **options: float
) -> PatchSampler:
    draw = PatchSampling(**{"patch": 16, "batch": 4, "steps": 3, "seed": seed, **options})
    return PatchSampler(ArraySource([(SMALL,), (LARGE,)]), AddNoise(parse_noise(noise)), draw)


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


def test_a_read_before_the_first_epoch_does_not_count() -> None:
    watched = Batches(batches())
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


class Rows:
    """Gives patches back as they are."""

    def __call__(self, patches: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple:
        return patches[0], patches[-1]


def test_both_images_of_a_scene_are_cut_and_turned_alike() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    source = ArraySource([(image, 255 - image)])
    noisy, other = PatchSampler(
        source, Rows(), PatchSampling(patch=8, batch=16, steps=1, seed=0)
    ).make(0, 0)
    np.testing.assert_allclose(noisy + other, 1, atol=1e-6)


def test_upright_patches_keep_their_rows() -> None:
    rows = np.repeat(np.arange(32, dtype=np.uint8)[:, None, None], 32, axis=1)
    draw = PatchSampling(patch=8, batch=64, steps=1, seed=0, upright=True)
    patches, _ = PatchSampler(ArraySource([(rows,)]), Rows(), draw).make(0, 0)
    assert not np.ptp(patches, axis=2).any()
    assert len({patch[0, 0, 0] > patch[-1, 0, 0] for patch in patches}) == 2


class Broken(ArraySource):
    """Cannot open its first scene, or any."""

    opened: list[int]

    def open(self, index: int) -> tuple | None:
        self.opened = [*getattr(self, "opened", []), index]
        return super().open(index) if index and len(self.scenes) > 1 else None


def test_a_scene_that_cannot_be_used_gives_its_place_to_the_next_drawn() -> None:
    draw = PatchSampling(patch=16, batch=200, steps=1, seed=0)
    source = Broken([(SMALL,), (LARGE,)])
    patches, _ = PatchSampler(source, Rows(), draw).make(0, 0)
    assert 0 in source.opened
    assert (patches == np.float32(200 / 255)).all()
    with pytest.raises(DataError, match="200 images in a row could not be used"):
        PatchSampler(Broken([(SMALL,)]), Rows(), draw).make(0, 0)


def test_an_epoch_opens_only_so_many_scenes_chosen_anew() -> None:
    source = Broken([(LARGE,)] * 50)
    drawn = PatchSampler(
        source, Rows(), PatchSampling(patch=8, batch=30, steps=2, seed=0, scenes=5)
    )
    seen = []
    for epoch in (0, 1):
        source.opened = []
        for index in (0, 1):
            drawn.make(epoch, index)
        seen.append(set(source.opened) - {0})
    assert max(len(scenes) for scenes in seen) <= 5
    assert seen[0] != seen[1]


def test_a_model_that_takes_the_noise_level_gets_it_sometimes() -> None:
    (noisy, levels), _ = batches(noise="gaussian:0.1,clip=no", level_fraction=0.5, batch=60).make(
        0, 0
    )
    assert levels.shape == (*noisy.shape[:3], 1)
    given = levels[:, 0, 0, 0]
    assert {bool(level == np.float32(UNKNOWN_SIGMA)) for level in given} == {True, False}
    np.testing.assert_allclose(given[given > 0], 0.1, rtol=0.2)


def test_a_measured_level_is_given_with_every_patch_of_its_page() -> None:
    class Shown(ArraySource):
        def open(self, index: int) -> tuple:
            half = (
                show_pages(i, lambda p: (p / np.float32(510), 0.03)) for i in super().open(index)
            )
            return tuple(half)

    source = Shown([(SMALL,), (LARGE,)])
    draw = PatchSampling(patch=8, batch=20, steps=1, seed=0, level_fraction=0.0)
    (noisy, levels), _ = PatchSampler(source, SplitNeighbours(), draw).make(0, 0)
    assert levels.shape == (20, 4, 4, 1)
    assert (levels == np.float32(0.03)).all()
    assert noisy.max() <= 0.5


def test_plain_patches_stand_in_as_often_as_asked() -> None:
    task, rng = (
        AddNoise(parse_noise("gaussian:0.1,clip=no"), clean_fraction=0.25),
        np.random.default_rng(0),
    )
    given = rng.random((16, 12, 3), np.float32)
    pairs = [task((given,), rng) for _ in range(400)]
    plain = [clean for _, clean in pairs if clean is not given]
    as_it_is = [clean for noisy, clean in pairs if np.array_equal(noisy, clean)]
    assert 0.3 < len(as_it_is) / len(plain) < 0.7
    assert 70 < len(plain) < 130
    one_colour = [clean for clean in plain if np.ptp(clean, axis=(0, 1)).max() == 0]
    assert 0.3 < len(one_colour) / len(plain) < 0.7
    for clean in plain:
        assert (clean.shape, clean.dtype) == (given.shape, given.dtype)
        assert 0 <= clean.min() <= clean.max() <= 1
        assert np.abs(np.diff(clean, axis=0)).max() < 0.15
    assert np.std(pairs[0][0] - pairs[0][1]) == pytest.approx(0.1, rel=0.15)
    colours = np.array([clean[0, 0] for clean in one_colour])
    assert 0.05 < np.mean(colours == 0) < 0.25
    assert 0.05 < np.mean(colours == 1) < 0.25


def test_blurred_patches_keep_their_mean_and_lose_fine_detail() -> None:
    task, rng = (
        AddNoise(parse_noise("gaussian:0.1,clip=no"), blur_fraction=0.5),
        np.random.default_rng(0),
    )
    given = rng.random((32, 24, 3), np.float32)
    pairs = [task((given,), rng) for _ in range(200)]
    soft = [clean for _, clean in pairs if clean is not given]
    assert 70 < len(soft) < 130
    for clean in soft:
        assert (clean.shape, clean.dtype) == (given.shape, given.dtype)
        np.testing.assert_allclose(clean.mean((0, 1)), given.mean((0, 1)), atol=0.02)
    assert min(np.std(clean) for clean in soft) < 0.5 * np.std(given)
    assert np.std(pairs[0][0] - pairs[0][1]) == pytest.approx(0.1, rel=0.15)


def test_shrunk_patches_hold_finer_detail_than_the_image_has() -> None:
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None], 60, axis=1)[..., None]
    draw = PatchSampling(patch=24, batch=200, steps=1, seed=0, downscale_fraction=0.5)
    _, clean = PatchSampler(
        ArraySource([(ramp,)]), AddNoise(parse_noise("gaussian:0.1")), draw
    ).make(0, 0)
    assert clean.shape == (200, 24, 24, 1)
    steps = np.abs(np.diff(clean[:, 4:-4, 4:-4], axis=1)).max((1, 2, 3))
    steps = np.maximum(steps, np.abs(np.diff(clean[:, 4:-4, 4:-4], axis=2)).max((1, 2, 3)))
    as_it_is = np.isclose(steps, 4 / 255, atol=1e-4)
    assert 60 < np.sum(as_it_is) < 140
    assert steps[~as_it_is].min() > 4 / 255
    assert 7 / 255 < steps.max() < 8.5 / 255


def test_shrinking_keeps_the_mean_and_the_range() -> None:
    part = (np.random.default_rng(0).random((48, 48, 3)) < 0.5).astype(np.float32)
    small = shrink(part, 32)
    assert (small.shape, small.dtype) == ((32, 32, 3), np.float32)
    assert 0 <= small.min() < small.max() <= 1
    np.testing.assert_allclose(small.mean((0, 1)), part.mean((0, 1)), atol=0.02)
    assert shrink(part, 48) is part


def test_an_image_hardly_larger_than_a_patch_is_shrunk_as_far_as_it_goes() -> None:
    noisy, _ = batches(downscale_fraction=1.0, batch=50).make(0, 0)
    assert noisy.shape == (50, 16, 16, 1)


def test_levels_are_constant_or_maps_and_true_on_average() -> None:
    (noisy, levels), clean = batches(
        noise="gaussian:0.1,clip=no", level_fraction=1.0, batch=60
    ).make(0, 0)
    constant = np.ptp(levels, axis=(1, 2, 3)) == 0
    assert 0.6 < constant.mean() < 0.9
    measured = np.sqrt(np.mean(np.square(noisy - clean), axis=(1, 2, 3)))
    np.testing.assert_allclose(levels[constant][:, 0, 0, 0], measured[constant], rtol=1e-5)
    np.testing.assert_allclose(levels[~constant].mean(), 0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("noise", "least", "most"), [("gaussian:0.1,clip=no", 1, 1), ("photo:0.1", 1, 3)]
)
def test_noise_that_is_not_white_comes_with_a_higher_level(
    noise: str, least: float, most: float
) -> None:
    flat = (np.full((64, 64, 3), 128, np.uint8),)
    draw = PatchSampling(patch=64, batch=60, steps=1, seed=0, level_fraction=1.0, level_excess=most)
    (noisy, levels), clean = PatchSampler(
        ArraySource([flat]), AddNoise(parse_noise(noise)), draw
    ).make(0, 0)
    ratios = np.sqrt(np.mean(np.square(levels), axis=(1, 2, 3)))
    ratios /= np.sqrt(np.mean(np.square(noisy - clean), axis=(1, 2, 3)))
    assert ratios.min() == pytest.approx(least, rel=0.02)
    assert ratios.max() == pytest.approx(most, rel=0.05)


def test_contrast_changes_around_a_value_as_often_as_asked() -> None:
    task, rng = (
        AddNoise(parse_noise("gaussian:0,clip=no"), contrast_fraction=0.5),
        np.random.default_rng(0),
    )
    given = rng.random((16, 12, 3), np.float32)
    gains = [np.ptp(task((given,), rng)[1]) / np.ptp(given) for _ in range(200)]
    assert 0.35 < np.mean(np.array(gains) == 1) < 0.65
    assert 0.75 <= min(gains) < 0.8
    assert 1.3 < max(gains) < 1.351


def test_gray_patches_share_their_noise_and_may_be_toned() -> None:
    task, rng = (
        AddNoise(parse_noise("gaussian:0.1,clip=no"), gray_fraction=1.0),
        np.random.default_rng(0),
    )
    toned = 0
    for _ in range(40):
        noisy, clean = task((rng.random((12, 12, 3), np.float32),), rng)
        tone = clean[0, 0] / clean[0, 0].max()
        toned += bool(np.ptp(tone) > 1e-3)
        for image in (clean / tone, noisy / tone):
            assert np.ptp(image, axis=-1).max() < 1e-5
    assert 10 < toned < 30


@pytest.mark.parametrize("task", [TakePair(), HidePixels(), SplitNeighbours()])
def test_only_pixels_inside_a_mask_count(task: Task) -> None:
    image = np.full((64, 64, 1), 255, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:33, 7:30] = True
    image[mask] = np.random.default_rng(0).integers(50, 150, (mask.sum(), 1))
    source = ArraySource([(image, image)])
    source.masks = {"any": "file"}
    source.scenes[0][0].masks = (mask,)
    draw = PatchSampling(patch=16, batch=16, steps=1, seed=0, downscale_fraction=0.5)
    inputs, targets = PatchSampler(source, task, draw).make(0, 0)
    values, weights = targets[..., :1], targets[..., 1:]
    assert inputs.shape == values.shape == weights.shape
    assert values[weights > 0].max() < 0.7  # outside it is 1
    means = weights.mean(axis=(1, 2, 3))
    assert ((means == 0) | np.isclose(means, 1, atol=1e-5)).all()  # no pixel was hidden inside
    assert (means > 0).mean() > 0.5


def test_of_a_mixture_only_patches_with_noise_of_a_camera_are_blurred() -> None:
    sharp = np.random.default_rng(0).random((48, 48, 3), np.float32)
    task = AddNoise(parse_noise("gaussian:0.2,clip=no|photo:0.02,camera=yes"))
    seen = set()
    for seed in range(12):
        noisy, target = task((sharp,), np.random.default_rng(seed))
        strong = bool((noisy - target).std() > 0.1)
        assert np.array_equal(target, sharp) == strong
        seen.add(strong)
    assert len(seen) == 2
