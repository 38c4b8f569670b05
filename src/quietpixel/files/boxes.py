"""Boxes of the container that JPEG XL and JPEG 2000 share with MP4 (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from quietpixel.errors import FileError


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
            raise FileError("the file is damaged or cut short; get a whole copy of it.")
        yield name, at + skip, length - skip
        at += length


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
