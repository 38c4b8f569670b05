"""RAW files, and files of a folder that are not read: what is written and what is said."""

import json
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from ..dng import LAYOUTS, make_mosaic, with_preview


@pytest.fixture(params=LAYOUTS)
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "IMG.dng"
    path.write_bytes(LAYOUTS[request.param](make_mosaic(), 6))
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a folder with an image and files that are not read."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.fromarray(np.full((9, 7), 200, np.uint8)).save(folder / "a.png")
    for name in ("IMG_1.dng", "IMG_2.DNG", "b.tga", "c.MP4", "a.xmp", "notes.txt"):
        (folder / name).write_bytes(with_preview(make_mosaic()) if "dng" in name.lower() else b"?")
    return folder


SUMMARY = (
    "5 files skipped: 2 DNG (pip install 'quietpixel[raw]'), 1 XMP (sidecar), "
    "1 TGA (not supported; convert to PNG or TIFF), 1 MP4 (video).\n"
)


def test_a_raw_file_is_developed_into_a_tiff(quietpixel, halver, raw) -> None:
    before = raw.read_bytes()
    outcome = quietpixel("denoise", raw, "--model", halver)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in raw.parent.glob("IMG*")) == ["IMG-clean.tif", "IMG.dng"]
    with tifffile.TiffFile(raw.with_name("IMG-clean.tif")) as file:
        page = file.pages[0]
        assert (page.shape, page.dtype) == ((24, 32, 3), np.uint16)
        assert (page.tags["Make"].value, page.tags["Orientation"].value) == ("Maker", 6)
        assert 34675 in page.tags  # the profile
        assert page.asarray()[12, 20] == pytest.approx(39200 / 2, rel=0.03)  # the model halves
    assert raw.read_bytes() == before


def test_a_raw_file_becomes_a_jpeg_on_request(quietpixel, halver, raw) -> None:
    assert quietpixel("denoise", raw, "--model", halver, "--format", "jpeg").code == 0
    image = Image.open(raw.with_name("IMG-clean.jpg"))
    assert (image.format, image.size, image.getexif()[274]) == ("JPEG", (32, 24), 6)


@pytest.mark.parametrize("name", ["IMG.dng", "IMG.tif"])
def test_a_raw_file_is_not_replaced(quietpixel, halver, raw, name) -> None:
    path = raw.rename(raw.with_name(name))
    before = path.read_bytes()
    for words in (["--in-place"], ["-o", path, "--overwrite"]):
        outcome = quietpixel("denoise", path, "--model", halver, *words)
        assert outcome.code == 2
        assert "cannot be replaced because Camera RAW files are only read" in outcome.err
        assert path.read_bytes() == before
        assert "would be refused" in quietpixel("denoise", path, *words, "--dry-run").out


def test_a_large_raw_file_is_not_denoised_in_parts_as_a_tiff(quietpixel, halver, raw) -> None:
    path = raw.rename(raw.with_name("IMG.tif"))
    outcome = quietpixel("denoise", path, "--model", halver, "--max-pixels", 100)
    assert outcome.code == 2
    assert "it declares 32 x 24 pixels" in outcome.err
    assert not raw.with_name("IMG-clean.tif").exists()


def test_raw_is_no_format_to_write(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray.parent, "--model", halver, "--format", "raw")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "The format raw can be read, but not written" in outcome.err


@pytest.mark.parametrize("words", [[], ["--format", "tiff"]])
def test_no_result_has_the_name_of_a_raw_file(quietpixel, halver, raw, gray, words) -> None:
    target = raw.with_name("b.NEF")
    for source in (raw, gray):
        outcome = quietpixel("denoise", source, "--model", halver, "-o", target, *words)
        assert outcome.code == 2
        assert f"only read; choose '{target.with_suffix('.tif')}'" in outcome.err
        assert not target.exists()


