"""What the tags of a TIFF mean, and how they get into a new one.

libvips carries few tags, so those of the source are grafted onto what it wrote: a new directory
for each page is put at the end of the file, and the header points to the first.
"""

import io
import re
import struct
from dataclasses import replace
from typing import BinaryIO

from quietpixel.errors import ImageError
from quietpixel.files import jpeg
from quietpixel.files.picture import Encoding, Metadata, Pixels
from quietpixel.files.tags import (
    BRANCHES,
    EXTRA_SAMPLES,
    RESOLUTION_UNIT,
    SAMPLE_FORMAT,
    Directory,
    Reader,
    Tag,
    from_exif,
    orientation_of,
    walk,
)

_COMPRESSIONS = {1: "none", 5: "lzw", 7: "jpeg", 8: "deflate", 32946: "deflate",
                 32773: "packbits", 50000: "zstd", 50001: "webp"}  # fmt: skip
_CODING = {
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 292, 293, 317, 320,
    321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 339, 340, 341, 347, 512, 513, 514, 515, 517,
    518, 519, 520, 521, 529, 530, 531, 532, *BRANCHES,
}  # fmt: skip
"""Tags that tell how pixels are coded, which the writer of the pixels alone may set."""


def parse_metadata(directories: tuple[Directory, ...]) -> Metadata:
    """Return what the tags of a TIFF say; those of the first page stand for all."""
    first = directories[0]
    return Metadata(
        icc=first.block(34675),
        exif=build_exif(first),
        xmp=first.block(700),
        iptc=first.block(33723),
        resolution=_resolution(first),
        orientation=orientation_of(first),
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
    tables = first.block(347)
    return jpeg.estimate_quality(jpeg.read_segments(io.BytesIO(tables))) if tables else None


def build_exif(first: Directory) -> bytes | None:
    """Return the descriptive tags of a page as an EXIF block, for files of other formats."""
    plain = {270, 271, 272, 274, 305, 306, 315, 33432}
    tags = {key: tag for key, tag in first.tags.items() if key in plain}
    if not tags and not first.branches:
        return None
    return b"II*\0\x08\0\0\0" + encode(Directory(tags, first.branches), 8)


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
    reader = Reader(file)
    written = tuple(walk(reader))
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
    coding = {key: tag for key, tag in written.tags.items() if key not in BRANCHES}
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


def check_samples(directories: tuple[Directory, ...]) -> None:
    """Refuse kinds of numbers that cannot be read, and stacks whose pages have no directory.

    Raises
    ------
    ImageError
        If the file is one of these.
    """
    first = directories[0]
    bits, form = int(first.first(258, 1)), int(first.first(SAMPLE_FORMAT, 1))
    allowed = {3: (16, 32), 2: (8, 16, 32)}.get(form, (1, 2, 4, 8, 16, 32))
    if bits not in allowed or form > 4:
        kind = {2: "signed integers", 3: "floats"}.get(form, "integers" if form < 5 else "complex")
        raise ImageError(
            f"its samples are {kind} of {bits} bits, which cannot be read; "
            "convert it to integers of 8 or 16 bits, or floats of 16 or 32."
        )
    count = _imagej_pages(first)
    if count > len(directories) == 1:
        raise ImageError(
            f"it is an ImageJ stack of {count} pages of which only the first has tags; "
            "save it as OME-TIFF, or as one file for each page."
        )


def _imagej_pages(first: Directory) -> int:
    """The pages that ImageJ says there are; 0 if the file is not from ImageJ."""
    text = first.block(270) or b""
    found = re.search(rb"^images=(\d{1,9})", text, re.MULTILINE)
    return int(found[1]) if text.startswith(b"ImageJ=") and found else 0


def wants_contiguous(directories: tuple[Directory, ...], encoding: Encoding) -> bool:
    """Say whether the pages must lie in one piece, as ImageJ takes for granted in its stacks."""
    first = directories[0] if directories else Directory({})
    return (
        _imagej_pages(first) > 1
        and (encoding.compression, encoding.tile, encoding.cmyk) == ("none", None, None)
        and first.first(262, 1) in (1, 2)
        and first.first(284, 1) == 1
        and encoding.bits in (8, 16, 32)
    )


def write_contiguous(
    file: BinaryIO, pages: tuple[Pixels, ...], directories: tuple[Directory, ...]
) -> None:
    """Write pages in one piece, without compression, and behind them their tags."""
    size = sum(page.nbytes for page in pages)
    big = size > 3_900_000_000
    start = 16 if big else 8
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, start + size + (size & 1))
    file.write(head if big else struct.pack("<2sHI", b"II", 42, start + size + (size & 1)))
    placed, at = [], start
    for page, directory in zip(pages, directories, strict=True):
        file.write(page.astype(page.dtype.newbyteorder("<")).tobytes())
        placed.append(_place(directory, at, page))
        at += page.nbytes
    _append(file, placed, big=big)


def _place(directory: Directory, at: int, page: Pixels) -> Directory:
    """Say where the pixels lie: in one strip."""
    values = {273: at, 278: page.shape[0], 279: page.nbytes}
    tags = {key: Tag(16, 1, struct.pack("<Q", value)) for key, value in values.items()}
    if at + page.nbytes < 1 << 32:
        tags = {key: Tag(4, 1, struct.pack("<I", value)) for key, value in values.items()}
    return replace(directory, tags={**directory.tags, **tags})
