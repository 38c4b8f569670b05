"""AVIF: pixels and metadata through libvips, colour numbers in the container."""

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.boxes import has_brand, has_full_boxes, inspect_heif, make_box
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import DEFAULT_QUALITY, Format, ReadLimits, Source
from quietpixel.files.picture import (
    Encoding,
    Metadata,
    Picture,
    change_bits,
    describe_colour_numbers,
)

_EFFORT = 2
"""By measurement on photographs, 4 takes eight times as long for a file 3 % smaller, at 0.07 dB."""
_MATRIX = 6
"""The matrix of luma and chroma that libvips encodes with (BT.601)."""
_EXIF = b"\0\0\0\6Exif\0\0"
"""What an item of EXIF begins with: the bytes up to its header, and its mark."""
_NUMBERS, _PROFILES = b"colrnclx", (b"colrrICC", b"colrprof")
_HEADER = 1 << 20
"""Bytes at the start of a file in which its boxes are looked for."""


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read an AVIF file."""
    header = Picture((), encoding=Encoding(lossless=False))
    picture = read_pages("heifload", source, header, limits, numbers=(0,))
    bits = picture.encoding.bits or 8
    if bits > 8:  # libvips leaves the lower bits empty, so that white would be 65472
        pages = tuple(change_bits(page >> 16 - bits, bits, 16) for page in picture.pages)
        picture = replace(picture, pages=pages)
    numbers, tail = _read_numbers(vips.read_bytes(source, 0, _HEADER)), inspect_heif(source)[1]
    return replace(picture, metadata=replace(picture.metadata, cicp=numbers, tail=tail))


def _read_numbers(head: bytes) -> tuple[int, int, int, int] | None:
    """Return the colour numbers of the first box that has any; the last is one bit."""
    at = head.find(_NUMBERS)
    if at < 0 or at + 15 > len(head):
        return None
    primaries, curve, matrix, full = struct.unpack_from(">HHHB", head, at + len(_NUMBERS))
    return primaries, curve, matrix, full >> 7


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an AVIF file."""
    pixels, metadata = picture.pages[0], picture.rgb_metadata
    deep = pixels.dtype == np.uint16
    # AVIF has 12 bits at most, so 16-bit pixels cannot be stored without loss.
    bits = (picture.encoding.bits if picture.encoding.bits in (10, 12) else 12) if deep else 8
    image = vips.from_array(change_bits(pixels, 16, bits) << 16 - bits if deep else pixels)
    numbers = None if metadata.icc or metadata.cicp is None else metadata.cicp[:2]
    lossless = quality is None and picture.encoding.lossless and not deep
    profile = metadata.icc
    if numbers and not lossless:
        profile = vips.srgb_profile()  # to be replaced
    if profile:
        image = vips.with_blob(image, "icc-profile-data", profile)
    if metadata.exif:
        image = vips.with_blob(image, "exif-data", b"Exif\0\0" + metadata.exif)
    if metadata.xmp:
        image = vips.with_blob(image, "xmp-data", metadata.xmp)
    content = vips.save_bytes(
        image,
        "heifsave",
        compression="av1",
        Q=quality or picture.encoding.quality or DEFAULT_QUALITY,
        effort=_EFFORT,
        lossless=lossless,
        bitdepth=bits,
        # EXIF is made up where there is none, with a resolution of 25 dots per inch.
        keep="icc|xmp|exif" if metadata.exif else "icc|xmp",
    )
    content = _put_exif(content, metadata.exif) if metadata.exif else content
    file.write(_put_numbers(content, *numbers) if numbers else content)


def _walk_items(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number of each item, and the place where its base offset is stored."""
    head = content.index(b"iloc") + 8
    sizes, count = struct.unpack_from(">HH", content, head)
    if sizes != 0x4440:  # offsets, lengths and base offsets of 4 bytes each, as libheif writes them
        raise FileError("The metadata could not be stored; nothing was written.")
    entry = head + 4
    for _ in range(count):
        number, _, _, extents = struct.unpack_from(">HHIH", content, entry)
        yield number, entry + 4
        entry += 10 + 8 * extents


def _put_exif(content: bytes, exif: bytes) -> bytes:
    """Return the file with EXIF as it was; libvips adds tags of its own."""
    found = re.search(rb"infe\x02...(..)..Exif", content, re.DOTALL)
    if found is None:
        raise FileError("The EXIF could not be stored; nothing was written.")
    items = dict(_walk_items(content))
    place, box = items[int.from_bytes(found[1], "big")], make_box(b"mdat", _EXIF + exif)
    base, _, start, size = struct.unpack_from(">IHII", content, place)
    changed = bytearray(content)
    changed[base + start : base + start + size] = bytes(size)
    struct.pack_into(">IHII", changed, place, len(content) + 8, 1, 0, len(box) - 8)
    return bytes(changed) + box


def _put_numbers(content: bytes, primaries: int, curve: int) -> bytes:
    """Return the file with colour numbers in place of its profile; libvips does not take them."""
    if (at := content.find(_NUMBERS)) >= 0:  # as in lossless files, which need another matrix
        at += len(_NUMBERS)
        return content[:at] + struct.pack(">HH", primaries, curve) + content[at + 4 :]
    at = content.index(b"colr") - 4
    numbers = struct.pack(">HHHB", primaries, curve, _MATRIX, 0x80)
    box = struct.pack(">I", 12 + len(numbers)) + _NUMBERS + numbers
    (size,) = struct.unpack_from(">I", content, at)
    changed = bytearray(content[:at] + box + content[at + size :])
    places = [content.index(name) - 4 for name in (b"meta", b"iprp", b"ipco")]
    for place in (*places, *dict(_walk_items(content)).values()):
        (old,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", changed, place, old + len(box) - size)
    return bytes(changed)


@vips.working()
def find_lost(source: Source) -> tuple[str, ...]:
    """Name further images, colour numbers beside a profile, and a thumbnail."""
    with vips.decoding_errors():
        image = vips.open_page("heifload", source, 0)
    count = image.get_n_pages() - 1
    found = ([f"{count} further images"] if count else []) + inspect_heif(source)[0]
    head = vips.read_bytes(source, 0, _HEADER)
    numbers = describe_colour_numbers(Metadata(cicp=_read_numbers(head)))
    if numbers and any(name in head for name in _PROFILES):
        found.append(f"{numbers} beside the profile")
    if has_full_boxes(source, b"meta", b"iref", b"thmb"):
        found.append("the thumbnail")
    return tuple(found)


FORMAT = Format(
    name="avif",
    title="AVIF",
    suffixes=(".avif", ".avifs"),
    media_type="image/avif",
    recognise=lambda head: has_brand(head, b"avif", b"avis"),
    read=read,
    read_size=size_reader("heifload", 0),
    write=write,
    find_lost=find_lost,
    dtypes=("uint8", "uint16"),
    max_side=16384,  # of libvips' writer; it fails only after encoding
    metadata=("icc", "exif", "xmp", "cicp"),
    tail=True,
    lossless=False,
    quality=True,
)
