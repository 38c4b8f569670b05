"""WebP: pixels through libvips, chunks with metadata byte for byte."""

import struct
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any, BinaryIO

import numpy as np

from quietpixel.array_types import BoolArray
from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import DEFAULT_QUALITY, Format, ReadLimits, Source, starts_with
from quietpixel.files.picture import (
    Block,
    Encoding,
    Metadata,
    Picture,
    Pixels,
    drop_padding,
    first_block,
    put_block,
)

_FLAGS = {"ICCP": 0x20, "EXIF": 0x08, "XMP ": 0x04}
_ALPHA, _ANIMATION = 0x10, 0x02
_PIXELS = {"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"}
_CREDENTIALS, _TIMING = "C2PA", "ANIM"
_CLEAR = 1
_REPLACE = b"\2"
"""The frame replaces what is below, its alpha too, and stays."""


def _read_chunks(source: Source) -> tuple[list[Block], bytes]:
    """Return the whole chunks, of those with pixels the first bytes; and what follows them."""
    chunks: list[Block] = []
    with vips.open_binary(source) as file:
        end = 8 + int.from_bytes(file.read(8)[4:], "little")
        file.seek(12)
        while file.tell() < end and len(head := file.read(8)) == 8:
            kind, size = struct.unpack("<4sI", head)
            name = kind.decode("latin-1")
            wanted = min(size, 64) if name in _PIXELS else size
            data = file.read(wanted)
            if len(data) < wanted:
                break
            file.seek(size - wanted + (size & 1), 1)
            chunks.append((name, data))
        file.seek(end)
        tail = file.read()
    return chunks, drop_padding(tail)


def find_lost(source: Source) -> tuple[str, ...]:
    """Name content credentials, which sign the pixels of the source."""
    signed = any(name == _CREDENTIALS for name, _ in _read_chunks(source)[0])
    return (f"the chunk {_CREDENTIALS} (content credentials)",) if signed else ()


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a WebP file."""
    chunks, tail = _read_chunks(source)
    # The chunk of a frame has 16 bytes on its place and duration before its pixels.
    lossless = any(name == "VP8L" or data[16:20] == b"VP8L" for name, data in chunks)
    dropped = {*_PIXELS, _CREDENTIALS} - {_TIMING}
    blocks = tuple(each for each in chunks if each[0] not in dropped)
    metadata = Metadata(blocks=blocks, tail=tail)
    encoding = Encoding(bits=8, lossless=lossless)
    header = Picture((), metadata=metadata, encoding=encoding)
    # libvips adds alpha to an animation without any. Pixels that no frame covers need it.
    extended = first_block(chunks, "VP8X") or b""
    frames = [data for name, data in chunks if name == "ANMF"]
    opaque = (
        bool(extended and frames)
        and not extended[0] & _ALPHA
        and frames[0][:12] == bytes(6) + extended[4:10]
        and not any(int.from_bytes(frame[15:16]) & _CLEAR for frame in frames)
    )
    return read_pages("webpload", source, header, limits, frames=True, opaque=opaque)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a WebP file."""
    metadata, encoding = picture.rgb_metadata, picture.encoding
    pairs = (("ICCP", metadata.icc), ("EXIF", metadata.exif), ("XMP ", metadata.xmp))
    blocks = tuple((name, data) for name, data in pairs if data)
    if picture.format == "webp":
        own = put_block(metadata.blocks, "EXIF", b"", metadata.exif)
        blocks = put_block(own, "XMP ", b"", metadata.xmp, new_at=len(own))
    options = {
        "Q": quality or encoding.quality or DEFAULT_QUALITY,
        "lossless": quality is None and encoding.lossless,
        "smart_subsample": True,  # 0.1 dB better, for 3 % more bytes
        "exact": True,  # keeps the colours of transparent pixels
    }
    if len(picture.pages) == 1:
        parts: Iterable[bytes] = [_encode(picture.pages[0], options)]
    else:
        parts = _write_frames(picture, first_block(blocks, _TIMING), options)
    # An extended header for metadata and animations; sides are stored minus one, in 24 bits.
    flags = (_ALPHA if picture.alpha else 0) | (_ANIMATION if len(picture.pages) > 1 else 0)
    flags |= sum({_FLAGS.get(name, 0) for name, _ in blocks})
    sides = b"".join((side - 1).to_bytes(3, "little") for side in picture.size)
    extended = [_chunk("VP8X", bytes([flags, 0, 0, 0]) + sides)]
    # The profile comes before the pixels, everything else after them.
    first = [_chunk(*block) for block in blocks if block[0] == "ICCP"]
    last = [_chunk(*block) for block in blocks if block[0] not in ("ICCP", _TIMING)]
    start = file.tell()
    file.write(b"RIFF    WEBP")
    for part in chain(extended if flags or blocks else (), first, parts, last):
        file.write(part)
    end = file.tell()
    if end - start > 2**32 - 2:
        raise FileError("A WebP holds at most 4 GB; choose another format, such as PNG.")
    file.seek(start + 4)
    file.write(struct.pack("<I", end - start - 8))
    file.seek(end)


