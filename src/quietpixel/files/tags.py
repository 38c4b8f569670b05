"""Reading the tags of a TIFF file, or of an EXIF block, which has the same structure."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from quietpixel.errors import FileError

ORIENTATION, RESOLUTION_UNIT, SAMPLE_FORMAT, EXTRA_SAMPLES = 274, 296, 339, 338
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
BRANCHES = (EXIF, GPS, INTEROPERABILITY)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_WORDS = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8, 17: 8, 18: 8}
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class Tag:
    """A value as stored, but always little-endian."""

    kind: int
    count: int
    data: bytes

    def numbers(self) -> tuple[float, ...]:
        """Return the values as numbers; fractions for rationals, nothing for other kinds."""
        letter = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q"}.get(self.kind)
        if letter:
            return struct.unpack(f"<{self.count}{letter}", self.data)
        if self.kind == 5:
            pairs = struct.iter_unpack("<II", self.data)
            return tuple(over / under if under else 0.0 for over, under in pairs)
        return ()


@dataclass(frozen=True)
class Directory:
    """The tags of one page, and the directories of EXIF and GPS tags below it."""

    tags: dict[int, Tag]
    branches: dict[int, "Directory"] = field(default_factory=dict)
    number: int = 0
    big: bool = False
    repeated: tuple[tuple[int, Tag], ...] = ()

    def first(self, tag: int, default: float) -> float:
        """Return the first number of a tag."""
        values = self.tags[tag].numbers() if tag in self.tags else ()
        return values[0] if values else default

    def block(self, tag: int) -> bytes | None:
        """Return the bytes of a tag."""
        return self.tags[tag].data if tag in self.tags else None

    @property
    def is_reduced(self) -> bool:
        """Whether the page is a smaller copy of another one, or a mask."""
        return bool(int(self.first(254, 0)) & 5) or self.first(255, 1) == 2


class Reader:
    """Reads directories, and never more bytes than twice what the file has."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self.left = 2 * self.size + 4096
        head = self.read(0, 16)
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = head[2:4] in (b"+\0", b"\0+")
        at, letter = (8, "Q") if self.big else (4, "I")
        length = struct.calcsize(letter)
        self.first = self.unpack(letter, head[at : at + length])

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

    def directory(self, at: int) -> tuple[list[tuple[int, Tag]], int]:
        """Return the tags of the directory at an offset, and the offset of the next one."""
        head, entry, tail = (8, 20, 8) if self.big else (2, 12, 4)
        count = self.unpack("Q" if self.big else "H", self.read(at, head))
        if count > 65_535:
            raise _broken()
        body = self.read(at + head, count * entry + tail)
        if len(body) < count * entry:
            raise _broken()
        entries = (body[start : start + entry] for start in range(0, count * entry, entry))
        found = ((self.unpack("H", each[:2]), self.tag(each)) for each in entries)
        last = body[count * entry :]
        following = self.unpack("Q" if self.big else "I", last) if len(last) == tail else 0
        return [(key, tag) for key, tag in found if tag is not None], following

    def tag(self, entry: bytes) -> Tag | None:
        """Return one value; None if it is of an unknown kind or points out of the file."""
        kind = self.unpack("H", entry[2:4])
        count = self.unpack("Q" if self.big else "I", entry[4 : 12 if self.big else 8])
        place = entry[12:] if self.big else entry[8:]
        length = _SIZES.get(kind, 0) * count
        if length == 0 or length > self.size:
            return None
        if length <= len(place):
            data = place[:length]
        else:
            data = self.read(self.unpack("Q" if self.big else "I", place), length)
        if len(data) < length:
            return None
        return Tag(kind, count, _little(data, kind) if self.order == ">" else data)


def _broken() -> FileError:
    return FileError("its directory of tags is damaged; repair the file, or get a whole copy.")


def _little(data: bytes, kind: int) -> bytes:
    """Turn the bytes of every word around."""
    word = _WORDS.get(kind, 1)
    return b"".join(data[at : at + word][::-1] for at in range(0, len(data), word))


def read_directories(file: BinaryIO) -> tuple[Directory, ...]:
    """Return the directory of every page, without smaller copies of pages.

    Raises
    ------
    FileError
        If there is none, they form a loop, or they point out of the file.
    """
    reader = Reader(file)
    pages = tuple(walk(reader))
    whole = tuple(page for page in pages if not page.is_reduced) or pages
    if not whole:
        raise FileError("it is a TIFF without a single page; there is no picture in it.")
    return whole


def walk(reader: Reader) -> Iterator[Directory]:
    """Yield every directory of the chain, in order."""
    at, seen = reader.first, set[int]()
    while at:
        if at in seen or len(seen) >= _MOST_PAGES:
            raise FileError("its directories of tags form a loop; the file is damaged.")
        seen.add(at)
        tags, following = reader.directory(at)
        yield replace(_build(reader, tags, 0), number=len(seen) - 1, big=reader.big)
        at = following


def _build(reader: Reader, found: list[tuple[int, Tag]], depth: int) -> Directory:
    """Sort tags into first ones and repeated ones, and read the branches below."""
    tags: dict[int, Tag] = {}
    repeated = []
    for key, tag in found:
        if key in tags:
            repeated.append((key, tag))
        tags.setdefault(key, tag)
    return Directory(tags, _branches(reader, tags, depth), repeated=tuple(repeated))


def _branches(reader: Reader, tags: dict[int, Tag], depth: int) -> dict[int, Directory]:
    """Read EXIF, GPS and interoperability tags; damaged ones are left out."""
    found = {}
    for key in BRANCHES:
        if key not in tags or depth > 2:
            continue
        try:
            below, _ = reader.directory(int(tags[key].numbers()[0]))
            found[key] = _build(reader, below, depth + 1)
        except (FileError, IndexError):
            continue
    return found


def exif_orientation(exif: bytes | None) -> int:
    """Return the orientation, 1 to 8, that an EXIF block tells; 1 if it tells none.

    Examples
    --------
    >>> exif_orientation(None)
    1
    """
    if not exif:
        return 1
    try:
        reader = Reader(io.BytesIO(exif))
        tags, _ = reader.directory(reader.first)
    except FileError:
        return 1
    return orientation_of(Directory(dict(reversed(tags))))


def orientation_of(directory: Directory) -> int:
    """Return the orientation, 1 to 8, that a directory tells."""
    value = int(directory.first(ORIENTATION, 1))
    return value if 1 <= value <= 8 else 1


def turn_upright(exif: bytes) -> bytes:
    """Return an EXIF block that tells orientation 1, for pixels that were turned."""
    try:
        reader = Reader(io.BytesIO(exif))
        count = reader.unpack("H", exif[reader.first : reader.first + 2])
    except FileError:
        return exif
    changed = bytearray(exif)
    for at in range(reader.first + 2, reader.first + 2 + 12 * count, 12):
        if exif[at : at + 2] == struct.pack(reader.order + "H", ORIENTATION):
            changed[at + 8 : at + 10] = struct.pack(reader.order + "H", 1)
    return bytes(changed)


def from_exif(exif: bytes | None) -> Directory:
    """Return the tags of an EXIF block; none if it is damaged."""
    try:
        reader = Reader(io.BytesIO(exif or b""))
        tags, _ = reader.directory(reader.first)
        return _build(reader, tags, 0)
    except FileError:
        return Directory({})
