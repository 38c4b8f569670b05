"""GIF: frames through libvips, comments byte for byte."""

from dataclasses import replace
from functools import partial
from typing import BinaryIO

from quietpixel.files import vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.frames import drop_opaque_alpha
from quietpixel.files.image_format import (
    Format,
    ReadLimits,
    Source,
    damaged,
    starts_with,
)
from quietpixel.files.picture import Block, Metadata, Picture, drop_padding

UNENDED = "The file lacks the marker of its end, and its image is complete."
_TIMING = (b"NETSCAPE", b"ANIMEXTS")
"""Applications whose extensions hold the number of loops, which libvips writes."""


def _read_comments(source: Source) -> tuple[tuple[Block, ...], bytes, tuple[str, ...]]:
    """Return comments, XMP and the like, what follows the GIF, and notes; libvips knows none.

    Raises
    ------
    FileError
        If the file is cut, of which libvips would return the frames until there.
    """
    content = vips.read_bytes(source, 0, -1)
    comments = []
    at = _after_colours(13, content[10:11])
    while content[at : at + 1] in (b"!", b","):
        start, label = at, content[at : at + 2]
        at += 2
        if label[:1] == b",":
            at = _after_colours(start + 10, content[start + 9 : start + 10]) + 1
        while (size := int.from_bytes(content[at : at + 1])) > 0:
            at += 1 + size
        at += 1
        other = label == b"!\xff" and content[start + 3 : start + 11] not in _TIMING
        if label == b"!\xfe" or other:
            comments.append((label[1:].hex(), content[start:at]))
    if at > len(content):
        raise damaged("its last block is incomplete")
    tail = content[at + 1 :] if content[at : at + 1] == b";" else b""
    notes = (UNENDED,) if at == len(content) else ()
    return tuple(comments), drop_padding(tail, b"\0;"), notes


def _after_colours(at: int, flags: bytes) -> int:
    """Return the offset behind a table of colours, whose presence and size the flags say."""
    packed = int.from_bytes(flags)
    return at + (3 << (packed & 7) + 1 if packed & 0x80 else 0)


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read all frames of a GIF file, each as it is shown."""
    # GIF takes memory for its canvas as soon as it is opened, so the size is checked before.
    head = vips.read_bytes(source, 6, 4)
    limits.check(int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little"))
    comments, tail, notes = _read_comments(source)
    header = Picture((), metadata=Metadata(blocks=comments, tail=tail), notes=notes)
    picture = read_pages("gifload", source, header, limits, frames=True)
    # Many GIFs are interlaced without need; a JPEG or PNG made from one would be larger and slower.
    picture = replace(picture, encoding=replace(picture.encoding, progressive=False))
    # libvips' decoder adds alpha. Only stored frames can be written to.
    stored = picture.pages[0].flags.writeable
    return picture.with_pages(drop_opaque_alpha(picture.pages, stored=stored))


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a GIF file, frame by frame."""
    image = vips.from_pages([vips.as_rgb(page) for page in picture.pages])
    comments = b"".join(data for _, data in picture.metadata.blocks)
    opaque = len(picture.pages) == 1 and picture.pages[0].shape[2] in (1, 3)
    vips.save(
        vips.with_timing(image, picture.encoding.delays, picture.encoding.loop),
        "gifsave",
        file,
        partial(_graft, comments=comments, opaque=opaque),
        dither=0.0,  # it would put noise into flat areas again
        # 7 takes two to three times as long for 0.05 to 0.2 dB; at 4, rare colours are lost.
        effort=5,
        bitdepth=8,
        page_height=picture.size[1],
        keep_duplicate_frames=True,
    )


def _graft(head: bytes, comments: bytes, *, opaque: bool) -> bytes | None:
    """Return the start of a new GIF with `comments` put in; None while `head` is too short."""
    at = _after_colours(13, head[10:11])
    flags = head.find(b"!\xf9\x04", at) + 3
    if len(head) < max(at, 13) or (opaque and not 2 < flags < len(head)):
        return None
    rest = bytearray(head[at:])
    if opaque:
        rest[flags - at] &= ~1  # libvips declares a transparent colour that no pixel has
    return head[:at] + comments + rest


def name_own(metadata: Metadata) -> tuple[str, ...]:
    """Name the extensions that files of other formats do not hold."""
    kinds = {"fe": "the comment", "ff": "the data of applications"}
    return tuple(dict.fromkeys(kinds[name] for name, _ in metadata.blocks))


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
    name_own=name_own,
    tail=True,
    lossless=False,
)
