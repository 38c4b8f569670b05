"""A folder of photographs becomes training data, or a sentence says why not."""

from pathlib import Path

import numpy as np
import pytest

from quietpixel.errors import DataError, TrainingError
from quietpixel.files import Picture, write_picture
from quietpixel.training.callbacks import rate_at
from quietpixel.training.images import load_photos, to_pixels
from quietpixel.training.progress import Progress
from quietpixel.training.recipe import named_recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import run_recipe

TINY = {
    "options": {"filters": (4, 8), "blocks": (0, 1), "output": "residual"},
    "patch": 16,
    "steps": 2,
    "batch": 2,
    "channels": 1,
}


def make_photos(folder: Path, number: int, side: int = 96) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(number):
        pixels = rng.integers(0, 255, (side, side, 3), np.uint8)
        write_picture(Picture.from_pixels(pixels), folder / f"{i:02}.png")
    return folder


def load(folder: Path, channels: int = 1) -> tuple[int, int, list[str]]:
    told: list[str] = []
    photos = load_photos(folder, channels=channels, least=16, tell=told.append)
    assert {image.shape[-1] for image in (*photos.train, *photos.validation)} == {channels}
    return len(photos.train), len(photos.validation), told


def test_every_twentieth_image_is_for_validation(tmp_path: Path) -> None:
    assert load(make_photos(tmp_path / "photos", 40, 16)) == (38, 2, [])
    assert load(tmp_path / "photos", channels=3) == (38, 2, [])


def test_damaged_and_small_files_are_named_once(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", 2, 16)
    (folder / "bad.png").write_bytes(b"no picture")
    write_picture(Picture.from_pixels(np.zeros((8, 8), np.uint8)), folder / "little.png")
    train, validation, (message,) = load(folder)
    assert (train, validation) == (2, 1)
    assert "bad.png" in message
    assert "'little.png': smaller than 16 x 16" in message


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold pictures .* none can be used"):
        load(tmp_path)


def test_gray_is_that_of_bt_601_and_alpha_falls_away() -> None:
    pixels = np.array([[[255, 0, 0, 9]]], np.uint8)
    assert to_pixels(Picture.from_pixels(pixels), 1).tolist() == [[[76]]]
    assert to_pixels(Picture.from_pixels(pixels), 3).tolist() == [[[255, 0, 0]]]
    assert to_pixels(Picture.from_pixels(pixels[..., :1]), 3).tolist() == [[[255, 255, 255]]]


def test_the_rate_by_the_clock_begins_and_ends_at_zero() -> None:
    assert rate_at(0) == rate_at(1) == 0
    assert max(rate_at(i / 100) for i in range(101)) == 1


@pytest.mark.slow
def test_a_folder_run_resumes_and_says_what_it_was_made_of(tmp_path: Path) -> None:
    data = make_photos(tmp_path / "photos", 2)
    recipe = named_recipe("photo", data=str(data), epochs=2, **TINY)
    rows = []
    for name, stop in (("whole", False), ("cut", True)):
        folder = RunFolder(tmp_path / name)
        folder.start(recipe)

        def watch(progress: Progress, stop: bool = stop) -> None:
            if stop and progress.epoch == 2:
                raise TrainingError("stop")

        if stop:
            with pytest.raises(TrainingError, match="stop"):
                run_recipe(recipe, folder, on_progress=watch)
        card = run_recipe(recipe, folder)
        rows.append([row["validation_loss"] for row in folder.read_history()])
    assert rows[0] == rows[1]
    assert (card.channels, card.size, card.data) == (1, None, "photographs in photos")


def test_a_run_by_the_clock_stops(tmp_path: Path) -> None:
    data = make_photos(tmp_path / "photos", 2)
    changes = {**TINY, "optimizer": "convolution-muon", "steps": 10_000}
    recipe = named_recipe("photo", data=str(data), minutes=0.02, **changes)
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe)
    run_recipe(recipe, folder)
    (row,) = folder.read_history()
    assert row["learning_rate"] < recipe.learning_rate
