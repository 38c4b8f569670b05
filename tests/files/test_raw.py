"""Camera RAW: recognised by content, developed as the camera saw it, never taken for a TIFF."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image, ImageCms

from quietpixel.errors import FileError
from quietpixel.files import check_readable, check_target, read_picture, read_size, write_picture
from quietpixel.files.formats import identify
from quietpixel.files.raw import read_canon_tags

from ..dng import LAYOUTS, WHITE, linear, make_mosaic, plain, with_preview


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Return the curve of IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.fixture(params=LAYOUTS)
def make(request: pytest.FixtureRequest):
    return LAYOUTS[request.param]


def test_the_generated_files_are_dng(make, tmp_path: Path) -> None:
    mosaic, path = make_mosaic(), tmp_path / "a.dng"
    path.write_bytes(make(mosaic))
    with rawpy.imread(str(path)) as raw:
        if make is not linear:
            assert np.array_equal(raw.raw_image_visible, mosaic)
        assert raw.white_level == WHITE
    if shutil.which("exiftool"):
        command = ["exiftool", "-json", path]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
        assert (found["FileType"], found["DNGVersion"]) == ("DNG", "1.4.0.0")


def test_gray_comes_out_gray_and_as_bright_as_the_sensor_saw_it(make) -> None:
    picture = read_picture(make(make_mosaic()))
    assert (picture.format, picture.size, picture.colour) == ("raw", (32, 24), "rgb")
    assert (picture.dtype, picture.encoding.bits, picture.notes) == (np.uint16, 16, ())
    ramp = np.add.outer(np.linspace(600, 1200, 24), np.linspace(0, 600, 32)) / WHITE
    inner = slice(4, -4)
    developed = picture.pages[0][inner, inner] / 65535
    # The mosaic of the linear layout was interpolated by repetition, half a pixel to one side.
    tolerance = 0.03 if make is linear else 0.003
    assert np.abs(developed - to_srgb(ramp)[inner, inner, None]).max() < tolerance
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.metadata.icc))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize(("orientation", "found"), [(1, 1), (3, 3), (6, 6), (8, 8)])
def test_orientation_and_exif_reach_the_tiff(
    make, orientation: int, found: int, tmp_path: Path
) -> None:
    picture = read_picture(make(make_mosaic(), orientation))
    assert picture.size == (32, 24)
    write_picture(picture, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert (tags["Make"].value, tags["Orientation"].value) == ("Maker", found)
        assert file.pages[0].shape == (24, 32, 3)
        assert "DNGVersion" not in tags
    assert check_readable(tmp_path / "a.tif") == "tiff"


def test_a_mosaic_without_dng_tags_is_raw_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tags = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]
    tifffile.imwrite(path, make_mosaic(), photometric="CFA", extratags=tags)
    assert check_readable(path) == "raw"
    assert "The name promises tiff, but the file is raw." in read_picture(path).notes


def test_directories_at_the_end_of_the_file_are_searched() -> None:
    content = with_preview(make_mosaic())
    start = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[start : start + 2], "little")
    directory = content[start : start + 2 + 12 * count + 4]
    end = len(content) + 10_000
    moved = content[:4] + end.to_bytes(4, "little") + content[8:]
    moved = moved.ljust(end, b"\0") + directory
    assert identify(moved).name == "raw"


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0", b"IIRS\x08\0\0\0", b"MMOR\0\0\0\x08", b"FOVb\0\0\3\0", b"\0MRM\0\0\1\0",
        b"II*\0\x10\0\0\0CR\2\0", b"II*\0\0\1\0\0IIIIwaR", b"II\x1a\0\0\0HEAPCCDR",
    ],
    ids=["RAF", "CR3", "RW2", "ORF", "ORF (IIRS)", "ORF (MMOR)", "X3F", "MRW", "CR2", "IIQ",
         "CRW"],
)  # fmt: skip
def test_other_kinds_are_recognised_by_their_first_bytes(head: bytes) -> None:
    content = head.ljust(4096, b"\0")
    assert identify(content).name == "raw"
    with pytest.raises(FileError, match="LibRaw cannot develop this camera RAW file"):
        read_picture(content)


@pytest.mark.parametrize(
    ("kind", "maker", "order", "below"),
    [("NEF", "NIKON CORPORATION", ">", 2), ("ARW", "SONY", "<", 1), ("PEF", "PENTAX", ">", 0)],
)
def test_a_mosaic_behind_or_below_previews_is_found(kind, maker, order, below, tmp_path) -> None:
    """The layouts of Nikon, Sony and Pentax, whose files begin like any TIFF."""
    path, preview = tmp_path / f"a.{kind}", np.full((12, 16, 3), 90, np.uint8)
    mosaic = make_mosaic()
    with tifffile.TiffWriter(path, byteorder=order) as file:
        maker_tag = [(271, "s", 0, maker, True)]
        options = {"metadata": None, "photometric": "rgb", "subfiletype": 1}
        file.write(preview, subifds=below, extratags=maker_tag, **options)
        if below == 2:
            file.write(preview, **options)
        tags = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]
        file.write(mosaic, photometric="CFA", metadata=None, extratags=tags)
    content = path.read_bytes()
    assert check_readable(path) == identify(content).name == "raw"
    assert read_picture(path).size == (32, 24)
    with pytest.raises(FileError, match="Camera RAW files are only read"):
        check_target("raw", path, path)


def test_a_file_cut_before_its_mosaic_is_not_taken_for_its_preview() -> None:
    # Without the version of DNG in the first page, as in other RAW files.
    content = with_preview(make_mosaic()).replace(b"\x12\xc6\1\0", b"\x11\xc6\1\0")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        (below,) = file.pages[0].tags["SubIFDs"].value
    assert identify(content).name == "raw"
    with pytest.raises(FileError, match="its directory of tags is damaged"):
        read_picture(content[:below])


def test_the_boxes_of_a_cr3_are_read_as_exif() -> None:
    camera, shot = Image.Exif(), Image.Exif()
    camera[271], shot[34855] = "Maker", 400  # maker and ISO speed
    parts = {b"CMT1": camera, b"CMT2": shot}
    head = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"
    for name, part in parts.items():
        content = part.tobytes().removeprefix(b"Exif\0\0")
        head += (len(content) + 8).to_bytes(4, "big") + name + content
    directory = read_canon_tags(head + b"mdat")
    assert directory.block(271) == b"Maker\0"
    assert directory.branches[34665].first(34855, 0) == 400
    assert 34853 not in directory.branches


def test_a_cut_dng_is_an_error_and_nothing_is_printed(make, capfd) -> None:
    content = make(make_mosaic())
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        pages = [each for page in file.pages for each in (page, *(page.pages or ()))]
        parts = [zip(p.dataoffsets, p.databytecounts, strict=True) for p in pages]
        end = max(at + size for part in parts for at, size in part)
    with pytest.raises(FileError, match="the file is cut short; get a whole copy of it"):
        read_picture(content[: end - 1])
    assert capfd.readouterr() == ("", "")
    assert read_picture(content[:end]).size == (32, 24)


def test_ordinary_tiff_files_stay_tiff(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pixels, photometric="rgb", subifds=1)
        file.write(pixels[::2, ::2], photometric="rgb", subfiletype=1)
    assert check_readable(tmp_path / "a.tif") == "tiff"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "a.dng"
    path.write_bytes(plain(make_mosaic()))
    for function in (check_readable, read_picture, read_size):
        with pytest.raises(FileError) as error:
            function(path)
        assert str(error.value) == (
            f"'{path}' cannot be read: Camera RAW files need an optional package; "
            "install it with pip install 'quietpixel[raw]'."
        )
