"""Damaged and unusual picture files, generated.

Every case states whether a correct picture or an error is expected. `CASES[name].make()` gives the
bytes; `CASES[name].ending` the suffix that the file gets, which may lie.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import tifffile
from PIL import Image, ImageCms


@dataclass(frozen=True)
class Case:
    """A kind of file: `outcome` is "picture", "error", or "either" where both are right."""

    name: str
    ending: str
    outcome: str
    make: Callable[[], bytes]


CASES: dict[str, Case] = {}


def case(ending: str, outcome: str):
    """Register a function that makes the bytes of a file."""

    def register(make):
        name = make.__name__.replace("_", "-")
        CASES[name] = Case(name, ending, outcome, cache(make))
        return make

    return register


def pixels(height=24, width=31, channels=3, dtype="uint8", seed=0):
    """Noise over a ramp: no two rows alike, and nothing that compresses to nearly nothing."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.2, 0.8, width)[None, :, None]
    values = np.clip(ramp + rng.normal(0, 0.1, (height, width, channels)), 0, 1)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    image = (values * top).astype(dtype)
    return image[:, :, 0] if channels == 1 else image


def pillow(image, kind, **options):
    """Write an array or a Pillow image with Pillow."""
    stream = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def tiff(image, **options):
    """Write an array with tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, **options)
    return stream.getvalue()


def chunk(kind, data):
    """Return one PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, bits=8, kind=2):
    """Return a PNG file of given chunks."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def after_header(data, *chunks):
    """Put chunks behind the header of a PNG file."""
    return data[:33] + b"".join(chunks) + data[33:]


@cache
def _whole(kind):
    image = pixels(60, 70)
    if kind == "TIFF":
        return tiff(image, photometric="rgb", rowsperstrip=5)
    if kind == "tiled":
        return tiff(image, photometric="rgb", tile=(16, 16))
    return pillow(image, kind, **({"quality": 90} if kind in ("JPEG", "AVIF") else {}))


def _cut(kind, tenth):
    def make():
        data = _whole(kind)
        return data[: len(data) * tenth // 10]

    return make


for _kind, _ending in (
    ("JPEG", ".jpg"), ("PNG", ".png"), ("TIFF", ".tif"), ("tiled", ".tif"), ("WEBP", ".webp"),
    ("AVIF", ".avif"), ("BMP", ".bmp"), ("GIF", ".gif"), ("PPM", ".ppm"),
):  # fmt: skip
    for _tenth in range(1, 10):
        _name = f"{_kind.lower()}-cut-at-{_tenth}-tenths"
        CASES[_name] = Case(_name, _ending, "error", _cut(_kind, _tenth))


@case(".png", "error")
def empty():
    return b""


@case(".jpg", "error")
def one_byte():
    return b"\xff"


@case(".png", "error")
def only_signature():
    return b"\x89PNG\r\n\x1a\n"


@case(".png", "error")
def text_file():
    return b"This is not a picture.\n" * 20


@case(".jpg", "error")
def random_bytes():
    return np.random.default_rng(1).bytes(5000)


@case(".tif", "error")
def zeros():
    return b"\0" * 4096


@case(".png", "error")
def html_page():
    return b"<html><body>404 not found</body></html>"


@case(".svg.png", "error")
def svg_drawing():
    return b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


@case(".jpg", "error")
def heic_header():
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200


@case(".jpg", "error")
def jpeg_xl_header():
    return b"\xff\x0a" + b"\x11" * 200


@case(".jpg", "picture")
def png_named_jpg():
    return pillow(pixels(), "PNG")


@case(".png", "picture")
def jpeg_named_png():
    return pillow(pixels(), "JPEG")


@case(".png", "picture")
def one_by_one():
    return pillow(pixels(1, 1), "PNG")


@case(".jpg", "picture")
def one_by_one_jpeg():
    return pillow(pixels(1, 1), "JPEG")


@case(".png", "picture")
def one_row():
    return pillow(pixels(1, 4001), "PNG")


@case(".tif", "picture")
def one_column():
    return tiff(pixels(4001, 1, 1))


@case(".png", "error")
def bomb_of_declared_size():
    return png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b"\0" * 100)))


@case(".png", "error")
def largest_declared_size():
    return png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zlib.compress(b"\0" * 100)))


@case(".png", "error")
def no_width():
    return png(0, 5, chunk(b"IDAT", zlib.compress(b"\0" * 5)))


@case(".png", "error")
def header_taller_than_data():
    rows = b"".join(b"\0" + bytes(30) for _ in range(10))
    return png(10, 100, chunk(b"IDAT", zlib.compress(rows)))


@case(".png", "error")
def no_picture_data():
    return png(10, 10)


@case(".png", "error")
def wrong_checksum_in_data():
    data = bytearray(pillow(pixels(), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    return bytes(data)


@case(".png", "either")
def wrong_checksum_in_text():
    data = bytearray(after_header(pillow(pixels(), "PNG"), chunk(b"tEXt", b"Title\0hello")))
    data[data.index(b"hello")] ^= 0x20
    return bytes(data)


@case(".png", "error")
def unknown_critical_chunk():
    return after_header(pillow(pixels(), "PNG"), chunk(b"QUIE", b"1234"))


@case(".png", "picture")
def corrupt_profile_in_png():
    return after_header(pillow(pixels(), "PNG"), chunk(b"iCCP", b"icc\0\0" + b"nonsense" * 9))


@case(".png", "picture")
def profile_bomb():
    bomb = zlib.compress(b"\0" * 200_000_000, 9)
    return after_header(pillow(pixels(), "PNG"), chunk(b"iCCP", b"icc\0\0" + bomb))


@case(".jpg", "picture")
def corrupt_profile_in_jpeg():
    return pillow(pixels(), "JPEG", icc_profile=b"not a profile" * 40)


@case(".tif", "picture")
def corrupt_profile_in_tiff():
    profile = b"not a profile" * 40
    return tiff(pixels(), photometric="rgb", iccprofile=profile)


@case(".jpg", "picture")
def corrupt_profile_in_cmyk():
    image = Image.fromarray(pixels()).convert("CMYK")
    return pillow(image, "JPEG", icc_profile=b"not a profile" * 40)


@case(".jpg", "picture")
def cmyk_without_profile():
    return pillow(Image.fromarray(pixels()).convert("CMYK"), "JPEG")


@case(".tif", "picture")
def cmyk_tiff():
    return pillow(Image.fromarray(pixels()).convert("CMYK"), "TIFF")


@case(".jpg", "picture")
def rgb_profile_on_gray():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return pillow(pixels(channels=1), "JPEG", icc_profile=profile)


@case(".jpg", "picture")
def exif_with_a_loop():
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, 4, 1, 8)
    return pillow(pixels(), "JPEG", exif=exif + struct.pack("<I", 8))


@case(".jpg", "picture")
def exif_that_points_out():
    entries = struct.pack("<HHHII", 1, 271, 2, 2**31, 2**31)
    return pillow(pixels(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + entries)


@case(".jpg", "picture")
def exif_of_nonsense():
    return pillow(pixels(), "JPEG", exif=b"Exif\0\0" + b"\xfe" * 500)


@case(".webp", "picture")
def exif_with_a_loop_in_webp():
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, 4, 1, 8) + struct.pack("<I", 8)
    return pillow(pixels(), "WEBP", exif=exif)


@case(".jpg", "picture")
def orientation_out_of_range():
    exif = Image.Exif()
    exif[274] = 77
    return pillow(pixels(), "JPEG", exif=exif)


@case(".jpg", "picture")
def bytes_after_the_end():
    return pillow(pixels(), "JPEG") + b"appended by a phone" * 100


@case(".jpg", "either")
def damaged_scan():
    data = bytearray(pillow(pixels(200, 200), "JPEG", quality=95))
    data[len(data) // 2 : len(data) // 2 + 20] = b"\xff\xd9" * 10
    return bytes(data)


@case(".jpg", "error")
def jpeg_cut_and_ended_behind_stray_bytes():
    data = _whole("JPEG")
    tables = data.index(b"\xff\xdb")
    return data[:tables] + b"stray" + data[tables : len(data) * 2 // 3] + b"\xff\xd9"


@case(".jpg", "error")
def jpeg_without_tables():
    data = pillow(pixels(), "JPEG")
    at = data.index(b"\xff\xdb")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


@case(".jpg", "error")
def jpeg_of_twelve_bits():
    data = bytearray(pillow(pixels(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@case(".jpg", "error")
def jpeg_that_declares_more_rows():
    data = bytearray(pillow(pixels(64, 64), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 2] = (60_000).to_bytes(2, "big")
    return bytes(data)


@case(".jpg", "error")
def segment_that_runs_out():
    return b"\xff\xd8\xff\xe1\xff\xff" + b"Exif\0\0"


@case(".png", "picture")
def palette_with_alpha():
    return pillow(Image.fromarray(pixels()).quantize(16), "PNG", transparency=bytes(range(16)))


@case(".png", "picture")
def one_bit_gray():
    return pillow(Image.fromarray(pixels(channels=1)).convert("1"), "PNG")


@case(".png", "error")
def palette_missing():
    rows = b"".join(b"\0" + bytes(10) for _ in range(10))
    return png(10, 10, chunk(b"IDAT", zlib.compress(rows)), kind=3)


@case(".png", "either")
def palette_index_out_of_range():
    rows = b"".join(b"\0" + bytes([200] * 10) for _ in range(10))
    data = chunk(b"IDAT", zlib.compress(rows))
    return png(10, 10, chunk(b"PLTE", bytes(6)), data, kind=3)


@case(".tif", "picture")
def sixteen_bits_with_twelve_used():
    return tiff(pixels(channels=1, dtype="uint16") // 16)


@case(".tif", "picture")
def float_with_nan():
    image = pixels(channels=1, dtype="float32")
    image[3, 4], image[5, 6] = np.nan, np.inf
    return tiff(image)


@case(".tif", "picture")
def float_far_beyond_one():
    return tiff(pixels(channels=1, dtype="float32") * 4095)


@case(".tif", "picture")
def half_floats():
    return tiff(pixels(channels=1, dtype="float16"))


@case(".tif", "picture")
def doubles():
    return tiff(pixels(channels=1, dtype="float64"))


@case(".tif", "error")
def complex_numbers():
    return tiff(pixels(channels=1, dtype="float32").astype("complex64"))


@case(".tif", "picture")
def big_endian_stack():
    return tiff(
        np.stack([pixels(seed=seed) for seed in range(3)]), byteorder=">", photometric="rgb"
    )


@case(".tif", "picture")
def bigtiff_in_tiles():
    return tiff(pixels(70, 90), bigtiff=True, tile=(32, 48), photometric="rgb")


@case(".tif", "picture")
def separate_planes():
    planes = np.moveaxis(pixels(), 2, 0)
    return tiff(planes, photometric="rgb", planarconfig="separate")


@case(".tif", "error")
def seven_channels():
    return tiff(np.zeros((9, 9, 7), np.uint8), photometric="minisblack", planarconfig="contig")


@case(".tif", "error")
def pages_of_different_sizes():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(pixels(20, 20, 1))
        writer.write(pixels(30, 20, 1))
    return stream.getvalue()


def _fax(compression, *, stated):
    """Return a fax of which bytes were lost on the way, which its tags may state."""
    tags = {327: 2} if stated else {}
    page = Image.fromarray(pixels(64, 80, 1) > 120)
    data = bytearray(pillow(page, "TIFF", compression=compression, tiffinfo=tags))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        (at,), (length,) = file.pages[0].dataoffsets, file.pages[0].databytecounts
    data[at + length // 3 : at + length // 3 + 3] = b"\xff\x13\x7a"
    return bytes(data)


@case(".tif", "error")
def fax_of_group_3_with_lost_bytes():
    return _fax("group3", stated=False)


@case(".tif", "picture")
def fax_that_states_its_lost_bytes():
    return _fax("group3", stated=True)


@case(".tif", "error")
def fax_of_group_4_with_lost_bytes():
    return _fax("group4", stated=False)


@case(".tif", "error")
def tiff_without_pages():
    return b"II*\0\0\0\0\0"


@case(".tif", "error")
def tiff_with_a_loop_of_pages():
    data = bytearray(tiff(pixels(channels=1), metadata=None))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    at = first + 2 + 12 * count
    data[at : at + 4] = first.to_bytes(4, "little")
    return bytes(data)


@case(".tif", "error")
def tiff_directory_outside():
    return b"II*\0" + (10**9).to_bytes(4, "little") + bytes(100)


@case(".tif", "error")
def tiff_strips_outside():
    data = tiff(pixels(channels=1), metadata=None)
    return _with_tag(data, 273, 10**9)


@case(".tif", "error")
def tiff_declares_a_huge_size():
    return _with_tag(_with_tag(tiff(pixels(channels=1), metadata=None), 256, 10**9), 257, 10**9)


def _with_tag(data, tag, value):
    """Set the value of a tag of the first directory."""
    first = int.from_bytes(data[4:8], "little")
    at = next(
        at
        for at in range(first + 2, len(data), 12)
        if data[at : at + 2] == tag.to_bytes(2, "little")
    )
    return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]


@case(".gif", "picture")
def animated_gif():
    frames = [Image.fromarray(pixels(seed=seed)) for seed in range(3)]
    return pillow(frames[0], "GIF", save_all=True, append_images=frames[1:])


@case(".webp", "picture")
def animated_webp():
    frames = [Image.fromarray(pixels(seed=seed)) for seed in range(3)]
    return pillow(frames[0], "WEBP", save_all=True, append_images=frames[1:])


@case(".gif", "error")
def gif_with_a_huge_canvas():
    return b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b";"


@case(".bmp", "picture")
def bmp_top_down():
    data = bytearray(pillow(pixels(), "BMP"))
    data[22:26] = struct.pack("<i", -24)
    return bytes(data)


@case(".bmp", "error")
def bmp_of_a_huge_size():
    data = bytearray(pillow(pixels(), "BMP"))
    data[18:26] = struct.pack("<ii", 2**30, 2**30)
    return bytes(data)


@case(".bmp", "error")
def bmp_run_length_coded():
    data = bytearray(pillow(pixels(channels=1), "BMP"))
    data[30:34] = struct.pack("<I", 1)
    return bytes(data)


@case(".ppm", "error")
def ppm_of_a_huge_size():
    return b"P6 999999 999999 255\n" + bytes(100)


@case(".ppm", "error")
def ppm_with_words():
    return b"P3 2 2 255\n1 2 3 four 5 6 7 8 9 10 11 12"


@case(".pgm", "picture")
def pgm_with_comments_and_ten_bits():
    return b"P5 # made by hand\n2 # width\n2\n1023\n" + struct.pack(">4H", 0, 1, 512, 1023)


@case(".pfm", "picture")
def big_endian_pfm():
    return b"PF\n3 2\n1.0\n" + pixels(2, 3, 3, "float32").astype(">f4").tobytes()


@case(".avif", "error")
def avif_header_only():
    return b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(40)


@case(".webp", "error")
def webp_header_only():
    return b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(24)
