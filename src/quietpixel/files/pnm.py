"""PNM (PBM, PGM, PPM, PAM, PFM), which this build of libvips can neither read nor write."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.image_format import Format, ReadLimits, Size, Source
from quietpixel.files.picture import Encoding, Picture, Pixels

_MOST_HEADER = 4096
_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")


@dataclass(frozen=True)
class _Header:
    kind: str
    width: int
    height: int
    channels: int
    maximum: float
    end: int


def _recognise(head: bytes) -> bool:
    return head[:1] == b"P" and head[1:2] in b"1234567Ff" and head[2:3].isspace()


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a PNM file."""
    with vips.open_binary(source) as file:
        header = _parse(file.read(_MOST_HEADER))
        limits.check(header.width, header.height)
        # 4 bytes a pixel is the most of the common kinds, unless the file has more.
        length = file.seek(0, os.SEEK_END)
        limits.reserve(max(length, 4 * header.width * header.height))
        file.seek(header.end)
        pixels = _PARSERS[header.kind](file.read(), header)
    return Picture(
        pages=(pixels,),
        format="pnm",
        colour="gray" if header.channels < 3 else "rgb",
        alpha=header.channels in (2, 4),
        maximum=header.maximum,
        encoding=Encoding(bits=8 * pixels.dtype.itemsize),
    )


def read_size(source: Source) -> Size:
    """Read the size of a PNM file."""
    header = _parse(vips.read_bytes(source, 0, _MOST_HEADER))
    return Size(header.height, header.width, colour=header.channels >= 3)


def _parse(head: bytes) -> _Header:
    kind = head[:2].decode("ascii")
    header = _parse_pam(head) if kind == "P7" else _parse_words(head, kind)
    floats = kind in ("PF", "Pf")  # the maximum is a scale, and below zero in little-endian files
    valid = header.maximum != 0 and np.isfinite(header.maximum)
    if not (valid if floats else 1 <= header.maximum <= 65535):
        raise _damaged()
    if header.width < 1 or header.height < 1:
        raise FileError(f"it declares {header.width} x {header.height} pixels; it has no image.")
    return header


def _parse_words(head: bytes, kind: str) -> _Header:
    """Read the words behind the magic number; the pixels begin one byte after them."""
    at, words = 2, []
    for _ in range(2 if kind in ("P1", "P4") else 3):
        match = _TOKEN.match(head, at)
        if match is None:
            raise _damaged()
        words.append(match[1])
        at = match.end()
    try:
        width, height, maximum = int(words[0]), int(words[1]), float((*words, b"255")[2])
    except ValueError:
        raise _damaged() from None
    channels = 3 if kind in ("P3", "P6", "PF") else 1
    return _Header(kind, width, height, channels, maximum, at + 1)


