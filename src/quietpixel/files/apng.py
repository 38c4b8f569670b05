"""Animated PNG: each frame is a PNG of its own to libvips, put together and taken apart here."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.frames import drop_opaque_alpha, reserve_frames, store_frames
from quietpixel.files.image_format import ReadLimits, Source
from quietpixel.files.picture import Picture, Pixels, white_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CONTROL = struct.Struct(">4I2H2B")
_CLEAR, _RESTORE = 1, 2
Delay = tuple[int, int]
"""Seconds as a fraction."""


@dataclass
class _Frame:
    """Place, duration and compressed pixels of a frame."""

    width: int
    height: int
    left: int
    top: int
    over: int
    under: int
    disposal: int
    blend: bool
    data: list[memoryview] = field(default_factory=list)


@dataclass
class _File:
    """The chunks of an animated PNG that matter for its pixels."""

    header: bytes = b""
    shared: list[tuple[bytes, memoryview]] = field(default_factory=list)
    loop: int = 0
    frames: list[_Frame] = field(default_factory=list)


def make_chunk(kind: bytes, data: bytes | memoryview) -> bytes:
    """Return a chunk of a PNG.

    Examples
    --------
    >>> make_chunk(b"IEND", b"").hex()
    '0000000049454e44ae426082'
    """
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _walk(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at = memoryview(content), len(SIGNATURE)
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        yield kind, view[at + 8 : at + 8 + size]
        # Length, kind and checksum, four bytes each, besides the data.
        at += 12 + size


def _parse(content: bytes) -> _File:
    found = _File()
    for kind, data in _walk(content):
        if kind == b"IHDR":
            found.header = bytes(data)
        elif kind in (b"PLTE", b"tRNS"):
            found.shared.append((kind, data))
        elif kind == b"acTL":
            found.loop = int.from_bytes(data[4:8], "big")
        elif kind == b"fcTL" and len(data) == 4 + _CONTROL.size:
            found.frames.append(_Frame(*_CONTROL.unpack(data[4:])))
        # Pixels before the first control chunk are a still for old readers, not a frame.
        elif found.frames and kind in (b"IDAT", b"fdAT"):
            # fdAT begins with a sequence number of four bytes, IDAT does not.
            found.frames[-1].data.append(data[4 * (kind == b"fdAT") :])
    width, height = struct.unpack_from(">2I", found.header)
    for frame in found.frames:
        inside = frame.left + frame.width <= width and frame.top + frame.height <= height
        if not (inside and frame.width and frame.height and frame.data):
            raise FileError("a frame of its animation is damaged; get a whole copy of it.")
    return found


def read_frames(source: Source, header: Picture, limits: ReadLimits) -> Picture:
    """Read all frames of an animated PNG, each as it is shown.

    Parameters
    ----------
    source
        The file.
    header
        Metadata and encoding of the file, without pages.
    limits
        Asked before memory is taken.
    """
    found = _parse(vips.read_bytes(source, 0, -1))
    width, height = struct.unpack_from(">2I", found.header)
    limits.check(width, height, len(found.frames))
    # At most four channels of 16 bits, and the canvas beside the frames.
    count, size = len(found.frames), width * height * 4 * max(found.header[8] // 8, 1)
    long = reserve_frames(source, size, count, limits, canvas=size)
    with vips.decoding_errors():
        frames = _compose(found, height, width)
        pages = store_frames(frames, count) if long else tuple(frames)
    if not found.header[9] & 4:  # partial frames added alpha to an animation without any
        pages = drop_opaque_alpha(pages, stored=long)
    exact = tuple((frame.over, frame.under) for frame in found.frames)
    encoding = replace(
        header.encoding,
        palette=False,
        bits=8 * pages[0].dtype.itemsize,
        delays=tuple(round(1000 * over / (under or 100)) for over, under in exact),
        loop=found.loop,
    )
    metadata = replace(header.metadata, native=exact)
    return replace(header.with_pages(pages), metadata=metadata, encoding=encoding)


def _compose(found: _File, height: int, width: int) -> Iterator[Pixels]:
    """Yield the frames as they are shown: some change only a part of the one before."""
    canvas: Pixels | None = None
    plain = all((each.height, each.width) == (height, width) for each in found.frames)
    for number, frame in enumerate(found.frames):
        pixels = _decode(found, frame)
        if plain and pixels.shape[2] in (1, 3):
            yield pixels
            continue
        if pixels.shape[2] in (1, 3):
            opaque = np.full_like(pixels[..., :1], white_of(pixels.dtype))
            pixels = np.concatenate([pixels, opaque], axis=2)
        if canvas is None:
            canvas = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
        part = canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = part.copy()
        part[...] = _blend(part, pixels) if frame.blend else pixels
        yield canvas.copy()
        if frame.disposal in (_CLEAR, _RESTORE):
            part[...] = before if frame.disposal == _RESTORE and number else 0


@vips.working()
def _decode(found: _File, frame: _Frame) -> Pixels:
    header = struct.pack(">2I", frame.width, frame.height) + found.header[8:]
    pixels = (make_chunk(b"IDAT", each) for each in frame.data)
    shared = (make_chunk(*each) for each in found.shared)
    parts = [make_chunk(b"IHDR", header), *shared, *pixels, make_chunk(b"IEND", b"")]
    content = SIGNATURE + b"".join(parts)
    return vips.to_array(vips.open_page("pngload", content))


def _blend(below: Pixels, above: Pixels) -> Pixels:
    """Return pixels with alpha over others."""
    white = white_of(above.dtype)
    top, bottom = (each[..., -1:].astype(np.float32) / np.float32(white) for each in (above, below))
    rest = bottom * (1 - top)
    alpha = top + rest
    colours = above[..., :-1] * top + below[..., :-1] * rest
    colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    blended = np.concatenate([colours, alpha * np.float32(white)], axis=2)
    return np.rint(blended).astype(above.dtype)


def write_frames(
    still: bytes, others: Iterable[bytes], delays: Sequence[Delay], loop: int
) -> Iterator[bytes]:
    """Yield the parts of an animated PNG: a still one and others of its size and colour type.

    Parameters
    ----------
    still
        A PNG file, whose chunks stay.
    others
        PNG files of the further frames.
    delays
        How long each frame is shown.
    loop
        How often the animation runs; 0 for ever.
    """
    size = struct.unpack(">2I", still[16:24])

    def control(number: int, delay: Delay) -> bytes:
        return struct.pack(">I", number) + _CONTROL.pack(*size, 0, 0, *delay, 0, 0)

    chunks: list[tuple[bytes, bytes | memoryview]] = [*_walk(still)]
    first = next(at for at, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    chunks.insert(first, (b"acTL", struct.pack(">2I", len(delays), loop)))
    chunks.insert(first + 1, (b"fcTL", control(0, delays[0])))
    yield SIGNATURE
    for kind, data in chunks[:-1]:
        yield make_chunk(kind, data)
    # Controls and pixels of frames are counted together.
    for number, (other, delay) in enumerate(zip(others, delays[1:], strict=True)):
        pixels = b"".join(data for kind, data in _walk(other) if kind == b"IDAT")
        yield make_chunk(b"fcTL", control(2 * number + 1, delay))
        yield make_chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + pixels)
    yield make_chunk(*chunks[-1])
