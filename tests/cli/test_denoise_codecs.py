"""JPEG XL, JPEG 2000, OpenEXR and Radiance through the command line, checked by other readers."""

import io
import struct
import sys

import imagecodecs
import numpy as np
import OpenEXR
import pytest
from PIL import Image, ImageCms

from quietpixel.cli.main import main
from quietpixel.files import FORMATS, jxl, read_picture, read_size
from quietpixel.files.boxes import make_box, walk_boxes

RAMP = np.add.outer(np.linspace(0.1, 0.4, 48), np.linspace(0, 0.5, 64))
COLOURS = RAMP[..., None] * [1.0, 0.8, 0.6]
EXIF = b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\6\0\0\0\x1a\0\0\0\0\0\0\0Maker\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"></rdf:RDF></x:xmpmeta>'


def of_bits(bits: int) -> np.ndarray:
    return np.rint(COLOURS * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def boxes(content: bytes) -> dict[bytes, bytes]:
    file = io.BytesIO(content)
    return {name: content[at : at + size] for name, at, size in walk_boxes(file)}


def codec(name: str):
    """Return functions that write and read lossless pixels of some bits."""
    if name == "jp2":
        return (
            lambda pixels, bits: imagecodecs.jpeg2k_encode(pixels, level=0, bitspersample=bits),
            imagecodecs.jpeg2k_decode,
        )
    return (
        lambda pixels, bits: imagecodecs.jpegxl_encode(pixels, lossless=True, bitspersample=bits),
        imagecodecs.jpegxl_decode,
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("name", ["jxl", "jp2"])
def test_each_depth_stays(quietpixel, halver, tmp_path, name, bits) -> None:
    encode, decode = codec(name)
    path, pixels = tmp_path / f"a.{name}", of_bits(bits)
    path.write_bytes(encode(pixels, bits))
    assert quietpixel("denoise", path, "--model", halver).code == 0
    result = decode((tmp_path / f"a-clean.{name}").read_bytes())
    assert result.dtype == pixels.dtype
    assert np.abs(result - pixels / 2).max() <= 1
    assert read_picture(tmp_path / f"a-clean.{name}").encoding.bits == bits


@pytest.mark.parametrize("name", ["jxl", "jp2"])
def test_metadata_stays(quietpixel, halver, tmp_path, name) -> None:
    encode, _ = codec(name)
    path, content = tmp_path / f"a.{name}", encode(of_bits(8), 8)
    if name == "jxl":
        start = make_box(b"JXL ", b"\r\n\x87\n") + make_box(b"ftyp", b"jxl \0\0\0\0jxl ")
        packed = make_box(b"brob", b"xml " + imagecodecs.brotli_encode(XMP))
        meta = make_box(b"Exif", bytes(4) + EXIF) + packed
        path.write_bytes(start + meta + make_box(b"jxlc", content))
    else:
        kinds = (
            (bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), XMP),
            (b"JpgTiffExif->JP2", EXIF),
        )
        path.write_bytes(content + b"".join(make_box(b"uuid", kind + data) for kind, data in kinds))
    assert quietpixel("denoise", path, "--model", halver).code == 0
    metadata = read_picture(tmp_path / f"a-clean.{name}").metadata
    assert metadata.exif == EXIF
    assert metadata.xmp.startswith(XMP[:60])
    assert b"quietpixel:denoised" in metadata.xmp
    outcome = quietpixel("denoise", tmp_path / f"a-clean.{name}", "--model", halver)
    assert "is a result of quietpixel" in outcome.err


def test_deep_jpeg_xl_is_not_declared_linear(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.png"
    imagecodecs.imwrite(path, of_bits(16))
    assert quietpixel("denoise", path, "--model", halver, "--format", "jxl").code == 0
    stream = boxes((tmp_path / "a-clean.jxl").read_bytes())[b"jxlc"]
    assert jxl._read_header(stream).cicp is None


def test_other_colours_of_jpeg_xl_are_named(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(of_bits(16), lossless=True))  # declared linear
    outcome = quietpixel("denoise", path, "--model", halver)
    assert "does not hold the colour numbers (primaries 1, transfer curve 8)" in outcome.err
    content = path.read_bytes()
    assert quietpixel("denoise", path, "--model", halver, "--in-place").code == 2
    assert path.read_bytes() == content
    assert quietpixel("denoise", path, "--model", halver, "--format", "png").code == 0
    assert b"cICP\1\x08\0\1" in (tmp_path / "a-clean.png").read_bytes()


def test_a_profile_in_the_code_stream_is_refused() -> None:
    # sRGB by default: 0 in the bit before would name a profile.
    whole = bytearray(imagecodecs.jpegxl_encode(of_bits(8), lossless=True))
    header = jxl._read_header(bytes(whole))
    assert header.cicp is None
    numbers = int.from_bytes(whole, "little")
    at = header.end - 1
    changed = (numbers & ~(1 << at)) | (1 << at + 1)  # not the default, with a profile
    content = changed.to_bytes(len(whole), "little")
    with pytest.raises(Exception, match="its colour profile cannot be read here"):
        read_picture(content)


def test_a_profile_of_jpeg_2000_stays(quietpixel, halver, tmp_path) -> None:
    source, path = tmp_path / "a.png", tmp_path / "a.jp2"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(of_bits(8)).save(source, icc_profile=profile)
    assert quietpixel("denoise", source, "--model", halver, "-o", path).code == 0
    assert profile in boxes(path.read_bytes())[b"jp2h"]
    assert quietpixel("denoise", path, "--model", halver, "--again").code == 0
    result = Image.open(tmp_path / "a-clean.jp2")
    assert profile in boxes((tmp_path / "a-clean.jp2").read_bytes())[b"jp2h"]
    assert np.abs(np.asarray(result) - of_bits(8) / 4).max() <= 1


def test_openexr_keeps_channels_and_attributes(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.exr"
    channels = {name: COLOURS[..., at].astype(np.float16) for at, name in enumerate("RGB")}
    channels |= {"A": np.full(RAMP.shape, 0.5, np.float16), "Z": RAMP.astype(np.float32)}
    channels["id"] = np.arange(RAMP.size, dtype=np.uint32).reshape(RAMP.shape)
    header = {"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header | {"owner": "me", "pixelAspectRatio": 2.0}, dict(channels)).write(str(path))
    words = ["denoise", path, "--model", halver, "--range", "0,1"]
    assert quietpixel(*words).code == 0
    result = OpenEXR.File(str(tmp_path / "a-clean.exr"), separate_channels=True)
    assert result.header()["owner"] == "me"
    assert result.header()["pixelAspectRatio"] == 2
    assert result.header()["compression"] == OpenEXR.PIZ_COMPRESSION
    found = {name: channel.pixels for name, channel in result.channels().items()}
    assert found.keys() == channels.keys()
    for name, pixels in channels.items():
        assert found[name].dtype == pixels.dtype
        expected = pixels / 2 if name in "RGB" else pixels
        np.testing.assert_allclose(found[name], expected, atol=1e-3)
    assert "is a result of quietpixel" in quietpixel(*words[:1], tmp_path / "a-clean.exr").err


def test_alpha_of_openexr_is_divided_out_elsewhere(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "a.exr"
    channels = {name: np.full((40, 40), 0.3, np.float32) for name in "RGB"}
    channels["A"] = np.full((40, 40), 0.5, np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))
    assert (
        quietpixel("denoise", path, "--model", halver, "--strength", 0, "--format", "tiff").code
        == 0
    )
    np.testing.assert_allclose(
        read_picture(tmp_path / "a-clean.tif").pages[0][0, 0], [0.6] * 3 + [0.5]
    )


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ({"Z": RAMP.astype(np.float32)}, "its channels are Z; only R, G, B or Y"),
        ({"Y": np.ones((9, 9), np.uint32)}, "its pixels are integers of 32 bits"),
    ],
)
def test_other_openexr_files_are_refused(quietpixel, tmp_path, channels, reason) -> None:
    path = tmp_path / "a.exr"
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))
    outcome = quietpixel("denoise", path)
    assert outcome.code == 2
    assert reason in outcome.err


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("tiled", [False, True])
def test_a_cut_openexr_file_gives_one_line(tmp_path, capfd, tenth, tiled) -> None:
    """OpenEXR itself prints lines about it, some to standard output."""
    path, kind = tmp_path / "a.exr", OpenEXR.tiledimage if tiled else OpenEXR.scanlineimage
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": kind}
    header |= {"tiles": OpenEXR.TileDescription()} if tiled else {}
    OpenEXR.File(header, {name: RAMP.astype(np.float16) for name in "RGB"}).write(str(path))
    assert read_picture(path).pages[0].shape == (48, 64, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
    capfd.readouterr()
    assert main(["denoise", str(path)]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "the file is damaged or cut short" in err


def test_radiance_keeps_its_header(quietpixel, halver, tmp_path) -> None:
    path, values = tmp_path / "a.hdr", (COLOURS * 4 + 0.5).astype(np.float32)
    content = imagecodecs.rgbe_encode(values, header=True)
    lines = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=1.5\n# by hand"
    path.write_bytes(lines + content[content.index(b"\n\n") :])
    assert quietpixel("denoise", path, "--model", halver, "--range", "0,4").code == 0
    result = (tmp_path / "a-clean.hdr").read_bytes()
    assert result.startswith(lines + b"\n\n-Y 48 +X 64\n")
    pixels = imagecodecs.rgbe_decode(result, header=True)
    np.testing.assert_allclose(pixels, values / 2, rtol=0.02)


@pytest.mark.parametrize("name", ["jxl", "jp2", "exr", "hdr"])
def test_sizes_are_checked_before_anything_is_decoded(
    quietpixel,
    tmp_path,
    monkeypatch,
    name,
) -> None:
    source = tmp_path / "a.png"
    Image.fromarray(of_bits(8)).save(source)
    path = tmp_path / f"a.{name}"
    if name in ("jxl", "jp2"):
        path.write_bytes(codec(name)[0](of_bits(8), 8))
    elif name == "hdr":
        path.write_bytes(imagecodecs.rgbe_encode(COLOURS.astype(np.float32), header=True))
    else:
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"Y": RAMP.astype(np.float32)}).write(str(path))
    assert (read_size(path).width, read_size(path).height) == (64, 48)
    for decoder in ("jpegxl_decode", "jpeg2k_decode", "rgbe_decode"):
        monkeypatch.setattr(imagecodecs, decoder, None)
    outcome = quietpixel("denoise", path, "--max-pixels", 3000)
    assert outcome.code == 2
    assert "64 x 48 pixels, 3,072 in all" in outcome.err


