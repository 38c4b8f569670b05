"""The contract of file formats: readers and writers do what the record in `FORMATS` says."""

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, UnidentifiedImageError

import quietpixel
from quietpixel.errors import FileError, ImageError, QuietpixelError, TooLargeError
from quietpixel.files import (
    FORMATS,
    Format,
    Metadata,
    Picture,
    check_writable,
    find_format,
    format_of_name,
    read_picture,
    read_size,
    writable_formats,
    write_picture,
)
from quietpixel.files.formats import HEAD, identify, sniff

from ..dng import make_mosaic, with_preview
from ..science import czi, lif

STATIC = Path(quietpixel.__file__).parent / "web" / "static"
LAYOUTS = [
    (kind.name, dtype, channels)
    for kind in FORMATS.values()
    if kind.write is not None
    for dtype in kind.dtypes
    for channels in (1, 2, 3, 4)
    if channels < 3 or kind.colour
    if channels in (1, 3) or (kind.alpha and dtype not in kind.opaque_dtypes)
]

PLANE = np.linspace(0, 60_000, 24 * 32).astype(np.uint16).reshape(1, 24, 32)
READ_ONLY = {
    "raw": lambda: with_preview(make_mosaic()),
    "czi": lambda: czi(PLANE),
    "lif": lambda: lif(one=PLANE),
}


