"""GIF: frames through libvips, comments byte for byte."""

from dataclasses import replace
from typing import BinaryIO

from quietpixel.files import vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.frames import drop_opaque_alpha
from quietpixel.files.image_format import Format, ReadLimits, Source, starts_with
from quietpixel.files.picture import Block, Metadata, Picture

_TIMING = (b"NETSCAPE", b"ANIMEXTS")
"""Applications whose extensions hold the number of loops, which libvips writes."""


def _comments(source: Source) -> tuple[Block, ...]:
    """Return comments, XMP and the like of a GIF, which libvips does not know, with markers."""
    content = vips.read_bytes(source, 0, -1)
    comments = []
    at = _after_colours(content, 13, content[10:11])
    while content[at : at + 1] in (b"!", b","):
        start, label = at, content[at : at + 2]
        at += 2
        if label[:1] == b",":
            at = _after_colours(content, start + 10, content[start + 9 : start + 10]) + 1
        while (size := int.from_bytes(content[at : at + 1])) > 0:
            at += 1 + size
        at += 1
        other = label == b"!\xff" and content[start + 3 : start + 11] not in _TIMING
        if label == b"!\xfe" or other:
            comments.append((label[1:].hex(), content[start:at]))
    return tuple(comments)


def _after_colours(content: bytes, at: int, flags: bytes) -> int:
    """Return the offset behind a table of colours, whose presence and size the flags say."""
    packed = int.from_bytes(flags)
    return at + (3 << (packed & 7) + 1 if packed & 0x80 else 0)


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read all frames of a GIF file, each as it is shown."""
    # GIF takes memory for its canvas as soon as it is opened, so the size is checked before.
    head = vips.read_bytes(source, 6, 4)
    limits.check(int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little"))
    header = Picture((), "gif", metadata=Metadata(blocks=_comments(source)))
    picture = read_pages("gifload", source, header, limits, frames=True)
    # Many GIFs are interlaced without need; a JPEG or PNG made from one would be larger and slower.
    picture = replace(picture, encoding=replace(picture.encoding, progressive=False))
    # libvips' decoder adds alpha. Only stored frames can be written to.
    stored = picture.pages[0].flags.writeable
    return picture.with_pages(drop_opaque_alpha(picture.pages, stored=stored))


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
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


FORMAT = Format(
    name="gif",
    title="GIF",
    suffixes=(".gif",),
    media_type="image/gif",
    recognise=starts_with(b"GIF87a", b"GIF89a"),
    read=read,
    read_size=size_reader("gifload"),
    write=write,
    pages=True,
    max_side=65535,
    lossless=False,
)
