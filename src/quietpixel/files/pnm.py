"""PNM (PBM, PGM, PPM, PAM, PFM), which this build of libvips can neither read nor write."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

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


def recognise(head: bytes) -> bool:
    """Say whether a file is PNM, whose magic number is short enough to begin other files too."""
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
        # Floats have no maximum: the header's is a scale that few writers set and fewer obey.
        maximum=1.0 if header.kind in ("PF", "Pf") else header.maximum,
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


def _parse_text(data: bytes, header: _Header) -> Pixels:
    data = re.sub(rb"#[^\n\r]*", b"", data)
    bitmap = header.kind == "P1"  # its digits need no space between them
    words = re.findall(rb"\S", data) if bitmap else data.split()
    count = header.width * header.height * header.channels
    _check_length(len(words), count)
    try:
        values = np.array(words[:count]).astype(np.int64)
    except (ValueError, OverflowError):
        raise FileError("its pixels are not numbers; the file is damaged.") from None
    if values.min() < 0 or values.max() > (1 if bitmap else header.maximum):
        raise FileError("it has pixels beyond its own maximum; the file is damaged.")
    if bitmap:
        values = 255 * (1 - values)  # a one is black
    pixels = values.reshape(header.height, header.width, header.channels)
    return pixels.astype(np.uint8 if header.maximum < 256 else np.uint16)


def _parse_bits(data: bytes, header: _Header) -> Pixels:
    row = (header.width + 7) // 8
    _check_length(len(data), row * header.height)
    packed = np.frombuffer(data, np.uint8, row * header.height).reshape(header.height, row)
    ink = np.unpackbits(packed, axis=1)[:, : header.width, None]
    return (255 * (1 - ink)).astype(np.uint8)


def _parse_binary(data: bytes, header: _Header) -> Pixels:
    floats = header.kind in ("PF", "Pf")
    if floats:
        name = "<f4" if header.maximum < 0 else ">f4"
    else:
        name = "u1" if header.maximum < 256 else ">u2"
    dtype: np.dtype[Any] = np.dtype(name)
    count = header.width * header.height * header.channels
    _check_length(len(data), count * dtype.itemsize)
    shape = header.height, header.width, header.channels
    pixels = np.frombuffer(data, dtype, count).reshape(shape)
    if floats:
        pixels = pixels[::-1]  # PFM stores rows from the bottom up
    return np.ascontiguousarray(pixels, dtype.newbyteorder("="))


def _check_length(found: int, expected: int) -> None:
    if found < expected:
        raise FileError(
            f"the file is cut short ({expected - found:,} bytes are missing); get a whole copy."
        )


_PARSERS: dict[str, Callable[[bytes, _Header], Pixels]] = {
    **dict.fromkeys(("P1", "P2", "P3"), _parse_text),
    "P4": _parse_bits,
    **dict.fromkeys(("P5", "P6", "P7", "PF", "Pf"), _parse_binary),
}


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
    recognise=recognise,
    read=read,
    read_size=read_size,
    write=write,
    dtypes=("uint8", "uint16", "float32"),
    opaque_dtypes=("float32",),
)
