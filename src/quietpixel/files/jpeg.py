"""The segments of a JPEG file: metadata byte for byte, and the quality it was written at."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from quietpixel.files.picture import Block, Metadata, Pixels

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_MULTI_PICTURE = b"MPF\0"  # holds offsets into the rest of the file, which change
_SEGMENT = 65533  # the most bytes that one segment holds
_START_OF_SCAN = 0xDA
_LUMA = np.array(
    [16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
     29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81,
     87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99]
)  # fmt: skip
"""The luminance table of the JPEG standard (Annex K) in zigzag order, which is quality 50."""


def read_segments(file: BinaryIO) -> tuple[Block, ...]:
    """Return the segments before the picture data as (marker in hex, content)."""
    file.seek(2)
    return tuple(_segments(file))


def _segments(file: BinaryIO) -> Iterator[Block]:
    while True:
        marker = file.read(2)
        while marker == b"\xff\xff":  # padding is allowed
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] == _START_OF_SCAN:
            return
        size = int.from_bytes(file.read(2), "big")
        content = file.read(max(size - 2, 0))
        if size < 2 or len(content) < size - 2:
            return
        yield f"{marker[1]:02x}", content


def parse_metadata(segments: tuple[Block, ...]) -> Metadata:
    """Return what the segments say, with those to be written back as its blocks."""
    exif = _first(segments, "e1", _EXIF)
    return Metadata(
        icc=_join_icc(segments),
        exif=exif,
        xmp=_first(segments, "e1", _XMP),
        iptc=_first(segments, "ed", _PHOTOSHOP),
        resolution=_resolution(segments),
        blocks=tuple(block for block in segments if _is_kept(block)),
    )


def _first(segments: tuple[Block, ...], marker: str, start: bytes) -> bytes | None:
    found = (data for name, data in segments if name == marker and data.startswith(start))
    data = next(found, None)
    return data[len(start) :] if data is not None else None


def _join_icc(segments: tuple[Block, ...]) -> bytes | None:
    parts = [data for name, data in segments if name == "e2" and data.startswith(_ICC)]
    parts.sort(key=lambda data: data[len(_ICC) : len(_ICC) + 1])
    return b"".join(data[len(_ICC) + 2 :] for data in parts) or None


def _resolution(segments: tuple[Block, ...]) -> tuple[float, float] | None:
    """JFIF density: unit 1 is dots per inch, unit 2 dots per centimetre."""
    data = _first(segments, "e0", b"JFIF\0")
    if data is None or len(data) < 7 or data[2] not in (1, 2):
        return None
    scale = 25.4 if data[2] == 1 else 10.0
    across, down = struct.unpack(">HH", data[3:7])
    return (across / scale, down / scale) if across and down else None


def _is_kept(block: Block) -> bool:
    """Application segments and comments, but not Adobe's, which tells how the pixels are coded."""
    name, data = block
    if name == "fe":
        return True
    return name[0] == "e" and name != "ee" and not data.startswith(_MULTI_PICTURE)


def estimate_quality(segments: tuple[Block, ...]) -> int | None:
    """Return the quality, 1 to 100, whose standard luminance table is nearest to the file's.

    Examples
    --------
    >>> estimate_quality((("db", bytes([0]) + bytes(_LUMA.tolist())),))
    50
    """
    table = _luma_table(segments)
    if table is None:
        return None
    distances = [np.abs(_scaled(quality) - table).sum() for quality in range(1, 101)]
    return 1 + int(np.argmin(distances))


def _scaled(quality: int) -> Pixels:
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: Pixels = np.clip((_LUMA * factor + 50) // 100, 1, 255)
    return table


def _luma_table(segments: tuple[Block, ...]) -> Pixels | None:
    """Quantisation table 0, of 8-bit or 16-bit entries."""
    for data in (data for name, data in segments if name == "db"):
        at = 0
        while at < len(data):
            wide, number = data[at] >> 4, data[at] & 15
            entries = data[at + 1 : at + 65 + 64 * (wide > 0)]
            if number == 0 and len(entries) == (128 if wide else 64):
                return np.frombuffer(entries, ">u2" if wide else "u1").astype(int)
            at += 1 + len(entries)
    return None


def frame_bits(segments: tuple[Block, ...]) -> int:
    """Return the bits per sample that the frame header declares."""
    frames = (data for name, data in segments if name[0] == "c" and name not in ("c4", "c8", "cc"))
    return next((data[0] for data in frames if data), 8)


def blocks_of(metadata: Metadata) -> tuple[Block, ...]:
    """Return segments that say what `metadata` says, for a picture of another format."""
    blocks: list[Block] = []
    if metadata.exif and len(metadata.exif) + len(_EXIF) <= _SEGMENT:
        blocks.append(("e1", _EXIF + metadata.exif))
    if metadata.xmp and len(metadata.xmp) + len(_XMP) <= _SEGMENT:
        blocks.append(("e1", _XMP + metadata.xmp))
    blocks += _split_icc(metadata.icc or b"")
    if metadata.iptc:
        blocks += [("ed", _PHOTOSHOP + part) for part in _pieces(metadata.iptc, 65000)]
    return tuple(blocks)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _split_icc(profile: bytes) -> list[Block]:
    parts = _pieces(profile, 65000)
    return [
        ("e2", _ICC + bytes([number, len(parts)]) + part)
        for number, part in enumerate(parts[:255], start=1)
    ]


def graft(head: bytes, blocks: tuple[Block, ...]) -> bytes | None:
    """Return the start of a new JPEG with `blocks` put in; None while `head` is too short.

    The density that libvips wrote gives way to the one of the source, if the source had one.
    """
    if len(head) < 20:
        return None
    rest = head[2:]
    if any(name == "e0" for name, _ in blocks) and rest.startswith(b"\xff\xe0"):
        rest = rest[2 + int.from_bytes(rest[2:4], "big") :]
    jfif, end = b"", 0
    if rest.startswith(b"\xff\xe0"):  # JFIF stays first
        end = 2 + int.from_bytes(rest[2:4], "big")
        jfif = rest[:end]
    return head[:2] + jfif + b"".join(map(_segment, blocks)) + rest[end:]


def _segment(block: Block) -> bytes:
    name, data = block
    return b"\xff" + bytes.fromhex(name) + struct.pack(">H", len(data) + 2) + data


def subsampling(segments: tuple[Block, ...]) -> str | None:
    """Return the chroma subsampling that the frame header declares; None for gray.

    Examples
    --------
    >>> subsampling((("c0", bytes([8, 0, 1, 0, 1, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])),))
    '4:2:0'
    """
    frames = (data for name, data in segments if name[0] == "c" and name not in ("c4", "c8", "cc"))
    frame = next(frames, b"")
    if len(frame) < 12 or frame[5] < 3:
        return None
    across, down = frame[7] >> 4, frame[7] & 15
    known = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    return known.get((across, down), f"{across}x{down}")
