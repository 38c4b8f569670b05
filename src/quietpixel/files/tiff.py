"""The tags of a TIFF file, or of an EXIF block, which has the same structure.

libvips carries few tags, so those of the source are read here, and grafted onto what it wrote:
a new directory for each page is put at the end of the file, and the header points to the first.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from quietpixel.errors import FileError
from quietpixel.files.picture import Encoding, Metadata

ORIENTATION, RESOLUTION_UNIT, SAMPLE_FORMAT, EXTRA_SAMPLES = 274, 296, 339, 338
_EXIF, _GPS, _INTEROPERABILITY = 34665, 34853, 40965
_BRANCHES = (_EXIF, _GPS, _INTEROPERABILITY)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_WORDS = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8, 17: 8, 18: 8}
_COMPRESSIONS = {1: "none", 5: "lzw", 7: "jpeg", 8: "deflate", 32946: "deflate",
                 32773: "packbits", 50000: "zstd", 50001: "webp"}  # fmt: skip
_CODING = {
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 292, 293, 317, 320,
    321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 339, 340, 341, 347, 512, 513, 514, 515, 517,
    518, 519, 520, 521, 529, 530, 531, 532, *_BRANCHES,
}  # fmt: skip
"""Tags that tell how pixels are coded, which the writer of the pixels alone may set."""
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
    def is_half_float(self) -> bool:
        """Whether the pixels are floats of 16 bits."""
        return self.first(SAMPLE_FORMAT, 1) == 3 and self.first(258, 1) == 16

    @property
    def is_reduced(self) -> bool:
        """Whether the page is a smaller copy of another one, or a mask."""
        return bool(int(self.first(254, 0)) & 5) or self.first(255, 1) == 2


class _Reader:
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
        self.left -= length
        if self.left < 0 or at > self.size:
            raise _broken()
        self.file.seek(at)
        return self.file.read(length)

    def unpack(self, letter: str, data: bytes) -> int:
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
    reader = _Reader(file)
    pages = tuple(_walk(reader))
    whole = tuple(page for page in pages if not page.is_reduced) or pages
    if not whole:
        raise FileError("it is a TIFF without a single page; there is no picture in it.")
    return whole


def _walk(reader: _Reader) -> Iterator[Directory]:
    at, seen = reader.first, set[int]()
    while at:
        if at in seen or len(seen) >= _MOST_PAGES:
            raise FileError("its directories of tags form a loop; the file is damaged.")
        seen.add(at)
        tags, following = reader.directory(at)
        yield replace(_build(reader, tags, 0), number=len(seen) - 1, big=reader.big)
        at = following


def _build(reader: _Reader, found: list[tuple[int, Tag]], depth: int) -> Directory:
    """Sort tags into first ones and repeated ones, and read the branches below."""
    tags: dict[int, Tag] = {}
    repeated = []
    for key, tag in found:
        if key in tags:
            repeated.append((key, tag))
        tags.setdefault(key, tag)
    return Directory(tags, _branches(reader, tags, depth), repeated=tuple(repeated))


def _branches(reader: _Reader, tags: dict[int, Tag], depth: int) -> dict[int, Directory]:
    """Read EXIF, GPS and interoperability tags; damaged ones are left out."""
    found = {}
    for key in _BRANCHES:
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
        reader = _Reader(io.BytesIO(exif))
        tags, _ = reader.directory(reader.first)
    except FileError:
        return 1
    return _orientation(Directory(dict(reversed(tags))))


def _orientation(directory: Directory) -> int:
    value = int(directory.first(ORIENTATION, 1))
    return value if 1 <= value <= 8 else 1


def turn_upright(exif: bytes) -> bytes:
    """Return an EXIF block that tells orientation 1, for pixels that were turned."""
    try:
        reader = _Reader(io.BytesIO(exif))
        count = reader.unpack("H", exif[reader.first : reader.first + 2])
    except FileError:
        return exif
    changed = bytearray(exif)
    for at in range(reader.first + 2, reader.first + 2 + 12 * count, 12):
        if exif[at : at + 2] == struct.pack(reader.order + "H", ORIENTATION):
            changed[at + 8 : at + 10] = struct.pack(reader.order + "H", 1)
    return bytes(changed)


def parse_metadata(directories: tuple[Directory, ...]) -> Metadata:
    """Return what the tags of a TIFF say; those of the first page stand for all."""
    first = directories[0]
    return Metadata(
        icc=first.block(34675),
        exif=build_exif(first),
        xmp=first.block(700),
        iptc=first.block(33723),
        resolution=_resolution(first),
        orientation=_orientation(first),
        directories=directories,
    )


def _resolution(first: Directory) -> tuple[float, float] | None:
    scale = {2: 25.4, 3: 10.0}.get(int(first.first(RESOLUTION_UNIT, 2)))
    across, down = first.first(282, 0), first.first(283, 0)
    return (across / scale, down / scale) if scale and across and down else None


def parse_encoding(directories: tuple[Directory, ...]) -> Encoding:
    """Return how the first page stores its pixels."""
    first = directories[0]
    tile = int(first.first(322, 0)), int(first.first(323, 0))
    return Encoding(
        bits=int(first.first(258, 1)),
        quality=_jpeg_quality(first),
        compression=_COMPRESSIONS.get(int(first.first(259, 1)), "deflate"),
        predictor=int(first.first(317, 1)),
        tile=tile if all(tile) else None,
        bigtiff=first.big,
        palette=first.first(262, 1) == 3,
    )


def _jpeg_quality(first: Directory) -> int | None:
    from quietpixel.files.jpeg import estimate_quality, read_segments

    tables = first.block(347)
    return estimate_quality(read_segments(io.BytesIO(tables))) if tables else None


def build_exif(first: Directory) -> bytes | None:
    """Return the descriptive tags of a page as an EXIF block, for files of other formats."""
    plain = {270, 271, 272, 274, 305, 306, 315, 33432}
    tags = {key: tag for key, tag in first.tags.items() if key in plain}
    if not tags and not first.branches:
        return None
    return b"II*\0\x08\0\0\0" + encode(Directory(tags, first.branches), 8)


def from_exif(exif: bytes | None) -> Directory:
    """Return the tags of an EXIF block; none if it is damaged."""
    try:
        reader = _Reader(io.BytesIO(exif or b""))
        tags, _ = reader.directory(reader.first)
        return _build(reader, tags, 0)
    except FileError:
        return Directory({})


def directory_of(metadata: Metadata) -> Directory:
    """Return tags that say what `metadata` says, for a picture of another format."""
    exif = from_exif(metadata.exif)
    tags = {key: tag for key, tag in exif.tags.items() if key not in (282, 283, 296)}
    for key, data in ((34675, metadata.icc), (700, metadata.xmp)):
        if data:
            tags[key] = Tag(7 if key == 34675 else 1, len(data), data)
    return Directory(tags, exif.branches)


def graft(file: BinaryIO, carried: tuple[Directory, ...], *, half_float: bool = False) -> None:
    """Add tags to the pages of a TIFF file that libvips wrote.

    Parameters
    ----------
    file
        The file, open for reading and writing.
    carried
        The tags for each page; those that tell how pixels are coded are left out.
    half_float
        Whether the 16-bit samples are floats.
    """
    reader = _Reader(file)
    written = tuple(_walk(reader))
    merged = [_merge(new, old) for new, old in zip(written, carried, strict=True)]
    if half_float:
        merged = [_declare_float(page) for page in merged]
    at = _append(file, merged, big=reader.big)
    file.seek(8 if reader.big else 4)
    file.write(struct.pack(reader.order + ("Q" if reader.big else "I"), at))
    file.seek(0, io.SEEK_END)


def _merge(written: Directory, carried: Directory) -> Directory:
    extra = {key: tag for key, tag in carried.tags.items() if key not in _CODING}
    if len(written.tags.get(EXTRA_SAMPLES, Tag(3, 0, b"")).data) != len(
        extra.get(EXTRA_SAMPLES, Tag(3, 0, b"")).data
    ):
        extra.pop(EXTRA_SAMPLES, None)
    if not {282, 283} & set(extra):
        extra.pop(RESOLUTION_UNIT, None)
    coding = {key: tag for key, tag in written.tags.items() if key not in _BRANCHES}
    repeated = tuple(pair for pair in carried.repeated if pair[0] not in _CODING)
    return Directory({**coding, **extra}, carried.branches, repeated=repeated)


def _declare_float(page: Directory) -> Directory:
    samples = int(page.first(277, 1))
    return replace(
        page, tags={**page.tags, SAMPLE_FORMAT: Tag(3, samples, struct.pack("<H", 3) * samples)}
    )


def _append(file: BinaryIO, pages: list[Directory], *, big: bool) -> int:
    """Write the directories at the end of the file, chained; return where the first one is."""
    start = file.seek(0, io.SEEK_END)
    start += start & 1
    at, parts = start, []
    for number, page in enumerate(pages, start=1):
        parts.append(encode(page, at, big=big, last=number == len(pages)))
        at += len(parts[-1])
    file.seek(start)
    file.write(b"".join(parts))
    return start


def encode(directory: Directory, at: int, *, big: bool = False, last: bool = True) -> bytes:
    """Return a little-endian directory that shall lie at offset `at`, with all it points to.

    Unless it is the `last`, the next directory is expected right behind it.
    """
    letter, width = ("Q", 8) if big else ("I", 4)
    tags = dict(directory.tags)
    for key in directory.branches:
        tags[key] = Tag(16 if big else 4, 1, b"\0" * width)
    head = struct.pack("<Q" if big else "<H", len(tags) + len(directory.repeated))
    count = len(tags) + len(directory.repeated)
    free = at + len(head) + count * (20 if big else 12) + width
    entries, values = [], bytearray()
    for key, tag in sorted([*tags.items(), *directory.repeated], key=lambda pair: pair[0]):
        data = tag.data
        if key in directory.branches:
            data = struct.pack("<" + letter, free + len(values))
            values += encode(directory.branches[key], free + len(values), big=big)
        elif len(data) > width:
            data = struct.pack("<" + letter, free + len(values))
            values += tag.data + b"\0" * (len(tag.data) & 1)
        entries.append(
            struct.pack("<HH" + letter, key, tag.kind, tag.count) + data.ljust(width, b"\0")
        )
    following = 0 if last else free + len(values)
    return head + b"".join(entries) + struct.pack("<" + letter, following) + bytes(values)
