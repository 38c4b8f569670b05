"""The chunks of a WebP file: metadata byte for byte."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from quietpixel.files.picture import Block, Metadata

_FLAGS = {"ICCP": 0x20, "EXIF": 0x08, "XMP ": 0x04}
_ALPHA = 0x10
_PIXELS = {"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"}


def read_chunks(file: BinaryIO) -> tuple[Block, ...]:
    """Return every chunk as (type, content); of those with pixels, only the first bytes."""
    file.seek(12)
    return tuple(_chunks(file))


def _chunks(file: BinaryIO) -> Iterator[Block]:
    while len(header := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", header)
        name = kind.decode("latin-1")
        wanted = min(size, 64) if name in _PIXELS else size
        data = file.read(wanted)
        if len(data) < wanted:
            return
        file.seek(size - wanted + (size & 1), 1)
        yield name, data


def parse_metadata(chunks: tuple[Block, ...]) -> Metadata:
    """Return what the chunks say, with those to be written back as its blocks."""
    found = dict(reversed(chunks))
    exif = found.get("EXIF")
    return Metadata(
        icc=found.get("ICCP"),
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=found.get("XMP "),
        blocks=tuple(block for block in chunks if block[0] not in _PIXELS),
    )


def is_lossless(chunks: tuple[Block, ...]) -> bool:
    """Say whether the pixels are stored without loss."""
    return any(name == "VP8L" for name, _ in chunks)


def is_animated(chunks: tuple[Block, ...]) -> bool:
    """Say whether the file holds frames of an animation."""
    return any(name == "ANMF" for name, _ in chunks)


def blocks_of(metadata: Metadata) -> tuple[Block, ...]:
    """Return chunks that say what `metadata` says, for a picture of another format."""
    pairs = (("ICCP", metadata.icc), ("EXIF", metadata.exif), ("XMP ", metadata.xmp))
    return tuple((name, data) for name, data in pairs if data)


def graft(whole: bytes, blocks: tuple[Block, ...], *, size: tuple[int, int], alpha: bool) -> bytes:
    """Return a WebP file with `blocks` put in.

    Parameters
    ----------
    whole
        A file that libvips wrote without metadata.
    blocks
        The chunks to carry.
    size
        Width and height in pixels.
    alpha
        Whether it has transparency.
    """
    if not blocks:
        return whole
    flags = _ALPHA if alpha else 0
    for name, _ in blocks:
        flags |= _FLAGS.get(name, 0)
    first = [block for block in blocks if block[0] == "ICCP"]
    last = [block for block in blocks if block[0] != "ICCP"]
    extended = bytes([flags, 0, 0, 0]) + b"".join((side - 1).to_bytes(3, "little") for side in size)
    parts = [_chunk("VP8X", extended), *(_chunk(*block) for block in first), _picture_data(whole)]
    body = b"WEBP" + b"".join(parts) + b"".join(_chunk(*block) for block in last)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _picture_data(whole: bytes) -> bytes:
    """The chunks of the picture itself, without the extended header."""
    at, parts = 12, []
    while at + 8 <= len(whole):
        kind, size = struct.unpack("<4sI", whole[at : at + 8])
        end = at + 8 + size + (size & 1)
        if kind in (b"VP8 ", b"VP8L", b"ALPH"):
            parts.append(whole[at:end])
        at = end
    return b"".join(parts)


def _chunk(name: str, data: bytes) -> bytes:
    padding = b"\0" * (len(data) & 1)
    return name.encode("latin-1") + struct.pack("<I", len(data)) + data + padding
