"""Radiance HDR: linear floats with one exponent for all three colours, through imagecodecs."""

import re
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import vips
from quietpixel.files.decoding import decode_whole
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, damaged, starts_with
from quietpixel.files.picture import Encoding, Metadata, Picture, first_block

# Headers may hold the commands that made the file, so they have no fixed size.
_HEADER = 1 << 16
_SIZE = re.compile(rb"\n\n-Y (\d{1,9}) \+X (\d{1,9})\n")


def _open(source: Source) -> tuple[bytes, int, int, int]:
    """Return the lines of the header, height, width, and where the pixels begin."""
    head = vips.read_bytes(source, 0, _HEADER)
    found = _SIZE.search(head)
    if found is None:
        # Valid, but turned or mirrored: not damage, and another advice.
        if re.search(rb"\n\n[-+][XY] \d+ [-+][XY] \d+\n", head):
            raise ImageError("its rows do not run from top left; convert it with another program.")
        raise damaged()
    lines = head[: found.start()]
    if b"rle_xyze" in lines:
        raise ImageError("its colours are CIE XYZ; convert it to RGB with another program.")
    height, width = int(found[1]), int(found[2])
    if not height or not width:
        raise FileError("it has no pixels; get a whole copy of it.")
    return lines, height, width, found.end()


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a Radiance file."""
    lines, height, width, _ = _open(source)
    limits.check(width, height)
    # Three floats of four bytes for each pixel.
    limits.reserve(12 * width * height)
    pixels = decode_whole("rgbe", source, header=True)
    metadata, encoding = Metadata(blocks=(("header", lines),)), Encoding(bits=8, lossless=False)
    return Picture.from_pixels(pixels, metadata=metadata, encoding=encoding)


def read_size(source: Source) -> Size:
    """Return the size that the header declares."""
    _, height, width, _ = _open(source)
    return Size(height, width, colour=True)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a Radiance file, with the header that it came with."""
    import imagecodecs

    pixels = np.maximum(vips.as_rgb(picture.pages[0]), 0)  # it has no sign
    content = imagecodecs.rgbe_encode(np.ascontiguousarray(pixels, np.float32), header=True)
    lines = first_block(picture.metadata.blocks, "header")
    if lines is not None:
        # The encoder writes a header of its own, without exposure and view.
        content = lines + content[content.index(b"\n\n") :]
    file.write(content)


FORMAT = Format(
    name="hdr",
    title="Radiance HDR",
    suffixes=(".hdr", ".pic"),
    media_type="image/vnd.radiance",
    recognise=starts_with(b"#?RADIANCE", b"#?RGBE"),
    read=read,
    read_size=read_size,
    write=write,
    package=("imagecodecs", "codecs"),
    dtypes=("float32",),
    name_own=lambda metadata: ("the header of the Radiance file",),
    alpha=False,
    lossless=False,
)
