"""BMP, which this build of libvips can neither read nor write.

Read: 1, 4, 8, 16, 24 and 32 bits, with palettes and bit fields, not run-length coded. Written:
8 bits gray, 24 bits, or 32 bits with alpha, with the ICC profile in a version 5 header.
"""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.image_format import (
    Format,
    ReadLimits,
    Size,
    Source,
    refuse_short,
    starts_with,
)
from quietpixel.files.picture import Encoding, Metadata, Picture, Pixels

_EMBEDDED_PROFILE = 0x4D424544
_SRGB = 0x73524742
_BIT_FIELDS = (3, 6)  # the second one with alpha


@dataclass(frozen=True)
class _Header:
    start: int
    size: int
    width: int
    height: int
    upside: bool
    bits: int
    resolution: tuple[int, int]
    colours: int
    masks: tuple[int, ...]


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a BMP file."""
    with vips.open_binary(source) as file:
        head = file.read(14 + 124)
        header = _parse(head)
        limits.check(header.width, header.height)
        # 4 bytes a pixel is the most, unless the file has more that is read first.
        length = file.seek(0, os.SEEK_END)
        limits.reserve(max(length, 4 * header.width * header.height))
        pixels = _decode(file, header)
        icc = None
        if header.size == 124 and head[70:74] == struct.pack("<I", _EMBEDDED_PROFILE):
            at, size = struct.unpack_from("<II", head, 126)
            file.seek(14 + at)
            icc = file.read(min(size, 64 << 20))  # a damaged header may declare 4 GiB
            icc = icc if len(icc) == size else None
    across, down = header.resolution
    resolution = (across / 1000, down / 1000) if across > 0 and down > 0 else None
    metadata = Metadata(icc=icc, resolution=resolution)
    encoding = Encoding(bits=8, palette=header.bits <= 8)
    return Picture.from_pixels(pixels, metadata=metadata, encoding=encoding)


def read_size(source: Source) -> Size:
    """Read the size of a BMP file."""
    with vips.open_binary(source) as file:
        header = _parse(file.read(14 + 124))
        colour = header.bits > 8 or not _is_gray(_read_palette(file, header))
    return Size(header.height, header.width, colour)


def _parse(head: bytes) -> _Header:
    try:
        start, size = struct.unpack_from("<II", head, 10)
        form = "<HHHH" if size == 12 else "<iiHHIIiiI"
        fields = (*struct.unpack_from(form, head, 18), 0, 0, 0, 0, 0)
        width, height, _, bits, compression, _, across, down, colours, *_ = fields
    except struct.error:
        raise FileError("its BMP header is cut short; get a whole copy of the file.") from None
    # The header sizes in use, from OS/2 to version 5. A negative height means rows from the top.
    if size not in (12, 40, 52, 56, 64, 108, 124) or width < 1 or height == 0:
        raise FileError("its BMP header is damaged; repair it, or get a whole copy of the file.")
    if compression not in (0, *_BIT_FIELDS) or bits not in (1, 4, 8, 16, 24, 32):
        raise ImageError(
            f"it is a BMP with {bits} bits per pixel and compression {compression}, "
            "which cannot be read; save it without compression, or as PNG."
        )
    masks: tuple[int, ...] = (0x7C00, 0x3E0, 0x1F) if bits == 16 else (0xFF0000, 0xFF00, 0xFF)
    if compression in _BIT_FIELDS:
        masks = struct.unpack("<IIII", head[54:70].ljust(16, b"\0"))
        if not masks[3] or (size < 56 and compression != 6):  # no mask of alpha
            masks = masks[:3]
    return _Header(
        start, size, width, abs(height), height > 0, bits, (across, down), colours, masks
    )


def _decode(file: BinaryIO, header: _Header) -> Pixels:
    stride = (header.width * header.bits + 31) // 32 * 4  # rows end on multiples of 4 bytes
    file.seek(header.start)
    data = file.read(stride * header.height)
    refuse_short(len(data), stride * header.height)
    rows = np.frombuffer(data, np.uint8).reshape(header.height, stride)
    rows = rows[::-1] if header.upside else rows
    if header.bits == 24:
        pixels = rows[:, : 3 * header.width].reshape(header.height, header.width, 3)
        return np.ascontiguousarray(pixels[..., ::-1])
    if header.bits <= 8:
        palette = _read_palette(file, header)
        shifts = np.arange(8 // header.bits - 1, -1, -1) * header.bits
        spread = (rows[:, :, None] >> shifts) & ((1 << header.bits) - 1)
        pixels = palette[spread.reshape(header.height, -1)[:, : header.width]]
        return np.ascontiguousarray(pixels[:, :, :1] if _is_gray(palette) else pixels)
    if not all(header.masks):
        raise FileError("its BMP bit fields are damaged; save it again as PNG.")
    words = np.ascontiguousarray(rows).view("<u2" if header.bits == 16 else "<u4")
    words = words[:, : header.width].astype(np.uint32)
    return np.stack([_extract(words, mask) for mask in header.masks], axis=2)


def _read_palette(file: BinaryIO, header: _Header) -> Pixels:
    width = 3 if header.size == 12 else 4
    count = min(header.colours or 1 << header.bits, 1 << header.bits)
    file.seek(14 + header.size)
    data = file.read(count * width).ljust(width << header.bits, b"\0")  # missing colours are black
    return np.frombuffer(data, np.uint8).reshape(-1, width)[:, 2::-1]


def _is_gray(palette: Pixels) -> bool:
    return bool((palette == palette[:, :1]).all())


def _extract(words: Pixels, mask: int) -> Pixels:
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    values = (words & np.uint32(mask)) >> shift
    # 64 bits, because a field may have up to 32.
    return ((values.astype(np.uint64) * 255 + top // 2) // top).astype(np.uint8)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a BMP file."""
    pixels, metadata = picture.pages[0], picture.rgb_metadata
    if pixels.shape[2] == 2:
        pixels = vips.as_rgb(pixels)
    height, width, channels = pixels.shape
    rows = np.zeros((height, (width * channels + 3) // 4 * 4), np.uint8)
    order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
    rows[:, : width * channels] = pixels[::-1, :, order].reshape(height, -1)
    table = b"".join(bytes([each, each, each, 0]) for each in range(256)) if channels == 1 else b""
    profile = metadata.icc or b""
    # Readers expect the short header, so the long one is only for what it alone holds.
    size = 124 if channels == 4 or profile else 40
    start = 14 + size + len(table)
    end = start + rows.size
    across, down = (round(1000 * each) for each in metadata.resolution or (0, 0))
    head = struct.pack("<2sIHHI", b"BM", end + len(profile), 0, 0, start) + struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, 8 * channels, 3 if channels == 4 else 0, rows.size,
        across, down, 256 if channels == 1 else 0, 0,
    )  # fmt: skip
    if size == 124:
        masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if channels == 4 else (0, 0, 0, 0)
        place = (end - 14, len(profile)) if profile else (0, 0)
        head += struct.pack("<IIIII", *masks, _EMBEDDED_PROFILE if profile else _SRGB)
        head += b"\0" * 48 + struct.pack("<IIII", 4, *place, 0)
    file.write(head + table)
    file.write(rows.tobytes() + profile)


FORMAT = Format(
    name="bmp",
    title="BMP",
    suffixes=(".bmp", ".dib"),
    media_type="image/bmp",
    recognise=starts_with(b"BM"),
    read=read,
    read_size=read_size,
    write=write,
    metadata=("icc", "resolution"),
)