def test_without_rawpy_one_sentence_says_what_to_install(
    quietpixel, halver, raw, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    outcome = quietpixel("denoise", raw, "--model", halver)
    assert outcome.code == 2
    assert outcome.err == (
        f"quietpixel: '{raw}' cannot be read: Camera RAW files need an optional package; "
        "install it with pip install 'quietpixel[raw]'.\n"
    )
    assert list(raw.parent.glob("IMG*")) == [raw]


def test_skipped_files_are_counted_and_named(
    quietpixel, halver, mixed, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    report = tmp_path / "report.json"
    words = ["denoise", mixed, "--model", halver]
    outcome = quietpixel(*words, "--dry-run")
    assert outcome.code == 1
    assert f"{mixed / 'c.MP4'}: would be skipped (video)\n" in outcome.out
    assert SUMMARY in outcome.err
    outcome = quietpixel(*words, "--json", report)
    assert outcome.code == 1
    assert SUMMARY in outcome.err
    assert "\n1 of 4 images are done, " in outcome.err
    found = {Path(file["source"]).name: file for file in json.loads(report.read_text())["skipped"]}
    assert {name: file["image"] for name, file in found.items()} == {
        "IMG_1.dng": True, "IMG_2.DNG": True, "b.tga": True, "c.MP4": False, "a.xmp": False,
    }  # fmt: skip
    assert found["IMG_2.DNG"]["reason"] == "pip install 'quietpixel[raw]'"
    assert found["IMG_2.DNG"]["kind"] == "DNG"


def test_a_folder_of_files_that_cannot_be_read_is_a_failure(quietpixel, halver, mixed) -> None:
    for path in mixed.glob("*"):
        if path.suffix != ".tga":
            path.unlink()
    for words in ([], ["--dry-run"]):
        outcome = quietpixel("denoise", mixed, "--model", halver, *words)
        assert outcome.code == 2
        assert "1 file skipped: 1 TGA (not supported; convert to PNG or TIFF).\n" in outcome.err
        assert "No images found" not in outcome.err


def test_videos_documents_and_sidecars_do_not_change_the_exit_code(
    quietpixel, halver, mixed
) -> None:
    (mixed / "scan.pdf").touch()
    for path in mixed.glob("*"):
        if path.suffix in (".tga", ".dng", ".DNG"):
            path.unlink()
    outcome = quietpixel("denoise", mixed, "--model", halver)
    assert outcome.code == 0
    kinds = "1 XMP (sidecar), 1 MP4 (video), 1 PDF (document)"
    assert f"3 files skipped: {kinds}.\n" in outcome.err


def test_images_under_other_suffixes_are_named(quietpixel, halver, tmp_path) -> None:
    image = Image.fromarray(np.full((16, 16, 3), 100, np.uint8))
    for name in ("a.jpg", "a.jpg.orig", "a.jpg_original", "IMG_1", "slide.svs", "c.jpg "):
        image.save(tmp_path / name, "tiff" if name == "slide.svs" else "jpeg")
    for name, content in (("a.txt", b"BMW, P1\n"), ("P1", b"P1\n1 litre\n"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
    outcome = quietpixel("denoise", tmp_path, "--model", halver)
    reason = "(an image by its content; rename it, or give its name)"
    kinds = f"1 without suffix {reason}, 1 JPG {reason}, 1 SVS {reason}"
    assert f"3 files skipped: {kinds}.\n" in outcome.err
    assert "1 of 4 images are done" in outcome.err
    assert outcome.code == 1
    assert quietpixel("denoise", tmp_path / "IMG_1", "--model", halver).code == 0


def test_a_video_is_named(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41")
    outcome = quietpixel("denoise", path, "--model", halver)
    assert outcome.code == 2
    assert f"'{path}' cannot be read: the file is an MP4 video; " in outcome.err


def test_a_heic_file_stays_one_with_its_depth(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "IMG.HEIC"
    pixels = np.full((24, 32, 3), 40_000, np.uint16)
    image = pillow_heif.from_bytes("RGB;16", (32, 24), pixels.tobytes())
    image.save(path, quality=90, bit_depth=10)
    outcome = quietpixel("denoise", path, "--model", halver)
    assert outcome.code == 0, outcome.err
    found = pillow_heif.open_heif(tmp_path / "IMG-clean.HEIC", convert_hdr_to_8bit=False)
    assert (found.info["bit_depth"], found.size) == (10, (32, 24))
    assert np.asarray(found).mean() == pytest.approx(20_000, rel=0.02)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"photometric": "cielab"}, "its colours are CIE Lab; convert it to RGB"),
        ({"photometric": "icclab"}, "its colours are ICC Lab; convert it to RGB"),
        ({"compression": "lzma"}, "LZMA compression support is not configured"),
        ({"planarconfig": "separate", "tile": (16, 16)}, "tiled separate planes not supported"),
    ],
)
def test_an_unusual_tiff_is_named_not_called_damaged(
    quietpixel, halver, tmp_path, options, reason
) -> None:
    path = tmp_path / "a.tif"
    pixels = np.full((24, 32, 3), 90, np.uint8)
    if "planarconfig" in options:
        pixels = np.moveaxis(pixels, 2, 0)
    tifffile.imwrite(path, pixels, **{"photometric": "rgb"} | options)
    outcome = quietpixel("denoise", path, "--model", halver)
    assert outcome.code == 2
    assert reason in outcome.err
    assert "damaged" not in outcome.err
    assert not path.with_name("a-clean.tif").exists()


def test_an_old_style_jpeg_in_a_tiff_is_named(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((24, 32, 3), 90, np.uint8), photometric="rgb")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(6)
    outcome = quietpixel("denoise", path, "--model", halver)
    assert outcome.code == 2
    assert "Old-style JPEG compression support is not configured" in outcome.err
    assert "damaged" not in outcome.err
