"""OpenEXR: linear floats, with all other channels and attributes of the file kept as they are."""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from quietpixel.errors import ImageError
from quietpixel.files import vips
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, damaged, starts_with
from quietpixel.files.picture import Encoding, Metadata, Picture

_LAYOUTS = (("R", "G", "B", "A"), ("R", "G", "B"), ("Y", "A"), ("Y",))
_HEADER = 1 << 20
"""Bytes at the start of a file that hold its attributes."""
_TILED, _SEVERAL_PARTS = 0x200, 0x1000
"""Flags in the version."""
_redirecting = threading.Lock()
_XMP = "xmp"
"""Attribute for XMP, as Adobe's programs write it."""


def _open(source: Source, *, header_only: bool = False) -> Any:
    """Return the file as OpenEXR opens it; it reads all pixels unless told otherwise."""
    import OpenEXR

    with vips.open_binary(source) as file:
        _refuse_cut(file)
        file.seek(0)
        try:
            with _quiet_thread():
                exr = OpenEXR.File(file, separate_channels=True, header_only=header_only)
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise damaged() from error
    if not exr.parts:
        raise damaged()
    return exr


class _Muted:
    """A stream that drops what the thread that made it writes, and nothing else."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)


@contextlib.contextmanager
def _quiet_thread() -> Iterator[None]:
    """Drop what OpenEXR prints with Python, on standard output: it raises errors too."""
    with _redirecting, contextlib.redirect_stdout(_Muted(sys.stdout)):
        yield


def _refuse_cut(file: BinaryIO) -> None:
    """Refuse a file whose last chunk ends after the file does; OpenEXR would print lines on it."""

    def number(at: int, length: int = 4) -> int:
        file.seek(min(at, size))
        return int.from_bytes(file.read(length), "little")

    size = file.seek(0, io.SEEK_END)
    flags = number(4)
    if flags & _SEVERAL_PARTS:
        return
    content = file.read(_HEADER)
    at = 0
    while content[at : at + 1] not in (b"\0", b""):  # name, type and size of an attribute
        at = content.find(b"\0", content.find(b"\0", at) + 1) + 1
        at += 4 + int.from_bytes(content[at : at + 4], "little")
    table = 8 + at + 1  # of the places of all chunks, up to the first of them
    first = number(table, 8)
    file.seek(table)
    places = file.read(max(min(first, size) - table, 0) // 8 * 8)
    last = int(np.frombuffer(places, "<u8").max(initial=0))
    packed = last + (16 if flags & _TILED else 4)
    if not table < last < packed <= size - 4 or packed + 4 + number(packed) > size:
        raise damaged()


def _check(exr: Any) -> tuple[int, int, tuple[str, ...]]:
    """Return height, width and the names of the channels that make the image.

    Raises
    ------
    ImageError
        If it has several parts, deep pixels, or no such channels.
    """
    header = exr.header()
    if len(exr.parts) > 1 or "deep" in str(header.get("type")):
        raise ImageError("it has several parts or deep pixels; split or flatten it first.")
    channels = {channel.name: channel for channel in header["channels"]}
    names = next((names for names in _LAYOUTS if set(names) <= channels.keys()), ())
    whole = all(channels[name].xSampling == channels[name].ySampling == 1 for name in names)
    if not names or not whole:
        raise ImageError(
            f"its channels are {', '.join(sorted(channels)) or 'none'}; only R, G, B or Y with or "
            "without A can be denoised, all in full size; save those as a file of their own."
        )
    (left, top), (right, down) = header["dataWindow"]
    return int(down) - int(top) + 1, int(right) - int(left) + 1, names


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read an OpenEXR file of one part."""
    exr = _open(source, header_only=True)
    height, width, names = _check(exr)
    limits.check(width, height)
    count = len(exr.header()["channels"])
    limits.reserve(4 * width * height * (count + len(names)))
    exr = _open(source)
    header, channels = exr.header(), {name: each.pixels for name, each in exr.channels().items()}
    pixels = np.stack([channels.pop(name) for name in names], axis=2)
    if pixels.dtype.kind != "f":
        raise ImageError("its pixels are integers of 32 bits; convert it to a TIFF of 16.")
    header.pop("channels")
    xmp = header.get(_XMP)
    xmp = xmp.encode() if isinstance(xmp, str) else None
    return Picture.from_pixels(
        pixels,
        metadata=Metadata(xmp=xmp, native=(header, channels)),
        # By the definition of the format, alpha is premultiplied.
        encoding=Encoding(bits=8 * pixels.dtype.itemsize, premultiplied="A" in names),
    )


def read_size(source: Source) -> Size:
    """Return the size of the data window."""
    height, width, names = _check(_open(source, header_only=True))
    return Size(height, width, colour="R" in names)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an OpenEXR file, with header and further channels of the one that it was."""
    import OpenEXR

    pixels = picture.pages[0]
    new = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    header, others = picture.metadata.native or (new, {})
    if xmp := picture.metadata.xmp:
        header = header | {_XMP: xmp.decode(errors="replace")}
    names = next(names for names in _LAYOUTS if len(names) == pixels.shape[2])
    if picture.alpha and not picture.encoding.premultiplied:
        pixels = np.concatenate([pixels[..., :-1] * pixels[..., -1:], pixels[..., -1:]], axis=2)
    image = {name: np.ascontiguousarray(pixels[..., at]) for at, name in enumerate(names)}
    OpenEXR.File(dict(header), image | others).write(file)  # it changes what it is given


FORMAT = Format(
    name="exr",
    title="OpenEXR",
    suffixes=(".exr",),
    media_type="image/x-exr",
    recognise=starts_with(b"\x76\x2f\x31\x01"),
    read=read,
    read_size=read_size,
    write=write,
    package=("OpenEXR", "codecs"),
    dtypes=("float16", "float32"),
    metadata=("xmp",),
    name_own=lambda metadata: ("the attributes and further channels of OpenEXR",),
    lossless=False,  # transparent pixels lose their colours
)