def _parse_pam(head: bytes) -> _Header:
    text, mark, _ = head.partition(b"ENDHDR\n")
    words = dict(re.findall(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)\s+(\d+)", text, re.MULTILINE))
    if not mark or len(words) != 4:
        raise _damaged()
    width, height, depth, maximum = (
        int(words[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    if not 1 <= depth <= 4:
        raise ImageError(f"it has {depth} channels; only 1 to 4 can be used.")
    return _Header("P7", width, height, depth, maximum, len(text) + len(mark))


def _damaged() -> FileError:
    return FileError("its PNM header is damaged; repair it, or get a whole copy of the file.")


def _cut(missing: int) -> FileError:
    return FileError(f"the file is cut short ({missing:,} bytes are missing); get a whole copy.")


def _shape(data: Pixels, header: _Header) -> Pixels:
    return data.reshape(header.height, header.width, header.channels)


def _take(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise _cut(length - len(data))
    return data[:length]


def _binary(data: bytes, header: _Header) -> Pixels:
    dtype = np.dtype("u1" if header.maximum < 256 else ">u2")
    length = header.width * header.height * header.channels * dtype.itemsize
    pixels = _shape(np.frombuffer(_take(data, length), dtype), header)
    return pixels.astype(dtype.newbyteorder("="))


def _text(data: bytes, header: _Header) -> Pixels:
    words = re.sub(rb"#[^\n\r]*", b"", data).split()
    count = header.width * header.height * header.channels
    if len(words) < count:
        raise _cut(count - len(words))
    try:
        values = np.array(words[:count]).astype(np.int64)
    except (ValueError, OverflowError):
        raise FileError("its pixels are not numbers; the file is damaged.") from None
    if values.min() < 0 or values.max() > header.maximum:
        raise FileError("it has pixels beyond its own maximum; the file is damaged.")
    return _shape(values, header).astype(np.uint8 if header.maximum < 256 else np.uint16)


def _bits(data: bytes, header: _Header) -> Pixels:
    row = (header.width + 7) // 8
    packed = np.frombuffer(_take(data, row * header.height), np.uint8).reshape(header.height, row)
    ink = np.unpackbits(packed, axis=1)[:, : header.width, None]
    return (255 * (1 - ink)).astype(np.uint8)


def _text_bits(data: bytes, header: _Header) -> Pixels:
    digits = re.sub(rb"#[^\n\r]*|\s+", b"", data)
    count = header.width * header.height
    values = np.frombuffer(_take(digits, count), np.uint8) - ord("0")
    if values.max() > 1:
        raise FileError("its pixels are not zeros and ones; the file is damaged.")
    return _shape(255 * (1 - values), header)


def _floats(data: bytes, header: _Header) -> Pixels:
    dtype = np.dtype("<f4" if header.maximum < 0 else ">f4")
    length = header.width * header.height * header.channels * 4
    pixels = _shape(np.frombuffer(_take(data, length), dtype), header)
    return np.ascontiguousarray(pixels[::-1], np.float32)  # rows are stored from the bottom up


_PARSERS: dict[str, Callable[[bytes, _Header], Pixels]] = {
    "P1": _text_bits, "P2": _text, "P3": _text, "P4": _bits, "P5": _binary, "P6": _binary,
    "P7": _binary, "Pf": _floats, "PF": _floats,
}  # fmt: skip


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a PNM file."""
    for part in encode(picture.pages[0], picture.maximum):
        file.write(part)


def encode(pixels: Pixels, maximum: float) -> tuple[bytes, bytes]:
    """Return the header and the pixels of a PGM, PPM, PAM (with alpha) or PFM (float) file.

    Examples
    --------
    >>> encode(np.array([[[7], [9]]], np.uint8), 255)
    (b'P5\\n2 1\\n255\\n', b'\\x07\\t')
    """
    height, width, channels = pixels.shape
    if pixels.dtype.kind == "f":
        start = f"{'PF' if channels == 3 else 'Pf'}\n{width} {height}\n-1.0\n"
        return start.encode(), pixels[::-1].astype("<f4").tobytes()
    full = int(np.iinfo(pixels.dtype).max)
    # The declared maximum, unless pixels go beyond it.
    top = int(maximum) if pixels.max() <= maximum <= full else full
    data = pixels.astype("u1" if top < 256 else ">u2").tobytes()
    if channels in (2, 4):
        kind = "GRAYSCALE_ALPHA" if channels == 2 else "RGB_ALPHA"
        start = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {top}\n"
            f"TUPLTYPE {kind}\nENDHDR\n"
        )
        return start.encode(), data
    return f"P{5 if channels == 1 else 6}\n{width} {height}\n{top}\n".encode(), data


FORMAT = Format(
    name="pnm",
    title="PNM",
    suffixes=(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"),
    media_type="image/x-portable-anymap",
    recognise=_recognise,
    read=read,
    read_size=read_size,
    write=write,
    dtypes=("uint8", "uint16", "float32"),
    opaque_dtypes=("float32",),
)
