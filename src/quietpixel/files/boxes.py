"""Boxes of the container that JPEG XL, JPEG 2000 and HEIF share with MP4 (ISO/IEC 14496-12)."""

import contextlib
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.image_format import Source, damaged

_OF_IMAGES = (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip")
_AUXILIARY = re.compile(rb"auxC\0{4}([^\0]*)")
_ALPHA, _DEPTH = (b":alpha", b":auxid:1"), (b":depth", b":auxid:2")  # ends of the names of kinds
_OTHER_ITEM = re.compile(
    rb"infe\x02.{7}(?:mime[^\0]*\0(?!application/rdf\+xml)|(?=uri ))([^\0]*)", re.DOTALL
)


def walk_boxes(
    file: BinaryIO, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and length of the content of each box.

    Raises
    ------
    FileError
        If a box ends behind the file or within its own header.
    """
    size = file.seek(0, 2)
    at, end = start, size if end is None else end
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        length, name = struct.unpack_from(">I4s", head)
        skip = 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:  # up to the end
            length = end - at
        if length < skip or at + length > end:
            raise damaged()
        yield name, at + skip, length - skip
        at += length


def has_full_boxes(source: Source, *names: bytes) -> bool:
    """Say whether a file holds full boxes of these names, each in the one before."""

    def find(names: tuple[bytes, ...], start: int, end: int | None) -> bool:
        # The content of a full box begins with version and flags.
        return not names or any(
            name == names[0] and find(names[1:], at + 4, at + length)
            for name, at, length in walk_boxes(file, start, end)
        )

    with vips.open_binary(source) as file, contextlib.suppress(FileError):  # of what follows
        return find(names, 0, None)
    return False


def has_brand(head: bytes, *names: bytes) -> bool:
    """Say whether a file is of one of these brands, or compatible with one."""
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and any(name in brands for name in names)


def inspect_heif(source: Source) -> tuple[list[str], bytes]:
    """Return what of a HEIF file its decoders do not show, in words, and what follows its images.

    Phones put the video of a motion photo there, and data of their own that need not be boxes.
    """
    lost, end = [], 0
    with vips.open_binary(source) as file:
        with contextlib.suppress(FileError):
            for name, at, length in walk_boxes(file):
                if name in _OF_IMAGES:
                    end = at + length
                if name == b"moov":
                    lost.append("the frames of the animation")
                file.seek(at)
                content = file.read(length) if name in (b"ftyp", b"meta") else b""
                # The brand of files with a gain map (ISO 21496-1).
                if name == b"ftyp" and b"tmap" in content:
                    lost.append("the gain map")
                lost += _name_items(content)
                if b"\x0cclli" in content or b"\x20mdcv" in content:  # behind their lengths
                    lost.append("the light levels of HDR (clli, mdcv)")
        file.seek(end)
        tail = file.read()
    if tail[4:8] in _OF_IMAGES:  # cut, though the first image may be whole
        raise damaged()
    return lost, tail


def _name_items(meta: bytes) -> Iterator[str]:
    """Name what a HEIF file lists besides images, alpha, EXIF and XMP, each kind once."""
    kinds = [kind for kind in _AUXILIARY.findall(meta) if not kind.endswith(_ALPHA)]
    depth = [kind for kind in kinds if kind.endswith(_DEPTH)]
    if depth:
        yield "the depth map"
    if len(kinds) > len(depth):
        yield "auxiliary images such as an HDR gain map"
    for kind in dict.fromkeys(_OTHER_ITEM.findall(meta)):
        yield f"metadata of the kind {kind.decode('ascii', 'replace').strip()!r}"


def make_box(name: bytes, content: bytes) -> bytes:
    """Return a box.

    Examples
    --------
    >>> make_box(b"xml ", b"<a/>")
    b'\\x00\\x00\\x00\\x0cxml <a/>'
    """
    if len(content) + 8 < 1 << 32:
        return struct.pack(">I4s", len(content) + 8, name) + content
    return struct.pack(">I4sQ", 1, name, len(content) + 16) + content