@pytest.mark.parametrize(("name", "module"), [("jxl", "imagecodecs"), ("exr", "OpenEXR")])
def test_a_missing_package_is_named(quietpixel, tmp_path, monkeypatch, name, module) -> None:
    path = tmp_path / f"a.{name}"
    start = {"jxl": b"\xff\n", "exr": b"\x76\x2f\x31\x01"}[name]
    path.write_bytes(start + bytes(100))
    monkeypatch.setitem(sys.modules, module, None)
    outcome = quietpixel("denoise", path)
    assert outcome.code == 2
    assert (
        "need an optional package; install it with pip install 'quietpixel[codecs]'" in outcome.err
    )
    assert FORMATS[name].remedy is not None


def test_a_box_cannot_end_within_its_header() -> None:
    content = make_box(b"JXL ", b"\r\n\x87\n") + struct.pack(">I4s", 4, b"ftyp") + bytes(40)
    with pytest.raises(Exception, match="cannot be read: the file is damaged or cut short"):
        read_picture(content)


def test_boxes_of_a_jpeg_xl_that_are_not_written_again_are_named(
    quietpixel, halver, tmp_path
) -> None:
    path = tmp_path / "a.jxl"
    pixels = np.full((9, 7, 3), 200, np.uint8)
    content = imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True)
    path.write_bytes(content + make_box(b"jumb", b"credentials"))
    outcome = quietpixel("denoise", path, "--model", halver, "--in-place")
    assert outcome.code == 2
    assert "the result would not hold the boxes jumb; write it to another file." in outcome.err
    path.write_bytes(content)
    assert quietpixel("denoise", path, "--model", halver, "--in-place").code == 0
