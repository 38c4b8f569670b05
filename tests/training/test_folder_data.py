"""Image folders as training data."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile
import zarr
from astropy.io import fits
from PIL.ImageCms import ImageCmsProfile, createProfile

from quietpixel.data import batches, image_cache
from quietpixel.data.image_cache import PixelCache, decode, to_channels
from quietpixel.data.image_folder import Layout, find_layout
from quietpixel.data.samplers import BatchPool
from quietpixel.errors import ArgumentError, DataError, FileError, TrainingError
from quietpixel.files import Picture, write_picture
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_store import find_model
from quietpixel.training import trainer
from quietpixel.training.callbacks import Clock, rate_at
from quietpixel.training.folder_data import Folder, find_channels, measure_folder, open_folder
from quietpixel.training.named_recipes import named_recipe
from quietpixel.training.progress import Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import RunOptions, run_recipe
from quietpixel.training.training_data import TrainingData, from_folder

from ..science import fits_file, hdf5, mrc

TINY = {
    "options": {"filters": (4, 8), "blocks": (0, 1), "output": "residual"},
    "patch": 16,
    "steps": 2,
    "batch": 2,
    "channels": 1,
}


def write(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "tiff" if path.suffix == ".tif" else path.suffix[1:]
    write_picture(Picture.from_pixels(pixels, format=form), path, overwrite=True)


def make_photos(folder: Path, number: int, side: int = 96) -> Path:
    rng = np.random.default_rng(0)
    for i in range(number):
        write(rng.integers(0, 255, (side, side, 3), np.uint8), folder / f"{i:02}.png")
    return folder


def recipe_for(folder: Path, **changes: object) -> Recipe:
    return named_recipe("photo", data=str(folder), **{**TINY, **changes})


def test_the_targets_of_a_teacher_are_means_over_flips_and_turns(tmp_path: Path) -> None:
    changes = {"teacher": "photo", "channels": 3, "patch": 32, "batch": 4}
    changes |= {"noise": "gaussian:20/255", "options": {**TINY["options"], "sigma": True}}
    recipe = recipe_for(make_photos(tmp_path, 6), **changes)
    (noisy, levels), targets = trainer.load_data(recipe, RunOptions()).sampler.make(0, 0)
    engine, views = open_engine(find_model("photo"), threads=1), []
    for turns in range(4):
        for axes in ((1, 2), (2, 1)):  # a transposed image is a flipped and turned one
            seen = [np.rot90(each, turns, (1, 2)) for each in (noisy, levels)]
            seen = [np.moveaxis(each, (1, 2), axes) for each in seen]
            result = engine(*(np.ascontiguousarray(each) for each in seen))
            views.append(np.rot90(np.moveaxis(result, axes, (1, 2)), -turns, (1, 2)))
    np.testing.assert_allclose(targets, np.mean(views, axis=0), atol=1e-3)
    assert np.abs(targets - views[0]).max() > 0.01


@pytest.mark.parametrize(
    ("method", "reason"), [("", "takes a noise level"), ("neighbours", "is for clean images")]
)
def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, method: str, reason: str) -> None:
    target = "none" if method else "clean"
    recipe = recipe_for(make_photos(tmp_path, 6), teacher="photo", method=method, target=target)
    with pytest.raises(ArgumentError, match=reason):
        trainer.load_data(recipe, RunOptions())


def test_a_teacher_is_for_named_sets_too() -> None:
    recipe = Recipe(data="digits", teacher="mnist-unet", batch=8)
    noisy, targets = trainer.load_data(recipe, RunOptions()).sampler.make(0, 0)
    plain = replace(recipe, teacher="")
    same, clean = trainer.load_data(plain, RunOptions()).sampler.make(0, 0)
    np.testing.assert_array_equal(noisy, same)
    errors = [np.square(each - clean).mean() for each in (targets, noisy)]
    assert 0 < errors[0] < 0.5 * errors[1]


def test_patches_with_noise_as_of_a_camera_are_as_soft_as_its_pixels(tmp_path: Path) -> None:
    folder = make_photos(tmp_path, 6)
    details, noise = [], []
    for law in ("gaussian:40/255,clip=no", "photo:8/255..12/255,camera=yes"):
        recipe = recipe_for(folder, noise=law, blur_fraction=1.0, clean_fraction=0.0, batch=8)
        noisy, clean = trainer.load_data(recipe, RunOptions()).sampler.make(0, 0)
        details.append(np.abs(np.diff(clean, axis=1)).mean())
        noise.append((noisy - clean).std())
    assert details[1] < 0.7 * details[0]
    assert noise[0] == pytest.approx(40 / 255, rel=0.05)
    assert 7 / 255 < noise[1] < 13 / 255


def load(folder: Path, **changes: object) -> tuple[Folder, list[str]]:
    messages: list[str] = []
    return open_folder(recipe_for(folder, **changes), cache=None, notify=messages.append), messages


def layout_of(folder: Path, target: str = "clean") -> Layout:
    return find_layout(folder, target=target, pairs="", notify=print)


def test_every_twentieth_image_is_for_validation(tmp_path: Path) -> None:
    found, messages = load(make_photos(tmp_path, 40, 16))
    assert (len(found.train), len(found.validation), messages) == (38, 2, [])
    names = {scene[0].name for scene in found.validation.scenes}
    assert names == {"19.png", "39.png"}
    assert not names & {scene[0].name for scene in found.train.scenes}


@pytest.mark.parametrize(("number", "train", "validation"), [(3, 3, 3), (5, 4, 1), (17, 16, 1)])
def test_a_small_folder_spares_one(
    tmp_path: Path, number: int, train: int, validation: int
) -> None:
    found, _ = load(make_photos(tmp_path, number, 16))
    assert (len(found.train), len(found.validation)) == (train, validation)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_opened_with_the_channels_of_the_recipe(tmp_path: Path, channels: int) -> None:
    found, _ = load(make_photos(tmp_path, 1, 16), channels=channels)
    (image,) = found.train.open(0)
    assert image.whole().shape == (16, 16, channels)


def test_damaged_and_small_files_are_named_once(tmp_path: Path) -> None:
    make_photos(tmp_path, 6, 32)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    cut = (tmp_path / "00.png").read_bytes()
    (tmp_path / "00.png").write_bytes(cut[: len(cut) // 2])
    write(np.zeros((8, 8), np.uint8), tmp_path / "little.png")
    (tmp_path / "huge.pgm").write_bytes(b"P5 30000 20000 255 ")
    recipe, messages = recipe_for(tmp_path), []
    data = from_folder(recipe, open_folder(recipe, cache=None, notify=messages.append))
    for epoch in range(40):
        data.sampler.make(epoch, 0)
    assert len(messages) == 4
    assert any("huge.pgm' has more than 500,000,000 pixels" in text for text in messages)
    assert any("bad.png" in text for text in messages)
    assert any("little.png': smaller than 16 x 16" in text for text in messages)
    assert any("00.png" in text and "cannot be read" in text for text in messages)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold images .* none can be used"):
        load(tmp_path)


def test_a_folder_whose_pictures_are_all_cut_is_refused(tmp_path: Path) -> None:
    make_photos(tmp_path, 2, 32)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:1500])
    recipe = recipe_for(tmp_path)
    with pytest.raises(DataError, match="could not be used, so there is nothing left"):
        from_folder(recipe, open_folder(recipe, cache=None, notify=lambda text: None))


def test_gray_is_that_of_bt_601_and_alpha_falls_away(tmp_path: Path) -> None:
    write(np.array([[[255, 0, 0, 9]]], np.uint8), tmp_path / "a.png")
    assert decode(tmp_path / "a.png", 1).pixels.tolist() == [[[76]]]
    assert decode(tmp_path / "a.png", 3).pixels.tolist() == [[[255, 0, 0]]]
    assert to_channels(np.array([[[7]]], np.uint8), 3).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        (np.array([[0, 4095, 1001]], np.uint16), [0, 1, 1001 / 4095]),
        (np.array([[0, 65535, 1001]], np.uint16), [0, 1, 1001 / 65535]),
        (np.array([[0, 4095, 1001]], np.uint32), [0, 1, 1001 / 4095]),
        (np.array([[-0.2, 1.3, 0.12345678]], np.float32), [-0.2, 1.3, 0.12345678]),
    ],
)
def test_deep_pictures_keep_their_depth(
    tmp_path: Path, pixels: np.ndarray, wanted: list[float]
) -> None:
    write(pixels, tmp_path / "a.tif")
    values = decode(tmp_path / "a.tif", 1).whole().ravel()
    np.testing.assert_allclose(values, wanted, rtol=1e-6)


def test_holes_mirror_what_lies_next_to_them(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(500, 20, (32, 32)).astype(np.float32)
    holes = noise.copy()
    holes[:, :8], holes[20, 20] = np.nan, np.inf
    write(holes, tmp_path / "holes.tif")
    pixels = decode(tmp_path / "holes.tif", 1).pixels[..., 0]
    np.testing.assert_array_equal(pixels[:, :8], noise[:, 16:8:-1])
    assert pixels[20, 20] in noise[18:23, 18:23]
    rest = np.isfinite(holes)
    np.testing.assert_array_equal(pixels[rest], noise[rest])


def test_a_picture_of_nan_is_skipped(tmp_path: Path) -> None:
    make_photos(tmp_path, 1, 32)
    write(np.full((32, 32), np.nan, np.float32), tmp_path / "nan.tif")
    found, messages = load(tmp_path)
    assert [found.train.open(index) is None for index in (0, 1, 1)] == [False, True, True]
    assert len(messages) == 1
    assert "none of its pixels is finite" in messages[0]


def test_memory_for_pixels_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = load(make_photos(tmp_path, 12, 32))
    found.train.memory = 3 * 32 * 32
    decoded = []
    monkeypatch.setattr(
        image_cache,
        "decode",
        lambda path, channels: (decoded.append(path), decode(path, channels))[1],
    )
    for index in (1, 2, 3, 3, 2, 1):
        found.train.open(index)
    assert len(decoded) == 3
    found.train.open(3)
    found.train.open(0)
    assert len(decoded) == 4
    found.train.open(2)
    assert len(decoded) == 5
    assert found.train._bytes <= found.train.memory


def test_the_cache_decodes_once_and_again_when_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
    tifffile.imwrite(tmp_path / "a.tif", np.full((16, 16), 1234, np.uint16), iccprofile=profile)
    decoded = []

    def count(path: Path, channels: int) -> image_cache.StoredImage:
        decoded.append(path)
        return decode(path, channels)

    monkeypatch.setattr(image_cache, "decode", count)
    for _ in range(2):
        cached = PixelCache(tmp_path / "cache").get(tmp_path / "a.tif", 1)
        np.testing.assert_array_equal(cached.whole(), decode(tmp_path / "a.tif", 1).whole())
    assert isinstance(cached.pixels, np.memmap)
    assert cached.profile
    assert len(decoded) == 1
    write(np.full((16, 20), 9, np.uint16), tmp_path / "a.tif")
    assert PixelCache(tmp_path / "cache").get(tmp_path / "a.tif", 1).size == (16, 20)
    assert len(decoded) == 2


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cache of pixels .* cannot be written"):
        PixelCache(tmp_path / "file" / "cache")
    with pytest.raises(FileError, match="cannot be read"):
        PixelCache(tmp_path / "c").get(tmp_path / "none.png", 1)


def test_a_run_is_the_same_with_and_without_a_cache(tmp_path: Path) -> None:
    recipe = recipe_for(make_photos(tmp_path / "photos", 6, 32))
    made = []
    for cache in (None, tmp_path / "cache"):
        data = from_folder(recipe, open_folder(recipe, cache=cache, notify=print))
        made.append(data.sampler.make(3, 1))
    for one, two in zip(*made, strict=True):
        np.testing.assert_array_equal(one, two)


def test_colour_is_found_by_looking(tmp_path: Path) -> None:
    write(np.zeros((16, 16), np.uint8), tmp_path / "gray" / "a.png")
    assert find_channels(layout_of(tmp_path / "gray")) == 1
    make_photos(tmp_path / "mixed", 2, 16)
    write(np.zeros((16, 16), np.uint8), tmp_path / "mixed" / "gray.png")
    assert find_channels(layout_of(tmp_path / "mixed")) == 3


def test_the_noise_of_a_folder_is_measured(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(60, 190, 128), (128, 1))
    for i in range(3):
        noise = np.random.default_rng(i).normal(0, 15, ramp.shape)
        write(np.clip(ramp + noise, 0, 255).astype(np.uint8), tmp_path / f"{i}.png")
    measured = measure_folder(layout_of(tmp_path, "none"), 1)
    assert measured.kind == "white"
    assert measured.sigma == pytest.approx(15 / 255, rel=0.1)
    (tmp_path / "small").mkdir()
    write(np.zeros((16, 16), np.uint8), tmp_path / "small" / "a.png")
    with pytest.raises(DataError, match="`noise` auto measures the images"):
        measure_folder(layout_of(tmp_path / "small", "none"), 1)


def test_recorruption_needs_the_law(tmp_path: Path) -> None:
    recipe = recipe_for(make_photos(tmp_path, 1, 32), target="none", method="recorrupted", noise="")
    with pytest.raises(ArgumentError, match="`method` recorrupted needs the law of the noise"):
        from_folder(recipe, open_folder(recipe, cache=None, notify=print))


def test_the_rate_by_the_clock_starts_and_ends_at_zero() -> None:
    assert rate_at(0) == rate_at(1) == 0
    assert max(rate_at(i / 100) for i in range(101)) == 1


@pytest.mark.slow
def test_a_folder_run_resumes_and_says_what_it_was_made_of(tmp_path: Path) -> None:
    recipe = recipe_for(make_photos(tmp_path / "photos", 2), epochs=2)
    rows = []
    for name, stop in (("whole", False), ("cut", True)):
        folder = RunFolder(tmp_path / name)
        folder.start(recipe)

        def watch(progress: Progress, stop: bool = stop) -> None:
            if stop and progress.epoch == 2:
                raise TrainingError("stop")

        if stop:
            with pytest.raises(TrainingError, match="stop"):
                run_recipe(recipe, folder, RunOptions(on_progress=watch))
        card = run_recipe(recipe, folder)
        rows.append([row["validation_loss"] for row in folder.read_history()])
    assert rows[0] == rows[1]
    assert (card.channels, card.size, card.data) == (1, None, "photographs in photos")


@pytest.mark.usefixtures("both_ways", "no_export")
@pytest.mark.parametrize("schedule", ["cosine", pytest.param("constant", marks=pytest.mark.slow)])
def test_a_run_by_the_clock_stops(tmp_path: Path, schedule: str) -> None:
    data = make_photos(tmp_path / "photos", 2)
    changes = {**TINY, "optimizer": "convolution-muon", "steps": 10_000, "schedule": schedule}
    recipe = named_recipe("photo", data=str(data), minutes=0.02, **changes)
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe)
    seen: list[Progress] = []
    run_recipe(recipe, folder, RunOptions(on_progress=seen.append, workers=0))
    (row,) = folder.read_history()
    if schedule == "constant":
        assert row["learning_rate"] == pytest.approx(recipe.learning_rate)
    else:
        assert row["learning_rate"] < recipe.learning_rate
    last = [each for each in seen if not each.message][-1]
    assert (last.step, last.seconds_left) == (last.steps, 0)
    assert last.validation_loss == row["validation_loss"]


@pytest.mark.usefixtures("both_ways", "no_export")
def test_a_trapezoid_of_epochs_rises_and_falls(tmp_path: Path) -> None:
    data = make_photos(tmp_path / "photos", 2)
    changes = {**TINY, "epochs": 2, "steps": 5, "schedule": "trapezoid", "learning_rate": 2e-3}
    folder = RunFolder(tmp_path / "run")
    recipe = named_recipe("photo", data=str(data), **changes)
    folder.start(recipe)
    run_recipe(recipe, folder, RunOptions(workers=0))
    rates = [row["learning_rate"] / 2e-3 for row in folder.read_history()]
    assert rates == pytest.approx([1, 0.5], abs=1e-6)  # of the last step of each epoch


def test_loading_and_finishing_are_part_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = named_recipe("photo", data="digits", minutes=10, model="bottleneck")
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: 1000.0)
    left = []
    for started in (1000.0, 980.0, 0.0):
        callbacks = trainer._make_callbacks(
            model, recipe, RunFolder(tmp_path), RunOptions(started=started)
        )[1]
        left.append(next(one.left for one in callbacks if isinstance(one, Clock)))
    assert left == [555.0, 535.0, 495.0]


@pytest.mark.usefixtures("both_ways", "no_export")
@pytest.mark.parametrize(
    "stop", [signal.SIGKILL, pytest.param(KeyboardInterrupt, marks=pytest.mark.slow)]
)
def test_a_run_that_stops_closes_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: object
) -> None:
    pools: list[BatchPool] = []
    monkeypatch.setattr(batches, "BatchPool", lambda *a: pools.append(BatchPool(*a)) or pools[0])
    recipe = recipe_for(make_photos(tmp_path / "photos", 5), steps=50, epochs=1)
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe)
    workers: set[int] = set()

    def stop_it(progress: Progress) -> None:
        if progress.step == 2 and not workers:
            workers.update(pools[0]._executor._processes)
            if stop is KeyboardInterrupt:
                raise KeyboardInterrupt
            os.kill(next(iter(workers)), signal.SIGKILL)

    options = RunOptions(workers=1, on_progress=stop_it)
    error = KeyboardInterrupt if stop is KeyboardInterrupt else TrainingError
    with pytest.raises(error, match=None if error is KeyboardInterrupt else "fewer `workers`"):
        run_recipe(recipe, folder, options)
    assert len(workers) == len(pools) == 1
    assert not Path(f"/proc/{workers.pop()}").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("both_ways", "no_export")
def test_a_run_is_the_same_with_and_without_workers(tmp_path: Path) -> None:
    recipe = recipe_for(make_photos(tmp_path / "photos", 5), epochs=2)
    losses = []
    for workers in (0, 1):
        folder = RunFolder(tmp_path / str(workers))
        folder.start(recipe)
        run_recipe(recipe, folder, RunOptions(workers=workers))
        losses.append([row["validation_loss"] for row in folder.read_history()])
    assert losses[0] == losses[1]
    with pytest.raises(ArgumentError, match="`workers` must be a whole number of at least 0"):
        RunOptions(workers=-1)


@pytest.mark.parametrize("target", ["clean", "none"])
def test_only_clean_patches_are_downscaled_and_never_for_validation(
    tmp_path: Path, target: str
) -> None:
    method = "" if target == "clean" else "neighbours"
    recipe = recipe_for(
        make_photos(tmp_path, 5), downscale_fraction=1.0, target=target, method=method
    )
    folder = open_folder(recipe, cache=None, notify=lambda sentence: None)
    data, unmodified = (
        from_folder(replace(recipe, downscale_fraction=x), folder) for x in (1.0, 0.0)
    )
    np.testing.assert_array_equal(data.validation[1], unmodified.validation[1])
    same = np.array_equal(first_targets(data), first_targets(unmodified))
    assert same == (target == "none")


def test_patches_get_patterns_for_training_and_never_for_validation(tmp_path: Path) -> None:
    recipe = recipe_for(make_photos(tmp_path, 5), pattern_fraction=1.0)
    folder = open_folder(recipe, cache=None, notify=lambda sentence: None)
    data, unmodified = (
        from_folder(replace(recipe, pattern_fraction=x), folder) for x in (1.0, 0.0)
    )
    np.testing.assert_array_equal(data.validation[1], unmodified.validation[1])
    assert not np.array_equal(first_targets(data), first_targets(unmodified))


def first_targets(data: TrainingData) -> np.ndarray:
    return data.sampler.make(0, 0)[1]


def write_stack(path: Path, levels: list[int], dtype: type = np.uint8) -> Path:
    """Write a stack with a page of random values around each level; level 0 gives a flat page."""
    rng = np.random.default_rng(len(levels))
    pages = [rng.integers(level - 9, level + 9, (24, 24)) * bool(level) for level in levels]
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.stack(pages).astype(dtype), photometric="minisblack")
    return path


@pytest.mark.parametrize("cached", [False, True])
def test_all_pages_of_a_stack_are_trained_on_except_constant_ones(
    tmp_path: Path, cached: bool
) -> None:
    write_stack(tmp_path / "in" / "a.tif", [0, 60, 120, 0, 200])
    write_stack(tmp_path / "in" / "b.tif", [90])
    recipe = recipe_for(tmp_path / "in", batch=16, clean_fraction=0.0, downscale_fraction=0.0)
    messages: list[str] = []
    folder = open_folder(recipe, cache=tmp_path / "c" if cached else None, notify=messages.append)
    assert folder.train.areas.tolist() == [5 * 24 * 24, 24 * 24]
    patches = [from_folder(recipe, folder).sampler.make(epoch, 0)[1] for epoch in range(4)]
    means = 255 * np.concatenate(patches).mean(axis=(1, 2, 3))
    assert {int(np.rint(mean / 30)) for mean in means} == {2, 3, 4, 7}
    assert messages == []


def test_a_constant_image_is_skipped_by_name(tmp_path: Path) -> None:
    write(np.full((32, 32), 7, np.uint8), tmp_path / "flat.png")
    write_stack(tmp_path / "flat.tif", [0, 0])
    make_photos(tmp_path, 2, 32)
    found, messages = load(tmp_path)
    usable = [found.train.open(index) is not None for index in range(4)]
    assert usable == [True, True, False, False]
    assert messages == [
        f"Skipping: '{tmp_path / name}': all its pixels have the same value."
        for name in ("flat.png", "flat.tif")
    ]
    for path in tmp_path.glob("0*.png"):
        path.unlink()
    recipe = recipe_for(tmp_path)
    with pytest.raises(DataError, match="so there is nothing left to train on"):
        from_folder(recipe, open_folder(recipe, cache=None, notify=messages.append))


def test_stacks_of_a_pair_need_as_many_pages(tmp_path: Path) -> None:
    write_stack(tmp_path / "noisy" / "a.tif", [60, 90, 120])
    write_stack(tmp_path / "clean" / "a.tif", [60, 120])
    found, messages = load(tmp_path)
    assert found.train.open(0) is None
    assert messages[0].endswith("are not a pair: they have 3 and 2 pages.")


def test_signed_integers_keep_their_negative_values(tmp_path: Path) -> None:
    values = np.arange(-100, 476, dtype=np.int16).reshape(24, 24)
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = decode(tmp_path / "a.tif", 1)
    assert (image.pixels.dtype, image.pixels.min(), image.high) == (np.float32, -100, 1023)
    np.testing.assert_allclose(
        image.whole()[..., 0], (values - image.low) / (image.high - image.low), rtol=1e-6
    )
    assert len({float(value) for value in image.whole().ravel()}) == values.size


@pytest.mark.parametrize(
    "words", [{}, {"target": "none", "method": "neighbours", "noise": ""}], ids=["clean", "none"]
)
def test_one_stack_stands_for_a_folder_of_its_pages(tmp_path: Path, words: dict) -> None:
    pages = np.random.default_rng(0).integers(0, 4000, (3, 40, 48), np.uint16)
    np.save(tmp_path / "stack.npy", pages)
    folder, messages = load(tmp_path / "stack.npy", **words)
    assert messages == []
    (image,) = folder.train.open(0)
    assert image.pages == [0, 1, 2]
    np.testing.assert_allclose(image.part(0, 0, 40, 48, page=2)[..., 0] * 4095, pages[2], atol=0.01)
    with pytest.raises(ArgumentError, match=r"need a folder of images; '.*stack\.npy' is one file"):
        find_layout(tmp_path / "stack.npy", target="noisy", pairs="", notify=print)


def test_images_of_a_folder_share_the_bits_in_use(tmp_path: Path) -> None:
    for name, level in (("a", 600), ("b", 800), ("c", 3000)):
        write_stack(tmp_path / f"{name}.tif", [level], np.uint16)
    write_stack(tmp_path / "d.tif", [90])
    found, _ = load(tmp_path)
    assert found.range is None  # 8 bits among them
    (tmp_path / "d.tif").unlink()
    found, _ = load(tmp_path)
    assert found.range == (0, 4095)
    means = [4095 * found.train.open(index)[0].whole().mean() for index in range(3)]
    np.testing.assert_allclose(means, [600, 800, 3000], atol=9)


@pytest.mark.parametrize(("method", "stretched"), [("neighbours", True), ("recorrupted", False)])
def test_images_that_use_little_of_their_range_are_stretched_unless_a_law_is_given(
    tmp_path: Path, method: str, stretched: bool
) -> None:
    write_stack(tmp_path / "a.tif", [20000, 20300], np.uint16)
    found, _ = load(tmp_path, target="none", method=method, noise="gaussian:0.1")
    low, high = found.range
    assert (low > 19900 and high < 20400) == stretched
    assert stretched or (low, high) == (0, 65535)


STACK = (1000 + np.random.default_rng(0).integers(0, 500, (3, 32, 40))).astype(np.uint16)


def write_ome_zarr(path: Path) -> None:
    group = zarr.open_group(str(path), mode="w")
    group.create_array("full", data=STACK[np.newaxis], chunks=(1, 1, 16, 16))
    axes = [{"name": name, "type": "space"} for name in "czyx"]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": [{"path": "full"}]}]}


WRITERS = {
    "a.npy": lambda path: np.save(path, STACK),
    "a.mrc": lambda path: mrc(STACK, path),
    "a.fits": lambda path: path.write_bytes(fits_file(fits.PrimaryHDU(STACK))),
    "a.h5": lambda path: path.write_bytes(hdf5(images=STACK)),
    "a.tif": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack"),
    "a.zarr": lambda path: (
        zarr.save_array(str(path), np.moveaxis(STACK, 0, 2), zarr_format=2)
        or (path / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["y", "x", "z"]}')
    ),
    "a.ome.zarr": write_ome_zarr,
}


@pytest.mark.parametrize("name", WRITERS)
def test_stacks_of_all_kinds_are_trained_on_page_by_page(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    for data in (tmp_path, tmp_path / name):  # in a folder, or alone
        found, messages = load(data, target="none", method="neighbours")
        (image,) = found.train.open(0)
        assert (len(found.train), image.pages, messages) == (1, [0, 1, 2], [])
        for page, plane in enumerate(STACK):
            part = 4095 * image.part(0, 0, 32, 40, page=page)[..., 0]
            np.testing.assert_allclose(part, plane, atol=0.01)


def test_one_of_several_images_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(hdf5(first=STACK, second=STACK[:2]))
    found, _ = load(Path(f"{tmp_path}/a.h5::/second"), target="none", method="neighbours")
    assert found.train.open(0)[0].pages == [0, 1]


def test_what_is_no_zarr_image_is_named(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w").create_group("wells")
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "zarr.json").write_text("{")
    make_photos(tmp_path, 1)
    _, messages = load(tmp_path)
    assert "is a group and not one image; it holds wells" in messages[0]
    assert "cannot be read as a Zarr" in messages[1]


def test_large_stacks_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", STACK)
    monkeypatch.setattr(image_cache, "MEMORY", 10)
    pixels = decode(tmp_path / "a.npy", 1).pixels
    assert isinstance(pixels, np.memmap) or isinstance(pixels.base, np.memmap)
    np.testing.assert_array_equal(pixels[..., 0], STACK)


def test_masks_are_found_by_name_and_wrong_ones_named(tmp_path: Path) -> None:
    data, masks = make_photos(tmp_path / "data", 4, 32), tmp_path / "masks"
    inside = np.zeros((32, 32), np.uint8)
    write(inside, masks / "00.png")
    inside[4:20, 4:20] = 255
    write(inside, masks / "01.png")
    write(inside[:8], masks / "02.png")
    found, messages = load(data, masks=str(masks))
    opened = [found.train.open(index) for index in range(4)]
    assert [each is not None for each in opened] == [False, True, False, True]
    assert opened[1][0].mask(0).sum() == 256
    assert opened[3][0].mask(0) is None
    assert messages[0] == "1 images have no mask and are used whole."
    assert any("00.png': its mask is empty." in text for text in messages)
    assert any("02.png' is not the mask of an image of 32 x 32" in text for text in messages)
    with pytest.raises(DataError, match="`masks` must be a folder with masks under the names"):
        load(data, masks=str(tmp_path / "none"))