def make_pixels(dtype: str = "uint8", channels: int = 3, size: tuple[int, int] = (24, 32)):
    """Return a smooth ramp, whose halves differ, with a nearly opaque alpha channel."""
    height, width = size
    ramp = np.add.outer(np.linspace(0, 0.3, height), np.linspace(0.1, 0.6, width))
    image = np.repeat(ramp[:, :, None], channels, axis=2) * np.linspace(1, 0.7, channels)
    if channels in (2, 4):
        image[..., -1] = 1
        image[: height // 4, :, -1] = 0
    top = 1.0
    if np.dtype(dtype).kind in "iu":
        top = min(np.iinfo(dtype).max, 2**62)  # above, the product rounds up beyond the type
    return (image * top).astype(dtype)


def make_picture(kind: Format, pixels: np.ndarray | None = None) -> Picture:
    """Return an image of 8 bits, or of floats or 16 bits where a format needs them; gray too."""
    pixels = make_pixels() if pixels is None else pixels
    if not kind.colour:
        pixels = pixels[..., :1]
    if "float32" in kind.dtypes and "uint8" not in kind.dtypes:
        pixels = (pixels / 255).astype(np.float32)
    elif "uint8" not in kind.dtypes:
        pixels = np.uint16(257) * pixels
    return Picture.from_pixels(pixels)


def make_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


def save(picture: Picture, name: str, **options) -> bytes:
    stream = io.BytesIO()
    write_picture(picture, stream, format=name, **options)
    return stream.getvalue()


@pytest.fixture(params=FORMATS.values(), ids=FORMATS)
def kind(request: pytest.FixtureRequest) -> Format:
    return request.param


@pytest.fixture(params=writable_formats())
def writable(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


@pytest.fixture
def content(kind: Format) -> bytes:
    """Return a file of 32 x 24 pixels."""
    if kind.write is None:
        if kind.name not in READ_ONLY and not kind.tested:
            pytest.skip(f"no {kind.title} file can be made here")
        return READ_ONLY[kind.name]()
    return save(make_picture(kind), kind.name)


def test_suffixes_belong_to_one_format() -> None:
    suffixes = [suffix for kind in FORMATS.values() for suffix in kind.suffixes]
    assert len(set(suffixes)) == len(suffixes)


def test_names_and_suffixes_lead_to_the_format(kind: Format) -> None:
    assert FORMATS[kind.name] is kind
    assert find_format(kind.name) is kind
    for suffix in kind.suffixes:
        assert re.fullmatch(r"\.[a-z0-9]+", suffix)
        assert format_of_name(Path(f"a{suffix.upper()}")) == kind.name
        assert find_format(suffix) is kind


def test_the_content_is_recognised_by_one_format(kind: Format, content: bytes) -> None:
    assert identify(content) is kind
    if kind.name == "raw":  # most are TIFF files inside, as only their directories show
        return
    assert sniff(content[:HEAD]) is kind
    assert [each.name for each in FORMATS.values() if each.recognise(content[:HEAD])] == [kind.name]


def test_the_media_type_is_that_of_other_libraries(kind: Format, content: bytes) -> None:
    assert re.fullmatch(r"image/[a-z0-9.+-]+", kind.media_type)
    assert [each.media_type for each in FORMATS.values()].count(kind.media_type) == 1
    if kind.name == "raw":  # of which Pillow shows the preview
        return
    with contextlib.suppress(UnidentifiedImageError, KeyError):  # Pillow does not know every one
        known = Image.MIME[Image.open(io.BytesIO(content)).format]
        # One name for the whole family in pillow-heif; browsers want that of the coding.
        assert kind.media_type == {"image/heif": "image/heic"}.get(known, known)


@pytest.mark.parametrize(("name", "dtype", "channels"), LAYOUTS)
def test_pixels_are_read_as_written(name: str, dtype: str, channels: int, tmp_path: Path) -> None:
    picture = Picture.from_pixels(make_pixels(dtype, channels))
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    assert write_picture(picture, path) == ()
    again = read_picture(path)
    assert (again.format, again.size, again.alpha) == (name, picture.size, picture.alpha)
    assert (again.dtype, again.maximum, again.notes) == (picture.dtype, picture.maximum, ())
    size = read_size(path)
    assert (size.width, size.height) == again.size
    assert size.colour == (again.colour == "rgb")
    page, expected = again.pages[0], picture.pages[0]
    if channels < 3 and again.colour == "rgb":  # a format without gray
        colours = np.repeat(expected[..., :1], 3, axis=2)
        expected = np.concatenate([colours, expected[..., 1:]], axis=2)
    if FORMATS[name].lossless:
        np.testing.assert_array_equal(page, expected)
    else:
        visible = expected[..., -1:] > 0 if again.alpha else True
        colours = slice(-1) if again.alpha else slice(None)
        error = (page.astype(float) - expected)[..., colours] * visible
        assert np.abs(error).mean() < 0.02 * picture.maximum


def test_an_orientation_is_kept_or_applied(writable: Format) -> None:
    metadata = Metadata(exif=make_exif(6), orientation=6)
    picture = replace(make_picture(writable), metadata=metadata, format="")
    again = read_picture(save(picture, writable.name))
    expected = picture.pages[0] if writable.orientation else np.rot90(picture.pages[0], 3)
    assert again.metadata.orientation == (6 if writable.orientation else 1)
    assert again.size == (expected.shape[1], expected.shape[0])
    assert np.abs(again.pages[0].astype(float) - expected).mean() < 5 / 255 * picture.maximum


def test_metadata_is_carried_as_the_record_says(writable: Format) -> None:
    metadata = Metadata(
        icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        exif=make_exif(1),
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>',
        iptc=b"8BIM\x04\x04\0\0\0\0\0\0",
        resolution=(10.0, 20.0),
    )
    picture = replace(make_picture(writable), metadata=metadata, format="")
    again = read_picture(save(picture, writable.name)).metadata
    for field in ("icc", "exif", "xmp", "iptc", "resolution"):
        expected, found = getattr(metadata, field), getattr(again, field)
        if field not in writable.metadata:
            assert found is None, field
        elif field == "exif":  # TIFF and AVIF store the same tags in other bytes
            assert b"Maker" in found
        elif field == "resolution":
            assert found == pytest.approx(expected)
        else:
            assert found == expected, field


def test_colour_numbers_are_carried_as_the_record_says(writable: Format) -> None:
    picture = replace(make_picture(writable), metadata=Metadata(cicp=(9, 16, 0, 1)), format="")
    stream = io.BytesIO()
    notes = write_picture(picture, stream, format=writable.name)
    found = read_picture(stream.getvalue()).metadata.cicp
    if "cicp" in writable.metadata:
        assert (found[:2], notes) == ((9, 16), ())
    else:
        (note,) = notes
        assert "the colour numbers (primaries 9, transfer curve 16), because" in note


def test_sixteen_bits_are_not_written_where_only_floats_fit() -> None:
    picture = Picture.from_pixels(make_pixels("uint16"))
    with pytest.raises(ImageError, match="exr cannot hold pixels of type uint16; choose png, tiff"):
        check_writable(picture, "a.exr")


def test_pages_are_written_or_refused(writable: Format) -> None:
    page = make_picture(writable).pages[0]
    stack = replace(Picture.from_pixels(page), pages=(page, page[::-1]))
    if not writable.pages:
        with pytest.raises(ImageError, match=f"{writable.name} cannot hold the image's 2 pages"):
            check_writable(stack, io.BytesIO(), format=writable.name)
        return
    again = read_picture(save(stack, writable.name))
    if writable.lossless:
        np.testing.assert_array_equal(np.stack(again.pages), np.stack(stack.pages))
    else:
        assert np.abs(np.subtract(again.pages, stack.pages, dtype=int)).mean() < 5


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "complex64"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("width", [1, 20_000, 70_000])
def test_what_does_not_fit_is_refused_with_formats_that_hold_it(
    writable: Format, dtype: str, channels: int, width: int
) -> None:
    pixels = np.zeros((1, width, channels), dtype)
    picture = Picture.from_pixels(pixels)
    fits = (
        dtype in writable.dtypes
        and width <= writable.max_side
        and writable.colour
        and (channels == 3 or (writable.alpha and dtype not in writable.opaque_dtypes))
    )
    if fits:
        assert check_writable(picture, io.BytesIO(), format=writable.name) == writable.name
        return
    with pytest.raises(ImageError) as error:
        check_writable(picture, io.BytesIO(), format=writable.name)
    instead = re.search(r"cannot hold .+; choose (.+) instead\.$", str(error.value))[1]
    if dtype == "complex64":
        assert instead == "pixels of type uint8, uint16 or float32"
        return
    for name in re.split(", | or ", instead):
        assert check_writable(picture, io.BytesIO(), format=name) == name
        assert FORMATS[name].lossless


@pytest.mark.parametrize(
    "writable",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "heic" else ())  # x265 takes 4 s
        for name in writable_formats()
    ],
    indirect=True,
)
def test_the_largest_side_is_written(writable: Format) -> None:
    side = min(writable.max_side, 70_000)
    picture = make_picture(writable, np.zeros((1, side, 3), np.uint8))
    assert read_picture(save(picture, writable.name)).size == (side, 1)


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_file_gives_one_file_error(
    kind: Format, content: bytes, tenth: int, tmp_path: Path
) -> None:
    path = tmp_path / f"cut{kind.suffixes[0]}"
    path.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(FileError) as error:
        read_picture(path)
    assert str(error.value).startswith(f"'{path}' cannot be read: ")
    assert "\n" not in str(error.value)
    with contextlib.suppress(QuietpixelError):  # the header may be whole
        assert (read_size(path).width, read_size(path).height) == (32, 24)


