"""Options of `quietpixel denoise` as a person would try them: range, format, quality, links."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

WORD = ["denoise", "--precision", "f32"]


def noisy(path: Path, *, sigma: float = 0.1, shape: tuple[int, ...] = (80, 90)) -> Path:
    image = 0.5 + sigma * np.random.default_rng(0).standard_normal(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def clean(path: Path) -> Path:
    return path.with_name(f"{path.stem}-clean{path.suffix}")


# --range, --format, --jpeg-quality, --max-pixels, --quality


def test_the_range_that_was_found_is_said(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "counts.tif"
    tifffile.imwrite(path, np.full((6, 6), 3000, np.uint16))
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert "Intensity scale: black 0, white 4095 of 65535." in outcome.err
    assert tifffile.imread(clean(path)).tolist()[0][0] == 1500


def test_the_range_that_was_given_is_used_and_said(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "counts.tif"
    tifffile.imwrite(path, np.full((6, 6), 3000, np.uint16))
    outcome = quietpixel(*WORD, path, "--model", halver, "--range", "1000,5000")
    assert "Intensity scale: black 1000, white 5000 of 65535." in outcome.err
    assert tifffile.imread(clean(path)).tolist()[0][0] == 2000


def disc(brightness: float) -> np.ndarray:
    """A disc of up to 400 photons times `brightness`, with an offset of 100 counts."""
    y, x = np.mgrid[:96, :96]
    photons = 40 + 360 * (np.hypot(y - 50, x - 45) < 25)
    return (100 + np.random.default_rng(0).poisson(brightness * photons)).astype(np.uint16)


def test_a_hot_pixel_leaves_the_rest_of_a_file_unaffected(quietpixel, tmp_path) -> None:
    plain, hot = tmp_path / "plain.tif", tmp_path / "hot.tif"
    image = disc(1)
    tifffile.imwrite(plain, image)
    image[10, 80] = 65535
    tifffile.imwrite(hot, image)
    report = tmp_path / "report.json"
    assert quietpixel(*WORD, plain, hot, "--json", report).code == 0
    first, second = tifffile.imread(clean(plain)), tifffile.imread(clean(hot))
    assert second[10, 80] == 65535
    first[10, 80] = second[10, 80] = 0
    assert np.abs(first.astype(int) - second).max() <= 3
    assert first[20:, :15].std() < 0.4 * image[20:, :15].std()
    for entry in json.loads(report.read_text())["files"]:
        ((black, white),) = entry["scale"]
        assert 80 < black < 140
        assert 480 < white < 600
        sentence = f"Intensity scale: black {black:g}, white {white:g} of 65535."
        assert sentence in entry["notes"]


def test_the_pages_of_a_stack_share_one_scale(quietpixel, tmp_path) -> None:
    path, report = tmp_path / "brighter.tif", tmp_path / "report.json"
    tifffile.imwrite(path, np.stack([disc(1), disc(4), disc(16)]), photometric="minisblack")
    assert quietpixel(*WORD, path, "--json", report).code == 0
    (entry,) = json.loads(report.read_text())["files"]
    first, *others = entry["scale"]
    assert others == [first, first]
    assert first[1] > 5000


@pytest.mark.parametrize("text", ["1", "a,b", "1,2,3", "5,1"])
def test_a_range_that_is_none_is_refused(quietpixel, halver, gray, text) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--range", text)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "two numbers" in outcome.err


@pytest.mark.parametrize(("name", "ending"), [("tiff", ".tif"), ("jpg", ".jpg"), ("webp", ".webp")])
def test_another_format_is_written(quietpixel, halver, gray, name, ending) -> None:
    assert quietpixel(*WORD, gray, "--model", halver, "--format", name).code == 0
    image = Image.open(gray.with_name(f"gray-clean{ending}"))
    assert image.format in (name.upper(), "JPEG")
    assert np.asarray(image).max() == 100


@pytest.mark.parametrize(
    "words",
    [
        ("--engine", "opnvino"),
        ("--precision", "f16"),
        ("--format", "svg"),
        ("--range", "5,1"),
        ("--sigma", "25"),
    ],
)
def test_a_wrong_option_is_said_once_and_not_of_each_file(quietpixel, gray, words) -> None:
    noisy(gray.parent / "other.png")
    outcome = quietpixel("denoise", gray.parent, "-o", gray.parent / "out", *words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "gray.png" not in outcome.err


def test_an_ending_of_no_format_is_refused(quietpixel, halver, gray, tmp_path) -> None:
    outcome = quietpixel(*WORD, gray, "-o", tmp_path / "out.svg", "--model", halver)
    assert outcome.code == 2
    assert "no format that quietpixel writes has the suffix .svg; choose another" in outcome.err
    assert not (tmp_path / "out.svg").exists()


def test_an_unknown_format_is_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--format", "tif2")
    assert outcome.code == 2
    assert "Unknown image format 'tif2': did you mean 'tiff'?" in outcome.err
    assert "raw" not in outcome.err  # no result can have it


def test_the_quality_of_a_jpeg_is_that_of_the_source_or_a_number_on_request(
    quietpixel, halver, tmp_path
) -> None:
    source = tmp_path / "a.jpg"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64), np.uint8)).save(source, quality=60)
    tables = {}
    for word in ("source", 90):
        words = [source, "--model", halver, "--overwrite", "--jpeg-quality", word]
        assert quietpixel(*WORD, *words).code == 0
        tables[word] = Image.open(clean(source)).quantization
    assert tables["source"] == Image.open(source).quantization
    wanted = io.BytesIO()
    Image.new("L", (8, 8)).save(wanted, "jpeg", quality=90)
    assert tables[90] == Image.open(wanted).quantization


@pytest.mark.parametrize("word", ["0", "101", "best", "-5"])
def test_another_jpeg_quality_is_refused(quietpixel, halver, gray, word) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--jpeg-quality", word)
    assert outcome.code == 2
    expected = f"--jpeg-quality must be a number from 1 to 100, or source; got '{word}'. Try 95."
    assert expected in outcome.err


def test_more_pixels_than_allowed_are_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--max-pixels", 62)
    assert outcome.code == 2
    assert "declares 7 x 9 pixels, 63 in all, and at most 62 are read" in outcome.err
    assert "make it smaller, or raise --max-pixels." in outcome.err
    assert quietpixel("denoise", gray, "--model", halver, "--max-pixels", 63).code == 0


def test_an_unknown_quality_is_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--quality", "bset")
    assert outcome.code == 2
    assert "Unknown quality 'bset': did you mean 'best'?" in outcome.err
    assert quietpixel("denoise", gray, "--model", halver, "--quality", "best").code == 0
    outcome = quietpixel("denoise", gray, "--model", halver, "--quality", "90")
    assert outcome.code == 2
    assert "got '90'. The quality of JPEG files is --jpeg-quality 90." in outcome.err


LONG = 256 * "x"


@pytest.mark.parametrize(
    "words",
    [
        "denoise IMAGE -o {}.png", "denoise IMAGE --suffix {}", "denoise IMAGE --json {}.json",
        "denoise IMAGE --in-place --backup .{}", "denoise IMAGE --compare {}.png",
        "noise IMAGE --json {}.json", "noise IMAGE --plot {}.png",
        "evaluate median-3x3 FOLDER --json {}.json", "evaluate median-3x3 FOLDER --report {}.html",
        "export FOLDER/none.onnx --bioimageio {}.zip",
    ],
)  # fmt: skip
def test_places_that_no_file_can_have_are_refused_before_the_work(
    quietpixel, halver, tmp_path, monkeypatch, words
) -> None:
    monkeypatch.chdir(tmp_path)
    damaged = noisy(tmp_path / "in" / "bad.png")
    damaged.write_bytes(damaged.read_bytes()[:-30])  # whoever decodes it says so
    words = words.replace("IMAGE", "in/bad.png").replace("FOLDER", "in")
    words += f" --model {halver}" if words.startswith("denoise") else ""
    for name, reason in ((LONG, "name (is )?too long"), ("in/bad.png/x", "folder")):
        if name == LONG or " {}." in words:
            outcome = quietpixel(*words.format(name).split())
            assert outcome.code == 2
            assert re.search(reason, outcome.err)
            assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_name_that_the_suffix_makes_too_long_comes_with_a_way_out(
    quietpixel, halver, tmp_path
) -> None:
    path = noisy(tmp_path / f"{'a' * 247}.png")
    outcome = quietpixel("denoise", path, "--model", halver)
    assert outcome.code == 2
    assert outcome.err.endswith(" Name a file, or a folder for it, as --output.\n")
    assert quietpixel("denoise", path, "--model", halver, "-o", f"{tmp_path / 'out'}/").code == 0


def test_a_package_needs_a_folder_before_the_work(quietpixel, tmp_path) -> None:
    outcome = quietpixel("export", tmp_path / "no.onnx", "--bioimageio", tmp_path / "no" / "a.zip")
    assert outcome.code == 2
    assert f"The folder '{tmp_path / 'no'}' does not exist; make it first." in outcome.err


@pytest.mark.parametrize("name", ["-o.png", "-dust.png", "--sigmas"])
def test_names_that_begin_like_options_are_explained(
    quietpixel, halver, tmp_path, monkeypatch, name
) -> None:
    monkeypatch.chdir(tmp_path)
    noisy(tmp_path / "a.png").rename(name)
    outcome = quietpixel("denoise", name, "--model", halver)
    assert outcome.code == 2
    assert f" For the file of that name, write ./{name}. " in outcome.err
    assert quietpixel("denoise", f"./{name}", "--model", halver, "-o", "a.png").code == 0


# Links.


@pytest.mark.skipif(os.name == "nt", reason="links need rights")
def test_links_that_leave_and_loops_are_left_out_and_said(quietpixel, halver, tmp_path) -> None:
    folder = tmp_path / "in"
    noisy(folder / "a.png")
    secret = noisy(tmp_path / "secret.png")
    (folder / "out.png").symlink_to(secret)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "inside.png").symlink_to(folder / "a.png")
    words = ["--recursive", "-o", tmp_path / "result", "--model", halver]
    outcome = quietpixel("denoise", folder, *words)
    assert outcome.code == 0, outcome.err
    assert f"Skipping {folder / 'out.png'}: the link leaves the folder." in outcome.err
    assert f"Skipping {folder / 'loop.png'}: the link leads nowhere or in a loop" in outcome.err
    assert f"Skipping {folder / 'up'}: links to folders are not followed." in outcome.err
    made = sorted(path.name for path in (tmp_path / "result").iterdir())
    assert made == [".quietpixel-done.jsonl", "a.png", "inside.png"]
