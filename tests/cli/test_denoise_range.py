"""`--range folder`: one intensity scale for all images of a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL.ImageCms import ImageCmsProfile, createProfile

from quietpixel.files import Picture, write_picture

from ..tiny_models import write_sigma
from .conftest import Command, Outcome


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adds the noise level that it is given, on the scale of the image."""
    return write_sigma(tmp_path_factory.mktemp("models") / "adder.onnx")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Two exposures of one scene with 12 bits, from 1000 to 1500 and from 2000 to 3000 counts."""
    folder = tmp_path / "series"
    folder.mkdir()
    for factor in (1, 2):
        put(folder / f"exposure{factor}.tif", factor)
    return folder


def scene() -> np.ndarray:
    """Squares of all brightnesses in [0, 1]."""
    return np.kron(np.linspace(0, 1, 24).reshape(4, 6), np.ones((8, 8)))


def put(path: Path, factor: float, dtype: str = "uint16") -> None:
    values = factor * (1000 + 500 * scene())
    write_picture(Picture.from_pixels(values.astype(dtype)), path)


def run(quietpixel: Command, folder: Path, model: Path, *more: str) -> tuple[Outcome, dict]:
    report = folder.parent / "report.json"
    output = folder.parent / "out"
    words = ("denoise", folder, "-o", output, "--model", model, "--json", report, *more)
    done = quietpixel(*words)
    return done, json.loads(report.read_text())


def test_all_images_of_a_folder_share_one_scale(
    quietpixel: Command, series: Path, adder: Path
) -> None:
    done, report = run(quietpixel, series, adder, "--range", "folder")
    assert done.code == 0
    [black, white] = report["scale"][0]
    assert report["settings"]["range"] == "folder"
    assert 950 <= black <= 1000
    assert 2900 <= white <= 3100
    assert [each["scale"] for each in report["files"]] == [[[black, white]]] * 2
    said = f"found in 2 of 2 images: black {black:.6g}, white {white:.6g} of 65535."
    assert said in done.err
    done, report = run(quietpixel, series, adder, "--overwrite")
    assert report["scale"] is None
    assert report["files"][0]["scale"][0][1] < 1600 < report["files"][1]["scale"][0][1]


def test_a_run_is_continued_on_the_scale_of_its_first_images(
    quietpixel: Command, series: Path, adder: Path
) -> None:
    _, before = run(quietpixel, series, adder, "--range", "folder")
    put(series / "later.tif", 10)
    done, after = run(quietpixel, series, adder, "--range", "folder")
    assert after["scale"] == before["scale"]
    assert after["files"][-1]["scale"] == before["scale"]
    assert [each["status"] for each in after["files"]] == ["skipped", "skipped", "done"]
    assert "as in the run that is continued" in done.err


def test_images_of_another_type_are_refused(
    quietpixel: Command, series: Path, adder: Path, tmp_path: Path
) -> None:
    put(series / "float.tif", 1, "float32")
    words = ("denoise", series, "-o", tmp_path / "out", "--model", adder, "--range", "folder")
    done = quietpixel(*words)
    assert (done.code, "--range folder needs images of one type" in done.err) == (2, True)
    (series / "float.tif").unlink()
    quietpixel(*words)
    put(series / "float.tif", 1, "float32")
    done = quietpixel(*words)
    assert done.code == 1
    assert "float.tif: --range folder needs images of one type" in done.err


def test_another_folder_into_the_same_one_has_a_scale_of_its_own(
    quietpixel: Command, series: Path, adder: Path
) -> None:
    run(quietpixel, series, adder, "--range", "folder")
    for name, factor in (("exposure1.tif", 4), ("exposure2.tif", 8)):
        (series / name).unlink()
        put(series / name, factor)
    _, report = run(quietpixel, series, adder, "--range", "folder", "--overwrite")
    [black, white] = report["scale"][0]
    assert (3800 <= black <= 4000, 11600 <= white <= 12400) == (True, True)
    put(series / "later.tif", 20)
    _, after = run(quietpixel, series, adder, "--range", "folder")
    assert after["scale"] == report["scale"]


def test_channels_of_stacks_share_a_scale_each(
    quietpixel: Command, tmp_path: Path, adder: Path
) -> None:
    folder = tmp_path / "stacks"
    folder.mkdir()
    for number in range(2):
        values = 500 * (number + 1) * scene()
        np.save(folder / f"{number}.npy", np.stack([1000 + values, 5000 + values]))
    words = ("--range", "folder", "--axes", "cyx")
    _, report = run(quietpixel, folder, adder, *words)
    scales = np.array(report["scale"])
    np.testing.assert_allclose(scales, [[1000, 2000], [5000, 6000]], atol=100)
    for file in report["files"]:
        assert file["scale"] == report["scale"]


@pytest.mark.parametrize(("kind", "white"), [("declared", 999), ("profile", 1023)])
def test_values_that_files_declare_are_the_scale_of_a_folder(
    quietpixel: Command, tmp_path: Path, adder: Path, kind: str, white: int
) -> None:
    values = np.rint(200 + 500 * scene()).astype(">u2")
    (tmp_path / "in").mkdir()
    if kind == "declared":
        (tmp_path / "in" / "a.pgm").write_bytes(b"P5 48 32 999\n" + values.tobytes())
    else:
        profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
        tifffile.imwrite(tmp_path / "in" / "a.tif", values, iccprofile=profile)
    _, report = run(quietpixel, tmp_path / "in", adder, "--range", "folder")
    assert report["scale"] == [[0, white]]


def test_what_has_no_folder_is_refused(quietpixel: Command, adder: Path, series: Path) -> None:
    done = quietpixel("denoise", "-", "--model", adder, "--range", "folder")
    assert (done.code, "--range folder needs files" in done.err) == (2, True)
    done = quietpixel("denoise", series / "exposure1.tif", "--range", "half")
    assert "--range must be two numbers, black and white, or folder; got 'half'." in done.err
