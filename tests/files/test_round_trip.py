"""Pixels and metadata come out as they went in; other readers, Pillow and tifffile, agree."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms, PngImagePlugin

from quietpixel.errors import FileError
from quietpixel.files import FORMATS, Picture, read_picture, vips, write_picture
from quietpixel.files.picture import Encoding

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
SMOOTH = np.add.outer(np.arange(48) * 2, np.arange(64))[:, :, None] + np.array([0, 20, 40])
SMOOTH = SMOOTH.astype(np.uint8)

EXACT = [
    (name, dtype, channels)
    for name, dtypes in {
        "png": ["uint8", "uint16"],
        "tiff": FORMATS["tiff"].dtypes,
        "webp": ["uint8"],
        "bmp": ["uint8"],
        "pnm": ["uint8", "uint16"],
    }.items()
    for dtype in dtypes
    for channels in (1, 2, 3, 4)
    if not (name in ("webp", "bmp") and channels < 3)
]


@st.composite
def pictures(draw):
    name, dtype, channels = draw(st.sampled_from(EXACT))
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 40)), channels)
    wide = 16 if dtype == "float16" else 32
    elements = st.floats(-8, 8, width=wide) if dtype[0] == "f" else None
    pixels = draw(arrays.arrays(dtype, shape, elements=elements))
    return Picture.from_pixels(pixels, format=name)


def save(picture, **options):
    stream = io.BytesIO()
    write_picture(picture, stream, **options)
    return stream.getvalue()


@given(pictures())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_lossless_formats_keep_every_pixel(picture):
    again = read_picture(save(picture))
    assert (again.format, again.colour, again.alpha) == (
        picture.format, picture.colour, picture.alpha,
    )  # fmt: skip
    assert again.dtype == picture.dtype
    np.testing.assert_array_equal(again.pages[0], picture.pages[0])


@given(st.sampled_from(["uint8", "uint16", "float16", "float32"]), st.integers(1, 4), st.data())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_stacks_keep_every_page(dtype, count, data):
    shape = (count, data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)), 3)
    stack = np.random.default_rng(count).integers(0, 200, shape).astype(dtype)
    options = data.draw(
        st.sampled_from([{}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 32)}])
    )
    stream = io.BytesIO()
    tifffile.imwrite(stream, stack, photometric="rgb", metadata=None, **options)
    picture = read_picture(stream.getvalue())
    assert len(picture.pages) == count
    np.testing.assert_array_equal(np.stack(picture.pages), stack)
    again = tifffile.TiffFile(io.BytesIO(save(picture)))
    np.testing.assert_array_equal(again.asarray().reshape(shape), stack)
    assert again.is_bigtiff == ("bigtiff" in options)
    assert again.pages[0].is_tiled == ("tile" in options)


def exif():
    block = Image.Exif()
    block[271], block[274] = "Maker", 6
    below = block.get_ifd(0x8769)
    below[33434], below[37500] = 1 / 125, b"note of the maker" * 10
    block.get_ifd(0x8825)[1] = "N"
    return block


def pillow_bytes(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", [35, 75, 93])
def test_jpeg_keeps_quality_sampling_and_metadata(sampling, quality):
    image = Image.fromarray(SMOOTH)
    source = pillow_bytes(
        image, "JPEG", quality=quality, subsampling=sampling, exif=exif(), icc_profile=ICC,
        dpi=(300, 200), xmp=XMP, comment=b"hello", progressive=quality == 75,
    )  # fmt: skip
    picture = read_picture(source)
    assert (picture.encoding.quality, picture.encoding.subsampling) == (quality, sampling)
    assert picture.size == (64, 48)
    assert picture.metadata.orientation == 6
    result = save(picture)
    assert read_picture(result).encoding == picture.encoding
    old, new = Image.open(io.BytesIO(source)), Image.open(io.BytesIO(result))
    for key in ("icc_profile", "exif", "xmp", "dpi", "comment", "progressive"):
        assert old.info.get(key) == new.info.get(key)
    assert np.abs(np.asarray(old, int) - np.asarray(new)).max() <= 255 // quality * 2 + 3


def test_png_keeps_profile_text_and_resolution():
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "x" * 100)
    text.add_itxt("Author", "ä")
    image = Image.fromarray(SMOOTH)
    source = pillow_bytes(image, "PNG", exif=exif(), icc_profile=ICC, dpi=(300, 300), pnginfo=text)
    new = Image.open(io.BytesIO(save(read_picture(source))))
    assert new.info == Image.open(io.BytesIO(source)).info
    np.testing.assert_array_equal(np.asarray(new), SMOOTH)


@pytest.mark.parametrize("transparency", [None, bytes(range(0, 160, 10))])
def test_png_palette_stays_one_while_it_can(transparency):
    options = {"transparency": transparency} if transparency else {}
    source = pillow_bytes(Image.fromarray(SMOOTH).quantize(16), "PNG", **options)
    picture = read_picture(source)
    new = Image.open(io.BytesIO(save(picture)))
    assert new.mode == "P"
    old = Image.open(io.BytesIO(source))
    np.testing.assert_array_equal(np.asarray(new.convert("RGBA")), np.asarray(old.convert("RGBA")))
    noise = np.random.default_rng(0).integers(0, 256, picture.pages[0].shape, np.uint8)
    assert Image.open(io.BytesIO(save(picture.with_pixels([noise])))).mode in ("RGB", "RGBA")


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_gray_bmp_with_a_palette_becomes_a_gray_png(mode):
    image = Image.fromarray(SMOOTH).convert(mode)
    new = Image.open(io.BytesIO(save(read_picture(pillow_bytes(image, "BMP")), format="png")))
    assert new.mode == "L"
    np.testing.assert_array_equal(np.asarray(new), np.asarray(image.convert("L")))


@pytest.mark.parametrize("interlace", [True, False])
def test_png_stays_interlaced(interlace):
    picture = Picture.from_pixels(SMOOTH)
    source = save(replace(picture, encoding=replace(picture.encoding, progressive=interlace)))
    assert source[28] == interlace  # the last byte of the header
    again = read_picture(source)
    assert again.encoding.progressive is interlace
    assert save(again)[28] == interlace


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_keeps_metadata(lossless):
    image = Image.fromarray(SMOOTH)
    source = pillow_bytes(image, "WEBP", lossless=lossless, exif=exif(), icc_profile=ICC, xmp=XMP)
    picture = read_picture(source)
    assert picture.encoding.lossless is lossless
    old, new = Image.open(io.BytesIO(source)), Image.open(io.BytesIO(save(picture)))
    assert old.info == new.info
    assert np.abs(np.asarray(old, int) - np.asarray(new)).max() <= (0 if lossless else 16)


def test_avif_keeps_metadata_and_is_turned_once():
    source = pillow_bytes(
        Image.fromarray(SMOOTH), "AVIF", quality=95, exif=exif(), icc_profile=ICC, xmp=XMP
    )
    picture = read_picture(source)
    assert picture.size == (48, 64), "the file says that it is turned, and decoders do it"
    assert picture.metadata.orientation == 1
    new = Image.open(io.BytesIO(save(picture)))
    assert new.size == (48, 64)
    assert (new.info["icc_profile"], new.info["xmp"]) == (ICC, XMP)
    assert (new.getexif()[271], new.getexif().get(274, 1)) == ("Maker", 1)


@pytest.mark.parametrize("name", ["avif", "bmp", "pnm", "gif"])
def test_formats_without_orientation_get_turned_pixels(name):
    picture = read_picture(pillow_bytes(Image.fromarray(SMOOTH), "PNG", exif=exif()))
    again = read_picture(save(picture, format=name))
    assert again.size == (48, 64)
    expected = np.rot90(SMOOTH, 3).astype(int)
    assert np.abs(again.pages[0][:, :, :3] - expected).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation):
    from PIL import ImageOps

    from quietpixel.files import turn_upright

    tag = Image.Exif()
    tag[274] = orientation
    source = pillow_bytes(Image.fromarray(SMOOTH), "PNG", exif=tag)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    upright = turn_upright(read_picture(source))
    np.testing.assert_array_equal(upright.pages[0], np.asarray(turned))
    assert upright.metadata.orientation == 1


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_metadata_follows_into_other_formats(name):
    source = pillow_bytes(
        Image.fromarray(SMOOTH), "JPEG", quality=90, exif=exif(), icc_profile=ICC, xmp=XMP
    )
    result = save(read_picture(source), format=name)
    new = Image.open(io.BytesIO(result))
    assert new.info["icc_profile"] == ICC
    assert (new.getexif()[271], new.getexif()[274]) == ("Maker", 6)
    assert new.getexif().get_ifd(0x8769)[33434] == pytest.approx(1 / 125)
    assert new.getexif().get_ifd(0x8825)[1] == "N"
    assert read_picture(result).metadata.xmp == XMP


def test_tiff_tags_survive_in_every_page():
    stack = np.random.default_rng(0).integers(0, 99, (3, 20, 30, 3)).astype(np.uint16)
    stream = io.BytesIO()
    tags = [(315, 2, 0, "Artist", False), (65000, 3, 4, (1, 2, 3, 4), False), (274, 3, 1, 3, False)]
    tifffile.imwrite(
        stream, stack, photometric="rgb", software="soft", resolution=(300, 200),
        description="an image", resolutionunit="CENTIMETER", extratags=tags, byteorder=">",
    )  # fmt: skip
    picture = read_picture(stream.getvalue())
    assert picture.metadata.orientation == 3
    assert picture.metadata.resolution == (30, 20)
    coded = {"ImageDescription", "StripOffsets", "StripByteCounts", "RowsPerStrip"}
    stream.seek(0)
    old, new = tifffile.TiffFile(stream), tifffile.TiffFile(io.BytesIO(save(picture)))
    for before, after in zip(old.pages, new.pages, strict=True):
        for tag in before.tags:
            assert tag.name in coded or tag.value == after.tags[tag.code].value
        texts = [[tag.value for tag in page.tags.getall(270, [])] for page in (before, after)]
        assert texts[0] == texts[1]
    np.testing.assert_array_equal(new.asarray(), stack)


def test_an_imagej_stack_stays_one():
    stack = np.random.default_rng(0).integers(0, 999, (4, 2, 16, 18)).astype(np.uint16)
    stream = io.BytesIO()
    metadata = {"axes": "ZCYX", "Ranges": (0.0, 9.0, 1.0, 8.0), "Labels": list("abcdefgh")}
    tifffile.imwrite(stream, stack, imagej=True, metadata=metadata)
    stream.seek(0)
    new = tifffile.TiffFile(io.BytesIO(save(read_picture(stream.getvalue()))))
    assert new.imagej_metadata == tifffile.TiffFile(stream).imagej_metadata
    np.testing.assert_array_equal(new.asarray(), stack)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_goes_through_rgb_and_back(kind):
    image = Image.fromarray(SMOOTH).convert("CMYK")
    source = pillow_bytes(image, kind, **({"quality": 95} if kind == "JPEG" else {}))
    picture = read_picture(source)
    assert picture.pages[0].shape == (48, 64, 3)
    assert "no profile" in picture.notes[0]
    old, new = Image.open(io.BytesIO(source)), Image.open(io.BytesIO(save(picture)))
    assert new.mode == "CMYK"
    assert np.abs(np.asarray(old, int) - np.asarray(new)).max() <= (4 if kind == "JPEG" else 0)
    darker = picture.with_pixels([picture.pages[0] // 2 + 20])
    again = read_picture(save(darker))
    assert np.abs(again.pages[0].astype(int) - darker.pages[0]).mean() < 3


def test_float_pnm_keeps_values_beyond_one():
    pixels = np.random.default_rng(0).normal(0, 5, (7, 9, 3)).astype(np.float32)
    picture = Picture.from_pixels(pixels, format="pnm")
    np.testing.assert_array_equal(read_picture(save(picture)).pages[0], pixels)


def test_pnm_keeps_its_maximum():
    picture = read_picture(b"P5\n2 1\n1023\n" + np.array([5, 1000], ">u2").tobytes())
    assert picture.maximum == 1023
    assert save(picture).startswith(b"P5\n2 1\n1023\n")


@pytest.mark.parametrize("name", ["gif", "webp"])
def test_all_frames_of_an_animation_are_read_and_written(name):
    frames = [Image.fromarray(SMOOTH // (1 + each)) for each in range(3)]
    options = {"save_all": True, "append_images": frames[1:], "loop": 3}
    source = pillow_bytes(frames[0], name, duration=[100, 250, 400], **options)
    picture = read_picture(source)
    assert (len(picture.pages), picture.size, picture.notes) == (3, (64, 48), ())
    runs = 4 if name == "gif" else 3  # a GIF states how often it is repeated
    assert (picture.encoding.delays, picture.encoding.loop) == ((100, 250, 400), runs)
    again = read_picture(save(picture))
    assert again.encoding == picture.encoding
    error = np.abs(np.subtract(again.pages, picture.pages, dtype=int)).mean(axis=(1, 2, 3))
    assert error.max() < 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_frames_of_a_webp_are_encoded_one_by_one(channels, monkeypatch):
    """libwebp keeps all frames that it is given: 60 of noise took 47 MB beside their pixels."""
    frames = np.random.default_rng(0).integers(0, 256, (5, 33, 47, channels), np.uint8)
    frames[1:] = frames[0]
    frames[1, 5:21, 7:30] = 9  # from odd places on
    frames[2] = frames[1]
    frames[3, 32, 46, -1] ^= 1
    encoding = Encoding(bits=8, lossless=True, delays=(40, 50, 60, 70, 2**30), loop=2**20)
    picture = replace(
        Picture.from_pixels(frames[0], format="webp"), pages=tuple(frames), encoding=encoding
    )
    sizes, save_bytes = [], vips.save_bytes

    def watch(image, *words, **options):
        sizes.append((image.width, image.height))
        return save_bytes(image, *words, **options)

    monkeypatch.setattr(vips, "save_bytes", watch)
    content = save(picture)
    assert sizes == [(47, 33), (24, 17), (1, 1), (41, 29), (1, 1)]
    found = read_picture(content)
    expected = np.repeat(frames, 3, axis=3) if channels == 1 else frames
    assert np.array_equal(found.pages, expected)
    assert found.encoding.delays[:4] == (40, 50, 60, 70)
    with Image.open(io.BytesIO(content)) as other:
        for number, frame in enumerate(expected):
            other.seek(number)
            assert np.array_equal(np.asarray(other.convert("RGBA"))[..., : frame.shape[2]], frame)


def test_what_no_frame_of_a_webp_covers_stays_transparent():
    pages = tuple(np.full((20, 30, 3), value, np.uint8) for value in (9, 200))
    encoding = Encoding(bits=8, lossless=True, delays=(40, 40))
    picture = replace(Picture.from_pixels(pages[0], format="webp"), pages=pages, encoding=encoding)
    content = bytearray(save(picture))
    assert read_picture(bytes(content)).pages[0].shape == (20, 30, 3)
    canvas = content.index(b"VP8X") + 12  # 8 pixels more to the right, and no flag of alpha
    content[canvas] += 8
    found = read_picture(bytes(content)).pages[0]
    assert found.shape == (20, 38, 4)
    assert (found[:, :30] == (9, 9, 9, 255)).all()
    assert not found[:, 30:, 3].any()


@pytest.mark.parametrize(("name", "length"), [("ANMF", 10), ("VP8X", 0)])
def test_short_chunks_of_an_animated_webp_are_damage(name, length):
    pages = (np.full((20, 30, 3), 9, np.uint8), np.full((20, 30, 3), 200, np.uint8))
    picture = replace(Picture.from_pixels(pages[0], format="webp"), pages=pages)
    content = save(picture)
    at = content.rindex(name.encode())
    cut = content[: at + 4] + length.to_bytes(4, "little") + content[at + 8 : at + 8 + length]
    whole = b"RIFF" + (len(cut) - 8).to_bytes(4, "little") + cut[8:]
    with pytest.raises(FileError, match="damaged or cut short"):
        read_picture(whole)


@pytest.mark.parametrize("transparent", [False, True])
def test_an_opaque_gif_declares_no_transparent_colour(transparent):
    pixels = SMOOTH
    if transparent:
        alpha = np.where(np.arange(64) < 9, 0, 255) * np.ones((48, 1))
        pixels = np.dstack([SMOOTH, alpha.astype(np.uint8)])
    file = io.BytesIO()
    write_picture(Picture.from_pixels(pixels), file, format="gif")
    with Image.open(file) as written:
        assert ("transparency" in written.info) == transparent
        found = np.asarray(written.convert("RGBA"))
    assert (found[..., 3] == 0).sum() == (9 * 48 if transparent else 0)
