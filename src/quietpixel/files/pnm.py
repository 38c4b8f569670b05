"""PNM (PBM, PGM, PPM, PAM, PFM), which this build of libvips can neither read nor write."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, refuse_short
from quietpixel.files.picture import Encoding, Picture, Pixels

_MOST_HEADER = 4096
_WORD = rb"(?:\s|#[^\n\r]*[\n\r])+([^\s#]+)"


@dataclass(frozen=True)
class _Header:
    kind: str
    width: int
    height: int
    channels: int
    maximum: float
    end: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        if self.kind in ("PF", "Pf"):
            # Floats have a scale instead of a maximum, below zero where the lowest byte is first.
            return np.dtype("<f4" if self.maximum < 0 else ">f4")
        return np.dtype("u1" if self.maximum < 256 else ">u2")


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
    return Picture.from_pixels(
        pixels,
        # The scale of floats is one that few writers set and fewer obey.
        maximum=1.0 if pixels.dtype.kind == "f" else header.maximum,
        encoding=Encoding(bits=8 * pixels.dtype.itemsize),
    )


def read_size(source: Source) -> Size:
    """Read the size of a PNM file."""
    header = _parse(vips.read_bytes(source, 0, _MOST_HEADER))
    return Size(header.height, header.width, colour=header.channels >= 3)


def _parse(head: bytes) -> _Header:
    kind = head[:2].decode("ascii")
    header = _parse_pam(head) if kind == "P7" else _parse_words(head, kind)
    scale = header.maximum != 0 and np.isfinite(header.maximum)
    if not (scale if header.dtype.kind == "f" else 1 <= header.maximum <= 65535):
        raise _damaged()
    if header.width < 1 or header.height < 1:
        raise FileError(f"it declares {header.width} x {header.height} pixels; it has no image.")
    return header


def _parse_words(head: bytes, kind: str) -> _Header:
    """Read the words behind the magic number; the pixels begin one byte after them."""
    match = re.match(rb".." + (2 if kind in ("P1", "P4") else 3) * _WORD, head)
    if match is None:
        raise _damaged()
    try:
        (width, height), maximum = map(int, match.groups()[:2]), float((*match.groups(), b"255")[2])
    except ValueError:
        raise _damaged() from None
    channels = 3 if kind in ("P3", "P6", "PF") else 1
    return _Header(kind, width, height, channels, maximum, match.end() + 1)


def _parse_pam(head: bytes) -> _Header:
    text, mark, _ = head.partition(b"ENDHDR\n")
    words = dict(re.findall(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)\s+(\d+)", text, re.MULTILINE))
    if not mark or len(words) != 4:
        raise _damaged()
    names = (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    width, height, depth, maximum = (int(words[name]) for name in names)
    if not 1 <= depth <= 4:
        raise ImageError(f"it has {depth} channels; only 1 to 4 can be used.")
    return _Header("P7", width, height, depth, maximum, len(text) + len(mark))


def _damaged() -> FileError:
    return FileError("its PNM header is damaged; repair it, or get a whole copy of the file.")


def _parse_text(data: bytes, header: _Header) -> Pixels:
    data = re.sub(rb"#[^\n\r]*", b"", data)
    bitmap = header.kind == "P1"  # its digits need no space between them
    words = re.findall(rb"\S", data) if bitmap else data.split()
    count = prod(header.shape)
    refuse_short(len(words), count)
    try:
        values = np.array(words[:count]).astype(np.int64)
    except (ValueError, OverflowError):
        raise FileError("its pixels are not numbers; the file is damaged.") from None
    if values.min() < 0 or values.max() > (1 if bitmap else header.maximum):
        raise FileError("it has pixels beyond its own maximum; the file is damaged.")
    if bitmap:
        values = 255 * (1 - values)  # a one is black
    return values.reshape(header.shape).astype(header.dtype.newbyteorder("="))


def _parse_bits(data: bytes, header: _Header) -> Pixels:
    row = (header.width + 7) // 8
    refuse_short(len(data), row * header.height)
    packed = np.frombuffer(data, np.uint8, row * header.height).reshape(header.height, row)
    ink = np.unpackbits(packed, axis=1)[:, : header.width, None]
    return (255 * (1 - ink)).astype(np.uint8)


def _parse_binary(data: bytes, header: _Header) -> Pixels:
    dtype, count = header.dtype, prod(header.shape)
    refuse_short(len(data), count * dtype.itemsize)
    pixels = np.frombuffer(data, dtype, count).reshape(header.shape)
    if dtype.kind == "f":
        pixels = pixels[::-1]  # PFM stores rows from the bottom up
    return np.ascontiguousarray(pixels, dtype.newbyteorder("="))


_PARSERS: dict[str, Callable[[bytes, _Header], Pixels]] = {
    **dict.fromkeys(("P1", "P2", "P3"), _parse_text),
    "P4": _parse_bits,
    **dict.fromkeys(("P5", "P6", "P7", "PF", "Pf"), _parse_binary),
}


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a PNM file."""
    file.writelines(encode(picture.pages[0], picture.maximum))


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
