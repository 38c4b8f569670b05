"""Reports replace older reports, never a photograph that a shell pattern puts in their place."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from quietpixel.errors import FileError
from quietpixel.files import refuse_foreign
from quietpixel.workflows.evaluate import compare


@pytest.mark.parametrize(
    "words",
    [
        ("denoise", "--model", "HALVER", "--json"),
        ("noise", "--json"),
        ("noise", "--plot"),
        ("evaluate", "--noise", "gaussian:0.1", "--json"),
        ("evaluate", "--noise", "gaussian:0.1", "--report"),
    ],
)
def test_no_report_replaces_a_photograph(words, quietpixel, halver, gray, tmp_path) -> None:
    photo = Path(shutil.copy(gray, tmp_path / "a.png"))
    before = photo.read_bytes()
    words = [halver if word == "HALVER" else word for word in words]
    rest = ("median", "digits", "--count", 1) if words[0] == "evaluate" else (gray,)
    outcome = quietpixel(*words, photo, *rest)
    assert outcome.code == 2
    assert "report, so it is not replaced; choose another name." in outcome.err
    assert photo.read_bytes() == before


def test_reports_replace_older_ones(quietpixel, tmp_path) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    np.save(tmp_path / "noisy.npy", noisy)
    (tmp_path / "a.json").touch()
    for _ in range(2):
        words = (
            "noise",
            tmp_path / "noisy.npy",
            "--json",
            tmp_path / "a.json",
            "--plot",
            tmp_path / "a.png",
        )
        assert quietpixel(*words).code == 0
        compare(["noisy"], "digits", noise="gaussian:0.1", count=1, report=tmp_path / "a.html")
    with pytest.raises(FileError, match=r"a\.html' exists and is not a JSON report"):
        refuse_foreign(tmp_path / "a.html", "JSON")


@pytest.mark.parametrize("words", [("noise", "GRAY"), ("evaluate", "median", "digits")])
def test_a_report_into_nowhere_is_refused_at_once(words, quietpixel, gray, tmp_path) -> None:
    words = [gray if word == "GRAY" else word for word in words]
    outcome = quietpixel(*words, "--json", tmp_path / "no" / "a.json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--json must lie in a folder that exists" in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        ("calibrate", "HALVER", "FOLDER", "-o", "PHOTO"),
        ("calibrate", "HALVER", "FOLDER", "-o", "LINK"),
        ("calibrate", "HALVER", "FOLDER", "-o", "NOWHERE"),
        ("export", "HALVER", "--author", "A", "--bioimageio", "ZIP"),
        ("train", "digits", "--epochs", 1, "--run", "FOLDER"),
        ("train", "digits", "--epochs", 1, "--name", "photo-of-mine"),
    ],
)
def test_no_model_replaces_another_file(words, quietpixel, halver, gray, tmp_path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    places = {
        "HALVER": halver,
        "FOLDER": folder,
        "PHOTO": folder / "samples.png",
        "LINK": folder / "link.onnx",
        "NOWHERE": folder / "no" / "a.onnx",
        "ZIP": folder / "a.zip",
    }
    kept = tmp_path / "data" / "quietpixel" / "models" / "photo-of-mine.onnx"
    kept.parent.mkdir(parents=True)
    photos = [places["PHOTO"], places["ZIP"], kept]
    for photo in photos:
        shutil.copy(gray, photo)
    places["LINK"].symlink_to(halver)
    outcome = quietpixel(*(places.get(word, word) for word in words))
    assert outcome.code == 2, outcome.err
    assert "choose another" in outcome.err or "the folder does not exist" in outcome.err
    assert "Calibrating" not in outcome.err
    assert all(photo.read_bytes() == gray.read_bytes() for photo in photos)
    assert places["LINK"].is_symlink()
    assert not (folder / "recipe.json").exists()
