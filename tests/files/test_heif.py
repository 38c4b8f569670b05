"""HEIC: depth, colour numbers and orientation; checked with files that pillow-heif writes."""

import io
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from quietpixel.errors import FileError
from quietpixel.files import FORMATS, Picture, check_readable, read_picture, write_picture
from quietpixel.files.heif import find_lost

RAMP = np.add.outer(np.linspace(0.1, 0.4, 24), np.linspace(0, 0.5, 32))


def make_heic(bits: int = 8, **options) -> bytes:
    """Return a lossless gray ramp in RGB."""
    pixels = np.rint(np.repeat(RAMP[..., None], 3, axis=2) * (2**bits - 1)).astype(np.uint16)
    data = pixels.astype(np.uint8) if bits == 8 else (pixels << (16 - bits))
    mode = "RGB" if bits == 8 else "RGB;16"
    image = pillow_heif.from_bytes(mode, (32, 24), data.tobytes())
    stream = io.BytesIO()
    settings = {"quality": -1, "chroma": 444, "matrix_coefficients": 0, "bit_depth": bits}
    image.save(stream, **settings | options)
    return stream.getvalue()


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16)])
def test_each_depth_covers_the_range_of_its_type(bits: int, dtype: type, tmp_path: Path) -> None:
    picture = read_picture(make_heic(bits))
    assert (picture.format, picture.encoding.bits, picture.dtype) == ("heic", bits, dtype)
    white = np.iinfo(dtype).max
    error = np.abs(picture.pages[0] / white - RAMP[..., None]).max()
    assert error <= 0.6 / (2**bits - 1)
    write_picture(picture, tmp_path / "a.heic")
    again = read_picture(tmp_path / "a.heic")
    assert (again.encoding.bits, again.dtype) == (bits, dtype)
    assert np.abs(again.pages[0].astype(float) - picture.pages[0]).mean() < 0.01 * white


def test_colour_numbers_are_kept(tmp_path: Path) -> None:
    numbers = {"color_primaries": 9, "transfer_characteristics": 16, "matrix_coefficients": 9}
    write_picture(read_picture(make_heic(10, **numbers)), tmp_path / "a.heic")
    found = pillow_heif.open_heif(tmp_path / "a.heic").info["nclx_profile"]
    assert {key: found[key] for key in numbers} == numbers


@pytest.mark.parametrize("chroma", [420, 444])
def test_the_resolution_of_colour_is_kept(chroma: int, tmp_path: Path) -> None:
    content = make_heic(quality=90, chroma=chroma, matrix_coefficients=6)
    write_picture(read_picture(content), tmp_path / "a.heic")
    assert pillow_heif.open_heif(tmp_path / "a.heic").info["chroma"] == chroma


def test_an_orientation_is_applied_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    picture = read_picture(make_heic(exif=exif.tobytes()))
    assert (picture.size, picture.metadata.orientation) == ((24, 32), 1)
    write_picture(picture, tmp_path / "a.heic")
    again = pillow_heif.open_heif(tmp_path / "a.heic")
    assert again.size == (24, 32)
    written = Image.Exif()
    written.load(again.info["exif"])
    assert (written[271], written[274]) == ("Maker", 1)


def test_more_images_are_found() -> None:
    assert find_lost(make_heic()) == ()
    assert find_lost(make_two()) == ("1 more images",)


def make_two() -> bytes:
    images = pillow_heif.from_bytes("L", (8, 8), bytes(64))
    images.add_frombytes("L", (8, 8), bytes(range(64)))
    stream = io.BytesIO()
    images.save(stream)
    return stream.getvalue()


def test_a_file_without_an_image_is_refused() -> None:
    with pytest.raises(FileError, match="damaged, cut short or of a kind that libheif cannot"):
        read_picture(make_heic().replace(b"hvcC", b"hvcX"))


def test_a_file_cut_behind_its_first_image_is_refused() -> None:
    with pytest.raises(FileError, match="the file is damaged or cut short"):
        read_picture(make_two()[:-10])


def test_a_missing_package_is_named_in_both_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(make_heic())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert FORMATS["heic"].remedy == "pip install 'quietpixel[heif]'"
    sentence = (
        "HEIC files need an optional package; install it with pip install 'quietpixel\\[heif\\]'"
    )
    with pytest.raises(FileError, match=sentence):
        check_readable(path)
    with pytest.raises(FileError, match=sentence):
        write_picture(Picture.from_pixels(np.zeros((8, 8, 3), np.uint8)), tmp_path / "b.heic")
