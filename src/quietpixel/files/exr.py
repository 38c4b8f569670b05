"""OpenEXR: linear floats, with all other channels and attributes of the file kept as they are."""

import io
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, starts_with
from quietpixel.files.picture import Encoding, Metadata, Picture

_LAYOUTS = (("R", "G", "B", "A"), ("R", "G", "B"), ("Y", "A"), ("Y",))
_XMP = "xmp"
"""Attribute for XMP, as Adobe's programs write it."""


def _open(source: Source, *, header_only: bool = False) -> Any:
    """Return the file as OpenEXR opens it; it reads all pixels unless told otherwise."""
    import OpenEXR

    with vips.open_binary(source) as file:
        try:
            exr = OpenEXR.File(file, separate_channels=True, header_only=header_only)
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise _damaged() from error
    if not exr.parts:
        raise _damaged()
    return exr


def _damaged() -> FileError:
    return FileError("the file is damaged or cut short; get a whole copy of it.")


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
            "without A can be denoised, all in full size."
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
    metadata = Metadata(
        xmp=xmp.encode() if isinstance(xmp, str) else None, native=(header, channels)
    )
    picture = Picture.from_pixels(pixels, format="exr")
    premultiplied = picture.alpha  # by the definition of the format
    encoding = Encoding(bits=8 * pixels.dtype.itemsize, premultiplied=premultiplied)
    return replace(picture, metadata=metadata, encoding=encoding)


def read_size(source: Source) -> Size:
    """Return the size of the data window."""
    height, width, names = _check(_open(source, header_only=True))
    return Size(height, width, colour="R" in names)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an OpenEXR file, with header and further channels of the one that it was."""
    import OpenEXR

    pixels = picture.pages[0]
    own = picture.format == "exr" and picture.metadata.native is not None
    header, others = picture.metadata.native if own else ({}, {})
    header = header or {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    if picture.rgb_metadata.xmp:
        header = header | {_XMP: picture.rgb_metadata.xmp.decode(errors="replace")}
    names = next(names for names in _LAYOUTS if len(names) == pixels.shape[2])
    if picture.alpha and not picture.encoding.premultiplied:
        pixels = np.concatenate([pixels[..., :-1] * pixels[..., -1:], pixels[..., -1:]], axis=2)
    image = {name: np.ascontiguousarray(pixels[..., at]) for at, name in enumerate(names)}
    stream = io.BytesIO()  # it seeks, which not every target can
    OpenEXR.File(dict(header), image | others).write(stream)  # it changes what it is given
    file.write(stream.getbuffer())


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
    lossless=False,  # transparent pixels lose their colours
)
