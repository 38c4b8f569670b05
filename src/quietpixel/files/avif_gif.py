"""AVIF and GIF: formats whose files libvips reads and writes alone, metadata included."""

from dataclasses import replace
from typing import BinaryIO

import numpy as np

from quietpixel.files import tags, vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import DEFAULT_QUALITY, Format, ReadLimits, Source, starts_with
from quietpixel.files.picture import Block, Encoding, Metadata, Picture


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


def find_lost_avif(source: Source) -> tuple[str, ...]:
    """Name further images and unusual colours of an AVIF file."""
    with vips.decoding_errors():
        image = vips.open_page("heifload", source, 0)
    count = image.get_n_pages() - 1
    found = [f"{count} further images"] if count else []
    # Colour tags of the container (ISO 23091-2: primaries, transfer curve), which libvips neither
    # gives nor takes; 2 is unspecified, and 1 with 13 is sRGB.
    head = vips.read_bytes(source, 0, 4096)
    at = head.find(b"colrnclx") + 8
    primaries, curve = (int.from_bytes(head[at + each : at + each + 2], "big") for each in (0, 2))
    if at >= 8 and (primaries not in (1, 2) or curve not in (1, 2, 6, 13)):
        found.append(f"the colour tags (nclx primaries {primaries}, transfer curve {curve})")
    return tuple(found)


def _comments(source: Source) -> tuple[Block, ...]:
    """Return the comments of a GIF, which libvips does not know, with their markers."""
    content = vips.read_bytes(source, 0, -1)
    comments = []
    at = _after_colours(content, 13, content[10:11])
    while content[at : at + 1] in (b"!", b","):
        start, label = at, content[at + 1 : at + 2]
        at += 2
        if content[start : start + 1] == b",":
            at = _after_colours(content, start + 10, content[start + 9 : start + 10]) + 1
        while (size := int.from_bytes(content[at : at + 1])) > 0:
            at += 1 + size
        at += 1
        if label == b"\xfe" and content[start : start + 1] == b"!":
            comments.append(("fe", content[start:at]))
    return tuple(comments)


def _after_colours(content: bytes, at: int, flags: bytes) -> int:
    """Return the offset behind a table of colours, whose presence and size the flags say."""
    packed = int.from_bytes(flags)
    return at + (3 << (packed & 7) + 1 if packed & 0x80 else 0)


def read_gif(source: Source, limits: ReadLimits) -> Picture:
    """Read all frames of a GIF file, each as it is shown."""
    # GIF takes memory for its canvas as soon as it is opened, so the size is checked before.
    head = vips.read_bytes(source, 6, 4)
    limits.check(int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little"))
    header = Picture((), "gif", metadata=Metadata(blocks=_comments(source)))
    picture = read_pages("gifload", source, header, limits, frames=True)
    # Many GIFs are interlaced without need; a JPEG or PNG made from one would be larger and slower.
    picture = replace(picture, encoding=replace(picture.encoding, progressive=False))
    if picture.alpha and all((page[:, :, -1] == 255).all() for page in picture.pages):
        # libvips' decoder added it.
        return replace(picture, pages=tuple(page[:, :, :-1] for page in picture.pages), alpha=False)
    return picture


def write_gif(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a GIF file."""
    image = vips.from_pages([vips.as_rgb(page) for page in picture.pages])
    content = vips.save_bytes(
        vips.with_timing(image, picture.encoding.delays, picture.encoding.loop),
        "gifsave",
        dither=0.0,  # it would put noise into flat areas again
        effort=7,
        bitdepth=8,
        page_height=picture.size[1],
        keep_duplicate_frames=True,
    )
    comments = picture.metadata.blocks if picture.format == "gif" else ()
    at = _after_colours(content, 13, content[10:11])
    file.write(content[:at] + b"".join(data for _, data in comments) + content[at:])


AVIF = Format(
    name="avif",
    title="AVIF",
    suffixes=(".avif",),
    media_type="image/avif",
    recognise=recognise_avif,
    read=read_avif,
    read_size=size_reader("heifload", 0),
    write=write_avif,
    find_lost=find_lost_avif,
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
    pages=True,
    max_side=65535,
    lossless=False,
)
