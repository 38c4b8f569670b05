"""AVIF and GIF: formats whose files libvips reads and writes alone, metadata included."""

from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from quietpixel.files import tags, vips
from quietpixel.files.decoding import open_page, read_pages, size_reader
from quietpixel.files.image_format import (
    DEFAULT_QUALITY,
    Format,
    ReadLimits,
    Source,
    starts_with,
)
from quietpixel.files.picture import Encoding, Metadata, Picture


def _read_header(loader: str, source: Source, name: str, number: int | None = None) -> Picture:
    with vips.decoding_errors():
        image = open_page(loader, source, number)

    def field(key: str, default: Any = None) -> Any:
        return image.get(key) if key in image.get_fields() else default

    # Decoders rotate AVIF pixels as its container says, so an orientation in EXIF is out of date.
    exif = bytes(field("exif-data", b"")).removeprefix(b"Exif\0\0")
    icc, xmp = bytes(field("icc-profile-data", b"")), bytes(field("xmp-data", b""))
    frames = field("n-pages", 1)
    note = f"{name.upper()}: only the first of {frames} frames was read."
    return Picture(
        pages=(),
        format=name,
        metadata=Metadata(
            icc=icc or None, exif=tags.turn_upright(exif) if exif else None, xmp=xmp or None
        ),
        encoding=Encoding(bits=field("bits-per-sample", 8), lossless=False),
        notes=(note,) if frames > 1 else (),
    )


def _recognise_avif(head: bytes) -> bool:
    """AVIF may be named among the compatible brands only."""
    return head[4:8] == b"ftyp" and any(
        brand in head[8 : int.from_bytes(head[:4], "big")] for brand in (b"avif", b"avis")
    )


def _read_avif(source: Source, limits: ReadLimits) -> Picture:
    header = _read_header("heifload", source, "avif", 0)
    return read_pages("heifload", source, header, limits, numbers=(0,))


def _write_avif(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    pixels, metadata = picture.pages[0], picture.rgb_metadata
    image = vips.from_array(pixels)
    if metadata.icc:
        image = vips.with_blob(image, "icc-profile-data", metadata.icc)
    if metadata.exif:  # libvips may complete it, for example by the size of the image
        image = vips.with_blob(image, "exif-data", b"Exif\0\0" + metadata.exif)
    if metadata.xmp:
        image = vips.with_blob(image, "xmp-data", metadata.xmp)
    deep = pixels.dtype == np.uint16
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


def _read_gif(source: Source, limits: ReadLimits) -> Picture:
    # GIF takes memory for its canvas as soon as it is opened, so the size is checked before.
    head = vips.read_bytes(source, 6, 4)
    limits.check(int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little"))
    header = _read_header("gifload", source, "gif")
    header = replace(header, encoding=replace(header.encoding, palette=True, lossless=True))
    picture = read_pages("gifload", source, header, limits)
    page = picture.pages[0]
    if picture.alpha and bool((page[:, :, -1] == 255).all()):  # added by libvips' decoder
        return replace(picture, pages=(page[:, :, :-1],), alpha=False)
    return picture


def _write_gif(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    image = vips.from_array(vips.as_rgb(picture.pages[0]))
    file.write(vips.save_bytes(image, "gifsave", dither=0.0, effort=7, bitdepth=8))


AVIF = Format(
    name="avif",
    title="AVIF",
    suffixes=(".avif",),
    media_type="image/avif",
    recognise=_recognise_avif,
    read=_read_avif,
    read_size=size_reader("heifload", 0),
    write=_write_avif,
    dtypes=("uint8", "uint16"),
    max_side=65535,
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
    read=_read_gif,
    read_size=size_reader("gifload"),
    write=_write_gif,
    max_side=65535,
    lossless=False,
)
