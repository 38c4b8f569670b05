"""The tags of a TIFF file, or of an EXIF block, which has the same structure."""

import contextlib
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import prod
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.imaging.axes import compare_axes

ORIENTATION = 274
BRANCHES = (34665, 34853, 40965)
"""Tags that point to directories of EXIF, GPS and interoperability tags."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class Tag:
    """A value as stored, but always little-endian."""

    kind: int
    count: int
    data: bytes

    def numbers(self) -> tuple[float, ...]:
        """Return the values as numbers; fractions for rationals, nothing for other kinds."""
        letter = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}.get(self.kind)
        if letter:
            return struct.unpack(f"<{self.count}{letter}", self.data)
        if self.kind == 5:
            pairs = struct.iter_unpack("<II", self.data)
            return tuple(over / under if under else 0.0 for over, under in pairs)
        return ()


@dataclass(frozen=True)
class Directory:
    """The tags of one page, with the directories of EXIF and GPS tags below it.

    `places` holds the offset of each value, or of the pointer to it.
    """

    tags: dict[int, Tag]
    branches: dict[int, "Directory"] = field(default_factory=dict)
    number: int = 0
    big: bool = False
    places: dict[int, int] = field(default_factory=dict)
    repeated: list[tuple[int, Tag]] = field(default_factory=list)

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Return the numbers of a tag; none where it is missing."""
        return self.tags[tag].numbers() if tag in self.tags else ()

    def first(self, tag: int, default: float) -> float:
        """Return the first number of a tag."""
        return next(iter(self.numbers(tag)), default)

    def parts(self) -> Iterator[tuple[float, float]]:
        """Yield place and length of each strip or tile; length 0 where the file states none."""
        for places, lengths in ((273, 279), (324, 325)):
            found = self.numbers(places)
            yield from zip_longest(found, self.numbers(lengths)[: len(found)], fillvalue=0)

    def block(self, tag: int) -> bytes | None:
        """Return the bytes of a tag."""
        return self.tags[tag].data if tag in self.tags else None


class Reader:
    """Reads directories, and never more bytes than twice what the file has."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        # Directories that overlap could make a small file take long.
        self.left = 2 * self.size + 4096
        head = self.read(0, 16)
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = head[2:4] in (b"+\0", b"\0+")
        self.offset, self.width = ("Q", 8) if self.big else ("I", 4)
        self.first = self.unpack(self.offset, head[self.width :][: self.width])

    def read(self, at: int, length: int) -> bytes:
        """Return the bytes at an offset."""
        self.left -= length
        if self.left < 0 or at > self.size:
            raise _broken()
        self.file.seek(at)
        return self.file.read(length)

    def unpack(self, letter: str, data: bytes) -> int:
        """Return the number that bytes stand for, in the byte order of the file."""
        try:
            return int(struct.unpack(self.order + letter, data)[0])
        except struct.error:
            raise _broken() from None

    def directory(self, at: int, depth: int = 0) -> tuple[Directory, int]:
        """Return the directory at an offset, and the offset of the next one."""
        head, entry = (8, 20) if self.big else (2, 12)
        count = self.unpack("Q" if self.big else "H", self.read(at, head))
        if count > 65_535:
            raise _broken()
        body = self.read(at + head, count * entry + self.width)
        if len(body) < count * entry:
            raise _broken()
        found = Directory({}, big=self.big)
        for start in range(0, count * entry, entry):
            stored = body[start : start + entry]
            key, tag = self.unpack("H", stored[:2]), self.tag(stored)
            if tag is not None and key in found.tags:
                found.repeated.append((key, tag))
            elif tag is not None:
                found.tags[key] = tag
                found.places[key] = at + head + start + 4 + self.width
        for key in BRANCHES:
            for branch in found.numbers(key)[:1] if depth <= 2 else ():
                with contextlib.suppress(FileError):  # damaged ones are skipped
                    found.branches[key] = self.directory(int(branch), depth + 1)[0]
        last = body[count * entry :]
        return found, self.unpack(self.offset, last) if len(last) == self.width else 0

    def tag(self, entry: bytes) -> Tag | None:
        """Return one value; None if it is of an unknown kind or points out of the file."""
        kind = self.unpack("H", entry[2:4])
        count = self.unpack(self.offset, entry[4:][: self.width])
        data = entry[4 + self.width :]
        length = _SIZES.get(kind, 0) * count
        if length == 0 or length > self.size:
            return None
        if length > len(data):
            data = self.read(self.unpack(self.offset, data), length)
        if len(data) < length:
            return None
        data = data[:length]
        if self.order == ">":
            word = 4 if kind in (5, 10) else _SIZES[kind]  # rationals are pairs of words
            data = np.frombuffer(data, f">u{word}").astype(f"<u{word}").tobytes()
        return Tag(kind, count, data)


def _broken() -> FileError:
    return FileError("its directory of tags is damaged; repair the file, or get a whole copy.")


def read_directories(file: BinaryIO) -> tuple[Directory, ...]:
    """Return the directory of every page, without smaller copies of pages and masks.

    Raises
    ------
    FileError
        If there is none, they form a loop, or they point out of the file.
    """
    pages = tuple(walk(Reader(file)))
    # Tag 254: reduced copies and masks; tag 255: its predecessor for reduced copies.
    whole = tuple(
        page for page in pages if not int(page.first(254, 0)) & 5 and page.first(255, 1) != 2
    )
    if not pages:
        raise FileError("it is a TIFF without a single page; get a whole copy of it.")
    return whole or pages


def walk(reader: Reader) -> Iterator[Directory]:
    """Yield every directory of the chain, in order."""
    at, seen = reader.first, set[int]()
    while at:
        if at in seen or len(seen) >= _MOST_PAGES:
            raise FileError("its directories of tags form a loop; the file is damaged.")
        seen.add(at)
        directory, following = reader.directory(at)
        yield replace(directory, number=len(seen) - 1)
        at = following


def turn_upright(exif: bytes) -> bytes:
    """Return an EXIF block that states orientation 1, for pixels that were rotated."""
    at = from_exif(exif).places.get(ORIENTATION)
    if at is None:
        return exif
    return exif[:at] + struct.pack("<H" if exif[:2] == b"II" else ">H", 1) + exif[at + 2 :]


def from_exif(exif: bytes | None) -> Directory:
    """Return the tags of an EXIF block; none if it is damaged."""
    try:
        reader = Reader(io.BytesIO(exif or b""))
        return reader.directory(reader.first)[0]
    except FileError:
        return Directory({})


def page_channels(
    description: bytes, count: int, axes: str | None = None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the number of the channel of each page, none where there is one only, and notes.

    Parameters
    ----------
    description
        The tag ImageDescription of the first page: OME-XML, or the lines that ImageJ writes.
    count
        Number of pages.
    axes
        A letter for each dimension, from the user; the file still says how long they are where
        there are several beside y, x and the samples of a pixel. None takes what the file says.

    Raises
    ------
    ImageError
        If `axes` has channels and several other dimensions, and the file names no sizes.

    Examples
    --------
    >>> page_channels(b"ImageJ=1.53\\nimages=4\\nchannels=2\\nslices=2\\n", 4)
    ((0, 1, 0, 1), ())
    >>> page_channels(b'<OME><Pixels DimensionOrder="XYZTC" SizeC="2" SizeZ="3" SizeT="1"/>', 6)
    ((0, 0, 0, 1, 1, 1), ())
    >>> page_channels(b"", 3, "cyx")
    ((0, 1, 2), ())
    """
    sizes = _ome_sizes(description) or _imagej_sizes(description)  # the fastest first
    found = _number_channels(sizes, count, axes)
    stated = "".join(letter for letter in reversed(sizes) if sizes[letter] > 1)
    if axes is None or not stated or prod(sizes.values()) != count:
        return found, ()
    # Without samples of a pixel, and without dimensions of length 1, which the order may omit.
    outer = "".join(each for each in _outer_letters(axes) if sizes.get(each, 2) > 1)
    used = found != _number_channels(sizes, count, None)
    return found, compare_axes(f"{outer}yx", f"{stated}yx", used=used)


