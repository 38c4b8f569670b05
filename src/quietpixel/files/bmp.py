"""BMP files, which this build of libvips cannot read or write.

Read: 1, 4, 8, 16, 24 and 32 bits, with palettes and bit fields, not run-length coded. Written:
8 bits gray, 24 bits, or 32 bits with alpha, with the ICC profile in a version 5 header.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files.picture import Encoding, Metadata, Picture, Pixels

_EMBEDDED = 0x4D424544
_FIELDS = (3, 6)


@dataclass(frozen=True)
class _Header:
    start: int
    size: int
    width: int
    height: int
    upside: bool
    bits: int
    compression: int
    resolution: tuple[int, int]
    colours: int
    masks: tuple[int, int, int, int]
    profile: tuple[int, int] | None


def read(file: BinaryIO, check: Callable[[int, int], None]) -> Picture:
    """Read a BMP file; `check` is called with the declared width and height first.

    Raises
    ------
    FileError
        If the header is damaged or pixels are missing.
    ImageError
        If it is run-length coded or of another kind not read here.
    """
    header = _parse(file.read(14 + 124))
    check(header.width, header.height)
    pixels = _decode(file, header)
    channels = pixels.shape[2]
    across, down = header.resolution
    return Picture(
        pages=(pixels,),
        format="bmp",
        colour="gray" if channels == 1 else "rgb",
        alpha=channels == 4,
        metadata=Metadata(
            icc=_profile(file, header),
            resolution=(across / 1000, down / 1000) if across > 0 and down > 0 else None,
        ),
        encoding=Encoding(bits=8, palette=header.bits <= 8),
    )


def _parse(head: bytes) -> _Header:
    try:
        start, size = struct.unpack_from("<II", head, 10)
        if size == 12:
            width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
            compression, across, down, colours = 0, 0, 0, 0
        else:
            width, height, _, bits, compression, _, across, down, colours = struct.unpack_from(
                "<iiHHIIiiI", head, 18
            )
    except struct.error:
        raise FileError("its BMP header is cut short; get a whole copy of the file.") from None
    header = _Header(
        start, size, width, abs(height), height > 0, bits, compression, (across, down), colours,
        _masks(head, size, bits, compression), _profile_place(head, size),
    )  # fmt: skip
    return _checked(header)


def _checked(header: _Header) -> _Header:
    if header.size not in (12, 40, 52, 56, 64, 108, 124) or header.width < 1 or header.height < 1:
        raise FileError("its BMP header is damaged; repair it, or get a whole copy of the file.")
    coded = header.compression not in (0, *_FIELDS)
    if coded or header.bits not in (1, 4, 8, 16, 24, 32):
        raise ImageError(
            f"it is a BMP with {header.bits} bits per pixel and compression {header.compression}, "
            "which is not read; save it without compression, or as PNG."
        )
    return header


def _masks(head: bytes, size: int, bits: int, compression: int) -> tuple[int, int, int, int]:
    if compression not in _FIELDS:
        return (0x7C00, 0x3E0, 0x1F, 0) if bits == 16 else (0xFF0000, 0xFF00, 0xFF, 0)
    if len(head) < 70:
        return 0, 0, 0, 0
    red, green, blue, alpha = struct.unpack_from("<IIII", head, 54)
    return red, green, blue, alpha if size >= 56 or compression == 6 else 0


def _profile_place(head: bytes, size: int) -> tuple[int, int] | None:
    if size < 124 or len(head) < 138 or struct.unpack_from("<I", head, 70)[0] != _EMBEDDED:
        return None
    at, length = struct.unpack_from("<II", head, 126)
    return 14 + at, length


def _profile(file: BinaryIO, header: _Header) -> bytes | None:
    if header.profile is None:
        return None
    file.seek(header.profile[0])
    data = file.read(min(header.profile[1], 64 << 20))
    return data if len(data) == header.profile[1] else None


def _decode(file: BinaryIO, header: _Header) -> Pixels:
    stride = (header.width * header.bits + 31) // 32 * 4
    file.seek(header.start)
    data = file.read(stride * header.height)
    if len(data) < stride * header.height:
        missing = stride * header.height - len(data)
        raise FileError(f"the file is cut short ({missing:,} bytes are missing); get a whole copy.")
    rows = np.frombuffer(data, np.uint8).reshape(header.height, stride)
    rows = rows[::-1] if header.upside else rows
    if header.bits <= 8:
        return _indexed(rows, header, _palette(file, header))
    if header.bits == 24:
        pixels = rows[:, : 3 * header.width].reshape(header.height, header.width, 3)
        return np.ascontiguousarray(pixels[..., ::-1])
    return _fields(np.ascontiguousarray(rows), header)


def _palette(file: BinaryIO, header: _Header) -> Pixels:
    width = 3 if header.size == 12 else 4
    count = min(header.colours or 1 << header.bits, 1 << header.bits)
    file.seek(14 + header.size)
    data = file.read(count * width)
    palette = np.zeros((1 << header.bits, 3), np.uint8)
    found = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    palette[: len(found)] = found[:, 2::-1]
    return palette


def _indexed(rows: Pixels, header: _Header, palette: Pixels) -> Pixels:
    """Look the colours up; gray palettes give one channel."""
    per_byte = 8 // header.bits
    shifts = np.arange(per_byte - 1, -1, -1) * header.bits
    spread = (rows[:, :, None] >> shifts) & ((1 << header.bits) - 1)
    pixels = palette[spread.reshape(header.height, -1)[:, : header.width]]
    gray = bool((palette == palette[:, :1]).all())
    return np.ascontiguousarray(pixels[:, :, :1] if gray else pixels)


def _fields(rows: Pixels, header: _Header) -> Pixels:
    """Take the channels out of 16-bit or 32-bit words by their masks."""
    word = "<u2" if header.bits == 16 else "<u4"
    words = rows.view(word)[:, : header.width].astype(np.uint32)
    masks = header.masks if header.masks[3] else header.masks[:3]
    if not all(masks):
        raise FileError("its BMP bit fields are damaged; save it again as PNG.")
    return np.stack([_field(words, mask) for mask in masks], axis=2)


def _field(words: Pixels, mask: int) -> Pixels:
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    values = (words & np.uint32(mask)) >> shift
    return ((values.astype(np.uint64) * 255 + top // 2) // top).astype(np.uint8)


def encode(pixels: Pixels, metadata: Metadata) -> tuple[bytes, bytes]:
    """Return the header and the pixels of a BMP file from uint8 (H, W, 1, 3 or 4)."""
    height, width, channels = pixels.shape
    stride = (width * channels + 3) // 4 * 4
    rows = np.zeros((height, stride), np.uint8)
    order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
    rows[:, : width * channels] = pixels[::-1, :, order].reshape(height, -1)
    table = b"".join(bytes([each, each, each, 0]) for each in range(256)) if channels == 1 else b""
    head = _info(metadata, width, height, channels, rows.size)
    start = 14 + len(head) + len(table)
    profile = metadata.icc or b""
    opening = struct.pack("<2sIHHI", b"BM", start + rows.size + len(profile), 0, 0, start)
    if len(head) == 124 and profile:
        head = head[:112] + struct.pack("<II", start - 14 + rows.size, len(profile)) + head[120:]
    return opening + head + table, rows.tobytes() + profile


def _info(metadata: Metadata, width: int, height: int, channels: int, length: int) -> bytes:
    across, down = (round(1000 * each) for each in metadata.resolution or (0, 0))
    wide = channels == 4 or metadata.icc is not None
    head = struct.pack(
        "<IiiHHIIiiII", 124 if wide else 40, width, height, 1, 8 * channels,
        3 if channels == 4 else 0, length, across, down, 256 if channels == 1 else 0, 0,
    )  # fmt: skip
    if not wide:
        return head
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if channels == 4 else (0, 0, 0, 0)
    space = _EMBEDDED if metadata.icc else 0x73524742
    return (
        head + struct.pack("<IIIII", *masks, space) + b"\0" * 48 + struct.pack("<IIII", 4, 0, 0, 0)
    )
