"""Scenes of a folder, and files that are not a pair."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from quietpixel.data.image_cache import StoredImage
from quietpixel.data.image_folder import Layout, find_layout, find_mismatch
from quietpixel.errors import ArgumentError, DataError
from quietpixel.files import MARK, Picture, mark_as_result, write_picture


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def find(
    folder: Path, target: str = "clean", pairs: str = ""
) -> tuple[Layout, list[list[str]], list[str]]:
    messages: list[str] = []
    layout = find_layout(folder, target=target, pairs=pairs, notify=messages.append)
    names = [[path.relative_to(folder).as_posix() for path in scene] for scene in layout.scenes]
    return layout, names, messages


def test_a_plain_folder_holds_clean_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.png", "1.jpg", "notes.txt")
    layout, names, _ = find(tmp_path)
    assert layout.kind == "clean"
    assert names == [["1.jpg"], ["b/2.png"]]


@pytest.mark.parametrize("target", ["clean", "none"])
def test_results_beside_their_sources_are_no_training_images(tmp_path: Path, target: str) -> None:
    image = Picture.from_pixels(np.zeros((8, 8, 1), np.uint8))
    for name in ("a.png", "b-clean.png", "c.png", "c-clean.png"):
        write_picture(image, tmp_path / name)
    write_picture(mark_as_result(image), tmp_path / "a-clean.png")
    zarr.save_array(tmp_path / "d.zarr", image.pages[0])
    zarr.save_array(tmp_path / "d-clean.zarr", image.pages[0], attributes={MARK: True})
    _, names, messages = find(tmp_path, target)
    assert names == [["a.png"], ["b-clean.png"], ["c-clean.png"], ["c.png"], ["d.zarr"]]
    assert messages == ["Skipping results of quietpixel: 'a-clean.png', 'd-clean.zarr'."]


def test_the_picture_of_a_run_is_no_training_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "runs/one/samples.png", "runs/one/recipe.json", "b/samples.png")
    _, names, messages = find(tmp_path)
    assert names == [["a.png"], ["b/samples.png"]]
    assert messages == ["Skipping results of quietpixel: 'runs/one/samples.png'."]


def test_images_that_are_not_read_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "b/2.tga", "film.mp4", "a.zarr/zarr.json")
    _, names, messages = find(tmp_path)
    assert names == [["1.jpg"], ["a.zarr"]]
    assert messages == ["Skipping images that cannot be read here: 'b/2.tga'."]


def test_folders_of_the_system_hold_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "@eaDir/1.jpg/SYNO_THUMB.jpg", "#recycle/2.jpg", ".hidden/3.jpg")
    assert find(tmp_path)[1] == [["1.jpg"]]


def test_subfolders_hold_pairs_of_the_same_names(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/1.png", "clean/1.tif", "noisy/a/2.png", "clean/a/2.png")
    touch(tmp_path, "noisy/3.png", "clean/4.png")
    layout, names, messages = find(tmp_path)
    assert layout.kind == "pairs"
    assert names == [["noisy/1.png", "clean/1.tif"], ["noisy/a/2.png", "clean/a/2.png"]]
    assert messages == ["Skipping images without a partner: 'clean/4.png', 'noisy/3.png'."]


@pytest.mark.parametrize("pairs", ["*_real.*=*_mean.*", "*_real.JPG=*_mean.JPG"])
def test_patterns_make_pairs(tmp_path: Path, pairs: str) -> None:
    touch(tmp_path, "x_1_real.JPG", "x_1_mean.JPG", "b/x_1_real.JPG", "b/x_1_mean.JPG", "z.JPG")
    layout, names, messages = find(tmp_path, pairs=pairs)
    assert layout.kind == "pairs"
    assert names == [["b/x_1_real.JPG", "b/x_1_mean.JPG"], ["x_1_real.JPG", "x_1_mean.JPG"]]
    assert messages == []


def test_patterns_may_name_folders(tmp_path: Path) -> None:
    touch(tmp_path, "low/1.png", "high/1.png", "low/sub/2.png")
    assert find(tmp_path, pairs="low/*=high/*")[1] == [["low/1.png", "high/1.png"]]


def test_many_without_a_partner_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/a.png", "clean/a.png", *(f"noisy/{i:02}.png" for i in range(13)))
    (text,) = find(tmp_path)[2]
    assert text.endswith("'noisy/09.png' and 3 more.")


def test_two_noisy_shots(tmp_path: Path) -> None:
    touch(tmp_path, "first/1.png", "second/1.png")
    assert find(tmp_path, "noisy")[1] == [["first/1.png", "second/1.png"]]
    with pytest.raises(ArgumentError, match="`target` noisy needs two noisy shots"):
        find(tmp_path / "first", "noisy")


def test_without_a_target_only_noisy_files_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/1.png", "clean/1.png", "a_real.png", "a_mean.png")
    layout, names, _ = find(tmp_path, "none")
    assert layout.kind == "noisy"
    assert names == [["noisy/1.png"]]
    assert find(tmp_path, "none", "*_real.*=*_mean.*")[1] == [["a_real.png"]]
    touch(tmp_path / "flat", "1.png")
    assert find(tmp_path / "flat", "none")[1] == [["1.png"]]


def test_a_folder_without_pairs_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/1.png", "clean/2.png")
    with pytest.raises(DataError, match="holds no pair of images named like"):
        find(tmp_path)


@pytest.mark.parametrize("pairs", ["a", "*=*=*", "*_a.png=b.png", "=", "a=b", "*_a.*=*_b.png"])
def test_what_is_no_two_patterns_is_reported(tmp_path: Path, pairs: str) -> None:
    with pytest.raises(ArgumentError, match="`pairs` must be two patterns of names"):
        find(tmp_path, pairs=pairs)


def scene(seed: int = 0) -> np.ndarray:
    """Return blobs, smooth enough that they look the same under noise."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((14, 18)), np.ones((8, 8)))
    smooth = sum(np.roll(coarse, (i, j), (0, 1)) for i in range(4) for j in range(4)) / 16
    return np.rint(255 * smooth[..., None]).astype(np.uint8)


def noisy(image: np.ndarray, sigma: float = 25) -> np.ndarray:
    noise = np.random.default_rng(9).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def mismatch(one: np.ndarray, two: np.ndarray) -> str:
    return find_mismatch([StoredImage(one), StoredImage(two)], ["a.png", "b.png"])


def test_a_true_pair_is_none_the_worse_for_noise_and_brightness() -> None:
    assert mismatch(noisy(scene()), scene()) == ""
    assert mismatch(noisy(scene() // 2, 15), scene()) == ""
    flat = np.full((40, 40, 1), 9, np.uint8)
    assert mismatch(flat, flat) == ""


@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (3, 2), (-5, 7)])
def test_a_moved_pair_is_found(shift: tuple[int, int]) -> None:
    moved = np.roll(scene(), shift, (0, 1))[10:-10, 10:-10]
    found = mismatch(noisy(moved), scene()[10:-10, 10:-10])
    assert f"the first is moved by {shift[0]} down and {shift[1]} right" in found


def test_other_sizes_and_other_scenes_are_found() -> None:
    assert "they have 144 x 112 and 140 x 112 pixels" in mismatch(scene(), scene()[:, :-4])
    assert "do not show the same" in mismatch(noisy(scene(0)), scene(5))