def _outer_letters(axes: str) -> list[str]:
    """Return the letters of the dimensions whose pages lie one after the other."""
    inner = {"y", "x", "s"} | ({"c"} if axes.lower().endswith("c") else set())
    return [letter for letter in axes.lower() if letter not in inner]


def _number_channels(sizes: dict[str, int], count: int, axes: str | None) -> tuple[int, ...]:
    outer = _outer_letters(axes or "")
    if outer == ["c"]:
        sizes = {"c": count}
    elif axes and "c" not in outer:
        return ()
    elif "c" in outer and prod(sizes.values()) != count:
        raise ImageError(
            f"its {count} pages cannot be split into the axes '{axes}' because it does not say how "
            "many channels it has; save it as OME-TIFF, or each channel as a file of its own."
        )
    if sizes.get("c", 1) == 1 or prod(sizes.values()) != count:
        return ()
    before = prod(list(sizes.values())[: list(sizes).index("c")])
    return tuple(page // before % sizes["c"] for page in range(count))


def move_samples(page: Directory) -> Directory:
    """Return a directory with samples last in the shape that tifffile describes, if it does."""
    text = page.block(270) or b""
    for shape, moved in (
        (rb'^({"shape": \[.*?)(\d+), (\d+), (\d+)\]', rb"\1\3, \4, \2]"),
        (rb'^({"shape": .*"axes": "\w*?)(\w)YX"', rb'\1YX\2"'),
    ):
        text = re.sub(shape, moved, text)
    return replace(page, tags=page.tags | {270: Tag(2, len(text), text)}) if text else page


def _ome_sizes(description: bytes) -> dict[str, int]:
    pixels = re.search(rb'<(?:\w+:)?Pixels\b[^>]*DimensionOrder="XY([CZT]{3})"[^>]*>', description)
    if pixels is None:
        return {}
    sizes = {key.lower(): _number(rf"\bSize{key}", pixels[0]) for key in pixels[1].decode()}
    # Samples of a pixel, such as RGB, are counted as channels there, but lie in one page.
    sizes["c"] = max(sizes["c"] // _number("SamplesPerPixel", description), 1)
    return sizes


def _imagej_sizes(description: bytes) -> dict[str, int]:
    if not description.startswith(b"ImageJ="):
        return {}
    words = {"c": "^channels", "z": "^slices", "t": "^frames"}
    return {key: _number(word, description) for key, word in words.items()}


def _number(word: str, text: bytes) -> int:
    """Return the number above 0 that a text gives for a word; 1 where it gives none."""
    found = re.search(rf'{word}="?(\d{{1,9}})'.encode(), text, re.MULTILINE)
    return max(int(found[1]), 1) if found else 1