def test_limits_are_asked_before_memory_is_taken(kind: Format, content: bytes) -> None:
    asked: list[int] = []
    picture = read_picture(content, max_pixels=24 * 32, reserve=asked.append)
    assert len(asked) == 1
    assert asked[0] >= sum(page.nbytes for page in picture.pages)
    asked.clear()
    with pytest.raises(TooLargeError, match=r"32 x 24 pixels, 768 in all, and at most 767 "):
        read_picture(content, max_pixels=24 * 32 - 1, reserve=asked.append)
    assert asked == []


def test_quality_applies_where_the_record_says(writable: Format) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    picture = make_picture(writable, noise)
    low, high = (save(picture, writable.name, quality=quality) for quality in (10, 95))
    assert (len(low) < len(high)) if writable.quality else (low == high)


def test_a_format_that_is_only_read_is_refused_and_not_suggested(monkeypatch) -> None:
    monkeypatch.setitem(FORMATS, "png", replace(FORMATS["png"], write=None))
    assert "png" not in writable_formats()
    picture = Picture.from_pixels(make_pixels(channels=4))
    with pytest.raises(FileError, match="png can be read, but not written; choose one of jpeg,"):
        check_writable(picture, "a.png")
    with pytest.raises(ImageError, match="transparency; choose tiff, webp"):
        check_writable(picture, "a.jpg")


def test_the_page_offers_formats_by_their_names_and_titles() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    menu = re.search(r'<select id="format">(.+?)</select>', page, re.DOTALL)[1]
    for name, title in re.findall(r'value="(\w+)">(\w+)<', menu):
        assert name in writable_formats()
        assert FORMATS[name].title == title
