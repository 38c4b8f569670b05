"""What a format cannot hold is named; what a file has beside its image stays or is made anew."""

import base64
import hashlib
import io
import re
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from quietpixel.files import read_picture, thumbnails
from quietpixel.files.apng import make_chunk

PIXELS = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
COLOURS = np.dstack([PIXELS, PIXELS + 20, PIXELS + 40])
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x05\0\x05Title"


@pytest.fixture
def denoise(quietpixel, halver):
    return lambda *words: quietpixel("denoise", "--model", halver, "--precision", "f32", *words)


def put_segments(content: bytes, *segments: bytes) -> bytes:
    made = (each[:2] + struct.pack(">H", len(each)) + each[2:] for each in segments)
    return content[:2] + b"".join(made) + content[2:]


def resource(number: int, data: bytes) -> bytes:
    """Return an image resource of Photoshop."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def save(path: Path, **options: object) -> bytes:
    Image.fromarray(COLOURS).save(path, **options)
    return path.read_bytes()


# Another format


def jpeg_with_words(path: Path) -> None:
    extended = b"\xff\xe1http://ns.adobe.com/xmp/extension/\0" + bytes(40)
    resources = b"\xff\xedPhotoshop 3.0\0" + resource(1028, IPTC)
    content = save(path, comment=b"At dawn", exif=make_exif(), xmp=XMP % b"")
    path.write_bytes(put_segments(content, extended, resources, b"\xff\xecDucky"))


def png_with_words(path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "Dawn")
    words.add(b"gAMA", struct.pack(">I", 100_000))
    save(path, pnginfo=words, exif=make_exif(), dpi=(300, 300))


def usual_png(path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add(b"gAMA", struct.pack(">I", 45455))
    save(path, pnginfo=words, exif=make_exif())


def tiff_of_a_map(path: Path) -> None:
    tifffile.imwrite(path, COLOURS, metadata=None, extratags=[(33550, "d", 3, (1.0, 2.0, 0.0))])


def clip(path: Path) -> None:
    frames = [Image.fromarray(np.roll(COLOURS, at, axis=1)) for at in (0, 9)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, comment=b"Dawn")


def make_exif() -> bytes:
    exif = Image.Exif()
    exif[271] = "Maker"
    return exif.tobytes()


@pytest.mark.parametrize(
    ("make", "conversion", "lost"),
    [
        (jpeg_with_words, "a.jpg to png",
         "IPTC, the segment APP12, the comment, the extended XMP"),
        (jpeg_with_words, "a.jpg to bmp",
         "EXIF, XMP, IPTC, the segment APP12, the comment, the extended XMP"),
        (png_with_words, "a.png to jpeg", "the chunks tEXt, gAMA"),
        (png_with_words, "a.png to gif", "EXIF, the resolution, the chunks tEXt, gAMA"),
        (usual_png, "a.png to jpeg", ""),
        (tiff_of_a_map, "a.tif to png", "the tags 33550"),
        (clip, "a.gif to tiff", "the timing of its frames, the comment"),
        (clip, "a.gif to webp", "the comment"),
    ],
)  # fmt: skip
def test_what_another_format_does_not_hold_is_named(
    denoise, tmp_path, make, conversion, lost
) -> None:
    name, format = conversion.split(" to ")
    make(tmp_path / name)
    outcome = denoise(tmp_path / name, "--format", format)
    assert outcome.code == 0
    found = [line for line in outcome.err.splitlines() if "does not hold" in line]
    if not lost:
        assert found == []
        return
    (line,) = found
    _, _, words = line.partition("The result does not hold ")
    named, _, reason = words.rpartition(", because ")
    assert sorted(named.split(", ")) == sorted(lost.split(", "))
    assert reason == f"{format} has none."


def test_metadata_too_large_for_a_jpeg_is_named(denoise, tmp_path) -> None:
    path = tmp_path / "a.png"
    words = PngImagePlugin.PngInfo()
    words.add_itxt("XML:com.adobe.xmp", (XMP % (b" " * 70_000)).decode())
    save(path, pnginfo=words)
    outcome = denoise(path, "--format", "jpeg")
    assert "does not hold XMP, of which jpeg holds at most 65,504 bytes; there are" in outcome.err


@pytest.mark.parametrize(("source", "target"), [("a.jpg", "b.tif"), ("a.tif", "b.jpg")])
def test_iptc_goes_with_the_image(denoise, tmp_path, source, target) -> None:
    path, result = tmp_path / source, tmp_path / target
    if source == "a.jpg":
        block = b"\xff\xedPhotoshop 3.0\0" + resource(1028, IPTC)
        path.write_bytes(put_segments(save(path), block))
    else:
        tags = [(33723, 7, len(IPTC), IPTC)]
        tifffile.imwrite(path, COLOURS, metadata=None, extratags=tags)
    outcome = denoise(path, "-o", result)
    assert "IPTC" not in outcome.err
    if target == "b.tif":
        with tifffile.TiffFile(result) as file:
            found = bytes(file.pages[0].tags[34377].value)
    else:
        with Image.open(result) as image:
            found = image.info["photoshop"][1028]
    assert IPTC in found


# What lies beside the image


@pytest.mark.parametrize("kind", ["png", "apng", "gif", "webp"])
def test_what_follows_the_image_is_kept(denoise, tmp_path, kind) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "apng":
        clip(tmp_path / "a.gif")
        with Image.open(tmp_path / "a.gif") as image:
            image.save(path, "png", save_all=True)
    else:
        save(path)
    path.write_bytes(path.read_bytes() + b"further data")
    outcome = denoise(path, "--in-place")
    assert outcome.code == 0
    assert path.read_bytes().endswith(b"further data")
    assert "The 12 bytes after the image" in outcome.err
    assert len(read_picture(path).pages) == 1 + (kind == "apng")


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_the_thumbnail_of_photoshop_is_made_anew(denoise, tmp_path, kind) -> None:
    path, stream = tmp_path / f"a.{kind}", io.BytesIO()
    Image.fromarray(COLOURS).save(stream, "jpeg", quality=95)
    old = stream.getvalue()
    head = struct.pack(">6I2H", 1, 64, 48, 192, 9216, len(old), 24, 1)
    block = resource(1028, IPTC) + resource(1036, head + old)
    if kind == "jpg":
        path.write_bytes(put_segments(save(path), b"\xff\xedPhotoshop 3.0\0" + block))
    else:
        tifffile.imwrite(path, COLOURS, metadata=None, extratags=[(34377, 7, len(block), block)])
    assert denoise(path, "--in-place").code == 0
    content = path.read_bytes()
    assert resource(1028, IPTC) in content
    assert old not in content
    start = content.index(head[:20]) + 28
    size = int.from_bytes(content[start - 8 : start - 4], "big")
    shown = Image.open(io.BytesIO(content[start : start + size]))
    assert shown.size == (64, 48)
    assert np.abs(np.asarray(shown) - COLOURS / 2).mean() < 3


EXTENDED = b"\xff\xe1http://ns.adobe.com/xmp/extension/\0"
JFIF = b"\xff\xe0JFIF\0" + bytes([1, 2, 0, 0, 1, 0, 1])


def xmp_thumbnail(jpeg: bytes) -> bytes:
    coded = base64.encodebytes(jpeg).replace(b"\n", b"&#xA;")
    image = b"<xmpGImg:image>" + coded + b"</xmpGImg:image>"
    return XMP % (b'<rdf:Description xmlns:xmpGImg="g/img/">' + image + b"</rdf:Description>")


def extended_xmp(packet: bytes) -> bytes:
    """Return the segments of XMP whose second packet lies in two segments, in the wrong order."""
    guid, size, half = hashlib.md5(packet).hexdigest().upper().encode(), len(packet), 400
    note = b'<rdf:Description xmlns:xmpNote="note/" xmpNote:HasExtendedXMP="%s"/>' % guid
    first = b"\xff\xe1http://ns.adobe.com/xap/1.0/\0" + XMP % note
    parts = [
        EXTENDED + guid + struct.pack(">II", size, at) + part
        for at, part in ((half, packet[half:]), (0, packet[:half]))
    ]
    return put_segments(b"", first, *parts)


def read_thumbnail(content: bytes, kind: str) -> Image.Image:
    """Return the thumbnail of 32 x 24 pixels, as a second reader would find it."""
    if kind in ("JFIF", "JFXX RGB"):
        place = content.index(b"\x20\x18", content.index(kind[:4].encode() + b"\0")) + 2
        return Image.frombytes("RGB", (32, 24), content[place : place + 32 * 24 * 3])
    if kind.startswith("JFXX"):
        return Image.open(io.BytesIO(content[content.index(b"JFXX\0\x10") + 6 :]))
    if kind == "extended XMP":
        parts = sorted(
            (content[at + 36 :][:4], content[at:][: int.from_bytes(content[at - 37 :][:2], "big")])
            for at in (found.end() for found in re.finditer(re.escape(EXTENDED[4:]), content))
        )
        packet = b"".join(part[40 : len(part) - 37] for _, part in parts)
        guid = hashlib.md5(packet).hexdigest().upper().encode()
        assert content.count(guid) == 3
        content = packet
    coded = content.split(b"<xmpGImg:image>")[1].split(b"<")[0].replace(b"&#xA;", b"")
    return Image.open(io.BytesIO(base64.b64decode(coded)))


@pytest.mark.parametrize(
    "kind", ["JFIF", "JFXX RGB", "JFXX palette", "JFXX JPEG", "XMP", "XMP of a PNG", "extended XMP"]
)
def test_the_thumbnails_of_jfif_and_xmp_are_made_anew(denoise, tmp_path, kind) -> None:
    path, stream = tmp_path / ("a.png" if "PNG" in kind else "a.jpg"), io.BytesIO()
    small = Image.fromarray(COLOURS).resize((32, 24))
    small.save(stream, "jpeg", quality=95)
    jpeg, palette = stream.getvalue(), small.quantize(256)
    extension = JFIF + bytes(2), b"\xff\xe0JFXX\0"
    segments = {
        "JFIF": [JFIF + bytes([32, 24]) + small.tobytes()],
        "JFXX RGB": [extension[0], extension[1] + bytes([19, 32, 24]) + small.tobytes()],
        "JFXX palette": [
            extension[0],
            extension[1] + bytes([17, 32, 24]) + bytes(768) + palette.tobytes(),
        ],
        "JFXX JPEG": [extension[0], extension[1] + b"\x10" + jpeg],
    }
    if kind == "XMP of a PNG":
        words = PngImagePlugin.PngInfo()
        words.add_itxt("XML:com.adobe.xmp", xmp_thumbnail(jpeg).decode())
        save(path, pnginfo=words)
    elif kind == "XMP":
        save(path, quality=95, xmp=xmp_thumbnail(jpeg))
    else:
        content = save(path, quality=95)
        if kind == "extended XMP":
            added = extended_xmp(xmp_thumbnail(jpeg))
            path.write_bytes(content[:20] + added + content[20:])
        else:
            path.write_bytes(put_segments(content[:2] + content[20:], *segments[kind]))
    assert denoise(path, "--in-place").code == 0
    shown = read_thumbnail(path.read_bytes(), kind)
    assert shown.size == (32, 24)
    result = np.asarray(Image.open(path).convert("RGB").resize((32, 24)), int)
    assert np.abs(result - np.asarray(small) / 2).mean() < 3
    assert np.abs(np.asarray(shown.convert("RGB")) - result).mean() < 3


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=quality)
    return stream.getvalue()


STAYS = "A thumbnail or preview in its EXIF stays as it was."


def test_previews_in_a_maker_note_are_made_anew(denoise, tmp_path) -> None:
    preview, face = jpeg(COLOURS[::2, ::2]), jpeg(COLOURS[:16, :16][::-1, ::-1])
    path, exif = tmp_path / "a.jpg", Image.Exif()
    for note in (b"Maker\0" + preview + b"\1", b"Maker\0" + face + preview + b"\1"):
        exif.get_ifd(34665)[37500] = note
        save(path, exif=exif, quality=95)
        outcome = denoise(path, "--in-place")
        assert outcome.code == 0
        assert (STAYS in outcome.err) == (face in note)
        written = Image.open(path).getexif().get_ifd(34665)[37500]
        assert (face in written) == (face in note)
        start = note.index(preview)
        assert (len(written), written[:start], written[-1:]) == (len(note), note[:start], b"\1")
        shown = Image.open(io.BytesIO(written[start:]))
        assert shown.size == (32, 24)
        assert np.abs(np.asarray(shown) - COLOURS[::2, ::2] / 2).mean() < 3


def test_a_thumbnail_that_claims_to_be_huge_costs_no_time(denoise, tmp_path, monkeypatch) -> None:
    resize, sizes = thumbnails._resize, []

    def resize_and_note(pixels, width, height):
        sizes.append((width, height))
        return resize(pixels, width, height)

    monkeypatch.setattr(thumbnails, "_resize", resize_and_note)
    huge = bytearray(jpeg(PIXELS[:8, :8]))
    struct.pack_into(">HH", huge, huge.index(b"\xff\xc0") + 5, 2000, 2000)
    huge += bytes(40_000)  # room for one of that size
    entries = struct.pack("<HHII", 513, 4, 1, 44) + struct.pack("<HHII", 514, 4, 1, len(huge))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HIH", 0, 14, 2) + entries + bytes(4) + huge
    path = tmp_path / "a.jpg"
    save(path, exif=b"Exif\0\0" + exif)
    outcome = denoise(path)
    assert (outcome.code, STAYS in outcome.err) == (0, True)
    assert huge in (tmp_path / "a-clean.jpg").read_bytes()
    assert not sizes


def as_container(suffix: str) -> bytes:
    """Return HEIC or AVIF with an alpha channel, which is an auxiliary image."""
    stream, pixels = io.BytesIO(), np.dstack([COLOURS, PIXELS])
    if suffix == "avif":
        Image.fromarray(pixels).save(stream, "avif", quality=90)
    else:
        pillow_heif.from_bytes("RGBA", (64, 48), pixels.tobytes()).save(stream, quality=90)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["heic", "avif"])
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (b"urn:mpeg:hevc:2015:auxid:2", "the depth map"),
        (b"urn:com:apple:photo:aux:01", "auxiliary images such as an HDR gain map"),
    ],
)
def test_auxiliary_images_are_named(denoise, tmp_path, suffix, kind, word) -> None:
    path, content = tmp_path / f"a.{suffix}", as_container(suffix)
    (alpha,) = re.findall(rb"auxC\0{4}([^\0]*)", content)
    path.write_bytes(content)
    assert denoise(path, "-o", tmp_path / f"b.{suffix}", "--json", tmp_path / "b.json").code == 0
    assert "does not hold" not in (tmp_path / "b.json").read_text()
    path.write_bytes(content.replace(alpha, kind.ljust(len(alpha), b"\0")))
    outcome = denoise(path, "-o", tmp_path / f"c.{suffix}")
    assert f"does not hold {word}" in outcome.err
    before = path.read_bytes()
    assert denoise(path, "--in-place").code == 2
    assert path.read_bytes() == before


@pytest.mark.parametrize("images", [1, 2])
def test_a_thumbnail_in_an_avif_is_named(denoise, tmp_path, images) -> None:
    path, content = tmp_path / "a.avif", as_container("avif").replace(b"auxl", b"thmb")
    if images == 2:  # the thumbnail refers to two images, which takes two bytes more
        reference = b"\x0ethmb\0\2\0\1\0\1"
        assert reference in content
        changed = bytearray(content.replace(reference, b"\x10thmb\0\2\0\2\0\1\0\1"))
        places = [content.index(name) - 4 for name in (b"meta", b"iref")]
        first = content.index(b"iloc") + 18
        for place in (*places, first, first + 14):  # sizes of boxes, and offsets of both images
            (old,) = struct.unpack_from(">I", changed, place)
            struct.pack_into(">I", changed, place, old + 2)
        content = bytes(changed)
    path.write_bytes(content)
    assert "does not hold the thumbnail" in denoise(path).err
    assert denoise(path, "--in-place").code == 2


def test_the_thumbnails_of_a_heic_are_made_anew(denoise, tmp_path) -> None:
    path = tmp_path / "a.heic"
    coded = pillow_heif.from_bytes("RGB", (64, 48), COLOURS.tobytes())
    coded.info["thumbnails"] = [32]
    coded.save(path, quality=95)
    assert denoise(path, "--in-place").code == 0
    image = pillow_heif.open_heif(path)[0]
    assert image.info["thumbnails"] == [32]
    shown = image.get_thumbnail(0).to_pillow()
    assert shown.size == (32, 24)
    result = np.asarray(image.to_pillow().resize((32, 24)), int)
    assert np.abs(np.asarray(shown) - result).mean() < 3


@pytest.mark.parametrize(("kind", "word"), [("mime", "'application/json'"), ("uri ", "'uri'")])
def test_other_metadata_of_a_heic_is_named(denoise, tmp_path, kind, word) -> None:
    path = tmp_path / "a.heic"
    coded = pillow_heif.from_bytes("RGB", (64, 48), COLOURS.tobytes())
    coded.info["metadata"] = [
        {"type": kind, "data": b"{}", "content_type": "application/json" * (kind == "mime")}
    ]
    coded.save(path, xmp=XMP % b"", exif=make_exif())
    outcome = denoise(path)
    assert f"does not hold metadata of the kind {word}" in outcome.err
    assert denoise(path, "--in-place").code == 2


def test_layers_of_photoshop_are_named(denoise, tmp_path) -> None:
    """Photoshop would show the layers, which are still noisy."""
    path = tmp_path / "a.tif"
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(100)
    tifffile.imwrite(path, COLOURS, metadata=None, extratags=[(37724, 7, len(layers), layers)])
    outcome = denoise(path, "-o", tmp_path / "b.tif")
    assert "does not hold the tag 37724 (layers of Photoshop)." in outcome.err
    assert layers not in (tmp_path / "b.tif").read_bytes()
    assert denoise(path, "--in-place").code == 2
    assert layers in path.read_bytes()


@pytest.mark.parametrize("exif", [b"", make_exif()])
def test_no_exif_is_invented_for_an_avif(denoise, tmp_path, exif) -> None:
    path = tmp_path / "a.avif"
    save(path, exif=exif)
    assert denoise(path, "--in-place").code == 0
    with Image.open(path) as image:
        image.load()
        assert dict(image.getexif()) == ({271: "Maker"} if exif else {})


def test_backgrounds_are_kept(denoise, tmp_path) -> None:
    frames = [Image.fromarray(np.roll(COLOURS, at, axis=1)) for at in (0, 9)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], background=(9, 8, 7, 255))
    png = tmp_path / "a.png"
    content, chunk = save(png), make_chunk(b"bKGD", struct.pack(">3H", 9, 8, 7))
    png.write_bytes(content[:33] + chunk + content[33:])
    for each in (path, png):
        assert denoise(each, "--in-place").code == 0
    with Image.open(path) as image:
        assert image.info["background"] == (9, 8, 7, 255)
    assert chunk in png.read_bytes()


def test_other_suffixes_of_known_formats_are_found(denoise, tmp_path) -> None:
    for name in ("a.mpo", "a.jps", "a.insp"):
        Image.fromarray(COLOURS).save(tmp_path / name, "jpeg")
    clip(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        image.save(tmp_path / "a.apng", "png", save_all=True)
    outcome = denoise(tmp_path, "-o", tmp_path / "out")
    assert outcome.code == 0
    assert len(list((tmp_path / "out").glob("a.*"))) == 5
