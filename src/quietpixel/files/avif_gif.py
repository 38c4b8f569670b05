"""AVIF and GIF: formats whose files libvips reads and writes alone, metadata included."""

from dataclasses import replace
from typing import BinaryIO

import numpy as np

from quietpixel.files import tags, vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import DEFAULT_QUALITY, Format, ReadLimits, Source, starts_with
from quietpixel.files.picture import Encoding, Picture


def recognise_avif(head: bytes) -> bool:
    """Say whether a file is AVIF, which may be named among the compatible brands only."""
    return head[4:8] == b"ftyp" and any(
        brand in head[8 : int.from_bytes(head[:4], "big")] for brand in (b"avif", b"avis")
    )


def read_avif(source: Source, limits: ReadLimits) -> Picture:
    """Read an AVIF file."""
    header = Picture((), "avif", encoding=Encoding(lossless=False))
    picture = read_pages("heifload", source, header, limits, numbers=(0,))
    # Decoders rotate the pixels as the container says, so an orientation in EXIF is out of date.
    exif = picture.metadata.exif
    upright = replace(
        picture.metadata, exif=tags.turn_upright(exif) if exif else None, orientation=1
    )
    return replace(picture, metadata=upright)


def write_avif(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an AVIF file."""
    pixels, metadata = picture.pages[0], picture.rgb_metadata
    image = vips.from_array(pixels)
    if metadata.icc:
        image = vips.with_blob(image, "icc-profile-data", metadata.icc)
    if metadata.exif:  # libvips may complete it, for example by the size of the image
        image = vips.with_blob(image, "exif-data", b"Exif\0\0" + metadata.exif)
    if metadata.xmp:
        image = vips.with_blob(image, "xmp-data", metadata.xmp)
    deep = pixels.dtype == np.uint16
    # AVIF has 12 bits at most, so 16-bit pixels cannot be stored without loss.
    bits = picture.encoding.bits if picture.encoding.bits in (10, 12) else 12
    content = vips.save_bytes(
        image,
        "heifsave",
        compression="av1",
        Q=quality or DEFAULT_QUALITY,
        lossless=quality is None and picture.encoding.lossless and not deep,
        bitdepth=bits if deep else 8,
        keep="all",
    )
    file.write(content)


def read_gif(source: Source, limits: ReadLimits) -> Picture:
    """Read the first frame of a GIF file."""
    # GIF takes memory for its canvas as soon as it is opened, so the size is checked before.
    head = vips.read_bytes(source, 6, 4)
    limits.check(int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little"))
    picture = read_pages("gifload", source, Picture((), "gif"), limits)
    # Many GIFs are interlaced without need; a JPEG or PNG made from one would be larger and slower.
    picture = replace(picture, encoding=replace(picture.encoding, progressive=False))
    page = picture.pages[0]
    if picture.alpha and bool((page[:, :, -1] == 255).all()):  # added by libvips' decoder
        return replace(picture, pages=(page[:, :, :-1],), alpha=False)
    return picture


def write_gif(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a GIF file."""
    # Dithering would put noise into flat areas again.
    image = vips.from_array(vips.as_rgb(picture.pages[0]))
    file.write(vips.save_bytes(image, "gifsave", dither=0.0, effort=7, bitdepth=8))


AVIF = Format(
    name="avif",
    title="AVIF",
    suffixes=(".avif",),
    media_type="image/avif",
    recognise=recognise_avif,
    read=read_avif,
    read_size=size_reader("heifload", 0),
    write=write_avif,
    dtypes=("uint8", "uint16"),
    max_side=16384,  # of libvips' writer; it fails only after encoding
    metadata=("icc", "exif", "xmp"),
    lossless=False,
    quality=True,
)
GIF = Format(
    name="gif",
    title="GIF",
    suffixes=(".gif",),
    media_type="image/gif",
    recognise=starts_with(b"GIF87a", b"GIF89a"),
    read=read_gif,
    read_size=size_reader("gifload"),
    write=write_gif,
    max_side=65535,
    lossless=False,
)