def _encode(pixels: Pixels, options: dict[str, Any]) -> bytes:
    """Return the chunks with the pixels of one image."""
    image = vips.from_array(vips.as_rgb(pixels))
    whole = memoryview(vips.save_bytes(image, "webpsave", **options))
    at, found = 12, []
    while at + 8 <= len(whole):
        kind, size = struct.unpack_from("<4sI", whole, at)
        end = at + 8 + size + (size & 1)
        if kind in (b"VP8 ", b"VP8L", b"ALPH"):
            found.append(whole[at:end])
        at = end
    return b"".join(found)


def _write_frames(
    picture: Picture, timing: bytes | None, options: dict[str, Any]
) -> Iterator[bytes]:
    """Yield the chunks of an animation, one frame after the other.

    libvips hands all frames to libwebp, which keeps them: 60 of noise, 640 x 480, took 47 MB beside
    their pixels and 78 s, now 11 MB and 35 s. A frame is cut to what changed, as libwebp does.
    """
    loop = min(picture.encoding.loop, 2**16 - 1).to_bytes(2, "little")
    yield _chunk("ANIM", (timing or b"\xff\xff\xff\xff")[:4] + loop)
    before = None
    for page, delay in zip(picture.pages, chain(picture.encoding.delays, repeat(100))):  # noqa: B905
        rows, columns = slice(0, page.shape[0]), slice(0, page.shape[1])
        if before is not None:
            changed = (page != before).any(axis=2)
            rows, columns = (_extent(changed.any(axis=axis)) for axis in (1, 0))
        part = np.ascontiguousarray(page[rows, columns])
        # Half the left and upper edge, sides minus one, and duration, in 24 bits.
        sides = part.shape[1] - 1, part.shape[0] - 1
        numbers = columns.start // 2, rows.start // 2, *sides, min(delay, 2**24 - 1)
        place = b"".join(number.to_bytes(3, "little") for number in numbers)
        yield _chunk("ANMF", place + _REPLACE + _encode(part, options))
        before = page


def _extent(changed: BoolArray) -> slice:
    """Return where values are true, from an even place on; the first of none."""
    places = np.flatnonzero(changed) if changed.any() else np.zeros(1, int)
    return slice(int(places[0]) // 2 * 2, int(places[-1]) + 1)


def _chunk(name: str, data: bytes) -> bytes:
    padding = b"\0" * (len(data) & 1)
    return name.encode("latin-1") + struct.pack("<I", len(data)) + data + padding


def name_own(metadata: Metadata) -> tuple[str, ...]:
    """Name the chunks that files of other formats do not hold."""
    names = dict.fromkeys(name for name, _ in metadata.blocks if name not in (*_FLAGS, _TIMING))
    return (f"the chunks {', '.join(names)}",) if names else ()


FORMAT = Format(
    name="webp",
    title="WebP",
    suffixes=(".webp",),
    media_type="image/webp",
    recognise=starts_with(b"WEBP", at=8),
    read=read,
    read_size=size_reader("webpload"),
    write=write,
    find_lost=find_lost,
    pages=True,
    max_side=16383,
    orientation=True,
    metadata=("icc", "exif", "xmp"),
    name_own=name_own,
    tail=True,
    quality=True,
)
