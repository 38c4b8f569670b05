"""TIFF: pixels through libvips, and the tags of every page.

libvips carries few tags, so those of the source are grafted onto what it wrote: a new directory
for each page is put at the end of the file, and the header points to the first.
"""

import io
import re
import struct
from dataclasses import replace
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import numpy as np

from quietpixel.array_types import INTEGERS
from quietpixel.errors import FileError, ImageError
from quietpixel.files import cmyk, jpeg, tags, vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import (
    DEFAULT_QUALITY,
    Format,
    ReadLimits,
    Size,
    Source,
    damaged,
    starts_with,
)
from quietpixel.files.picture import Encoding, Metadata, Picture, round_to_bits
from quietpixel.files.tags import (
    BRANCHES,
    Directory,
    Reader,
    Tag,
    from_exif,
    move_samples,
    page_channels,
    read_directories,
)
from quietpixel.files.thumbnails import as_resource

_RESOLUTION = X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
NEW_SUBFILE, SUB_PAGES = 254, 330
_ICC, _XMP, _IPTC, _PHOTOSHOP, _LAYERS = 34675, 700, 33723, 34377, 37724
_IN_EXIF = (270, 271, 272, 274, 305, 306, 315, 33432)
_BIG = b"II+\0\x08\0\0\0"
_MOST_SMALL = 3_900_000_000
"""Bytes of pixels up to which offsets of 32 bits suffice, with room for the tags."""
_COMPRESSIONS = {1: "none", 3: "ccittfax4", 4: "ccittfax4", 5: "lzw", 7: "jpeg", 8: "deflate",
                 32946: "deflate", 32773: "packbits", 50000: "zstd", 50001: "webp"}  # fmt: skip
_COLOUR_SPACES = {8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32844: "LogL", 32845: "LogLuv"}
"""By photometric interpretation. libvips takes some of them for RGB without a warning."""
_CODING = {
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 292, 293, 317, 320,
    321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 339, 340, 341, 347, 512, 513, 514, 515, 517,
    518, 519, 520, 521, 529, 530, 531, 532, 52545, _LAYERS, *BRANCHES,
}  # fmt: skip
"""Tags that describe the coded pixels, which only the writer of the pixels may set. The last two
hold content credentials (C2PA), which sign them, and layers, which Photoshop shows instead."""


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a TIFF file."""
    with vips.open_binary(source) as file:
        directories = read_directories(file)
        pyramid = _find_pyramid(file, directories)
    first = directories[0]
    _check_samples(directories)
    tables = first.block(347)
    tile = int(first.first(322, 0)), int(first.first(323, 0))
    encoding = Encoding(
        bits=int(first.first(258, 1)),
        quality=jpeg.estimate_quality(jpeg.read_segments(tables)) if tables else None,
        compression=_COMPRESSIONS.get(int(first.first(259, 1)), "deflate"),
        predictor=int(first.first(317, 1)),
        tile=tile if all(tile) else None,
        bigtiff=first.big,
        pyramid=pyramid,
        palette=first.first(262, 1) == 3,
        premultiplied=first.first(EXTRA_SAMPLES, 0) == 1,
    )
    if encoding.premultiplied:
        source = _declare_straight(source, directories)
    channels, notes = page_channels(first.block(270) or b"", len(directories), limits.axes)
    if b"LAYOUT=IFDS_BEFORE_DATA" in vips.read_bytes(source, 0, 1024):
        notes += (
            "The result is not a cloud-optimized GeoTIFF: its directories lie behind the pixels.",
        )
    planar = first.first(284, 1) == 2 and first.first(277, 1) > 1
    if planar:
        directories = (move_samples(first), *directories[1:])
        notes += (
            "Each channel has a plane of its own, and a TIFF result has the channels of a pixel "
            "together (planar configuration 1).",
        )
    metadata = parse_metadata(directories)
    header = Picture(
        (), "tiff", metadata=metadata, encoding=encoding, channels=channels, notes=notes
    )
    half = first.first(SAMPLE_FORMAT, 1) == 3 and encoding.bits == 16
    # GeoTIFF may leave out strips and tiles without content: they have neither place nor length.
    parts = [part for page in directories for part in page.parts()]
    if any(at < 8 and length for at, length in parts):
        raise damaged("a part of its pixels has a length but no place")
    sparse = any(not at for at, _ in parts)
    # Neither inverted nor converted.
    plain = first.first(258, 1) >= 8 and first.first(262, 1) in (1, 2)
    # libvips refuses samples of 64 bits and strips that are left out, and decodes half floats in
    # separate planes wrongly.
    if encoding.bits == 64 or (half and planar) or (sparse and plain):
        return _read_otherwise(source, header, limits, directories)
    numbers = [page.number for page in directories]
    # libvips takes tiles that are missing or cannot be decoded for black, unless warnings are
    # errors; those of strips would include harmless ones on tags.
    fail_on = "warning" if encoding.tile else "error"
    # libtiff only warns of lines of a fax that are broken; the fax itself may say so (327).
    fatal = None if first.first(327, 0) else r"at (scan)?line \d"
    picture = read_pages(
        "tiffload", source, header, limits, numbers=numbers, fail_on=fail_on, fatal=fatal
    )
    if half:
        # libvips decodes half floats to float32.
        return replace(picture, pages=tuple(page.astype(np.float16) for page in picture.pages))
    return picture


def _declare_straight(source: Source, directories: tuple[Directory, ...]) -> bytes:
    """Return the file with its alpha declared as not premultiplied.

    libvips 8.18 would divide by alpha and cut off the fractions, so that values did not survive the
    way back; it has no option against that.
    """
    content = bytearray(source if isinstance(source, bytes) else source.read_bytes())
    for page in directories:
        if EXTRA_SAMPLES in page.places:
            order = "<H" if content[:2] == b"II" else ">H"
            struct.pack_into(order, content, page.places[EXTRA_SAMPLES], 2)
    return bytes(content)


def _read_otherwise(
    source: Source, header: Picture, limits: ReadLimits, directories: tuple[Directory, ...]
) -> Picture:
    """Read samples that libvips cannot read, with tifffile."""
    try:
        import tifffile
    except ImportError:
        raise FileError(
            "its samples are stored in a way that needs an optional package; install it with "
            "pip install 'quietpixel[science]'."
        ) from None
    first = directories[0]
    width, height, channels = (int(first.first(tag, 1)) for tag in (256, 257, 277))
    limits.check(width, height, len(directories))
    if not width * height * channels:
        raise FileError("the file is damaged, because it declares no pixels; get a whole copy.")
    if channels > 4 or any(page.first(277, 1) != channels for page in directories):
        raise ImageError(f"it has {channels} channels; save each channel as a page of its own.")
    limits.reserve(int(first.first(258, 64)) // 8 * width * height * channels * len(directories))
    try:
        with vips.open_binary(source) as file, tifffile.TiffFile(file) as tiff:
            pages = [tiff.pages[page.number].asarray() for page in directories]
        if first.first(284, 1) == 2 and channels > 1:
            pages = [np.moveaxis(page, 0, -1) for page in pages]
        pages = [page.reshape(height, width, channels) for page in pages]
    except Exception as error:  # tifffile raises whatever its codecs do
        reason = " ".join(str(error).split())[:100].rstrip(".") or type(error).__name__
        raise FileError(
            f"the file is damaged, or stored in an unusual way ({reason}); get a whole copy of it, "
            "or save it as an ordinary TIFF."
        ) from error
    native = pages[0].dtype.newbyteorder("=")
    return header.with_pages([page.astype(native, copy=False) for page in pages])


def read_size(source: Source) -> Size:
    """Read the size of a TIFF file."""
    with vips.open_binary(source) as file:
        pages = read_directories(file)
    if pages[0].first(258, 1) != 64:
        return size_reader("tiffload", 0)(source)
    width, height, channels = (int(pages[0].first(tag, 1)) for tag in (256, 257, 277))
    return Size(height, width, colour=channels > 2, pages=len(pages))


def find_lost(source: Source) -> tuple[str, ...]:
    """Name credentials and layers of the pixels, masks, and copies that are not made anew."""
    with vips.open_binary(source) as file:
        whole = read_directories(file)
        kinds = {52545: "content credentials", _LAYERS: "layers of Photoshop"}
        found = {tag for page in whole for tag in page.tags}
        lost = tuple(f"the tag {tag} ({kind})" for tag, kind in kinds.items() if tag in found)
        if _find_pyramid(file, whole):
            return lost
        count = sum(1 for _ in tags.walk(Reader(file))) - len(whole)
    # OME-TIFF has its smaller copies below each page.
    count += sum(len(page.numbers(SUB_PAGES)) for page in whole)
    return (*lost, f"{count} smaller copies or masks") if count else lost


def _find_pyramid(
    file: BinaryIO, whole: tuple[Directory, ...]
) -> Literal["pages", "subpages"] | None:
    """Return where smaller copies lie that libvips makes anew, by halves; None if anything differs.

    It makes none of half floats, few bits or pages within one tile, and copies behind the pages
    for one page only.
    """
    first, reader = whole[0], Reader(file)
    bits, half = first.first(258, 1), first.first(SAMPLE_FORMAT, 1) == 3
    tiles = [(first.first(322 + axis, 0), first.first(256 + axis, 0)) for axis in (0, 1)]
    several = any(0 < tile < side for tile, side in tiles)
    if not 8 <= bits <= 32 or (bits == 16 and half) or not several:
        return None
    behind = [page for page in tags.walk(reader) if page.number not in {p.number for p in whole}]
    below = [reader.directory(int(at))[0] for page in whole for at in page.numbers(SUB_PAGES)]
    copies = behind or below
    if not copies or any(int(page.first(NEW_SUBFILE, 0)) != 1 for page in copies):
        return None
    if behind and (below or len(whole) > 1):
        return None
    return "pages" if behind else "subpages"


def parse_metadata(directories: tuple[Directory, ...]) -> Metadata:
    """Return what the tags say; those of the first page stand for all."""
    first = directories[0]
    scale = {2: 25.4, 3: 10.0}.get(int(first.first(RESOLUTION_UNIT, 2)))
    across, down = first.first(X_RESOLUTION, 0), first.first(Y_RESOLUTION, 0)
    # An EXIF block for files of other formats: description, camera, orientation, software, time,
    # artist and copyright. Everything else describes the TIFF or its pixels.
    kept = {key: tag for key, tag in first.tags.items() if key in _IN_EXIF}
    iptc = first.block(_IPTC)
    exif = b"II*\0\x08\0\0\0" + _encode(Directory(kept, first.branches), 8)
    return Metadata(
        icc=first.block(_ICC),
        exif=exif if kept or first.branches else None,
        xmp=first.block(_XMP),
        iptc=first.block(_PHOTOSHOP) or (iptc and as_resource(iptc)),
        resolution=(across / scale, down / scale) if scale and across and down else None,
        directories=directories,
    )


def name_own(metadata: Metadata) -> tuple[str, ...]:
    """Name the tags that files of other formats do not hold."""
    carried = _CODING | {*_IN_EXIF, *_RESOLUTION, _ICC, _XMP, _IPTC, _PHOTOSHOP}
    names = sorted({tag for page in metadata.directories for tag in page.tags} - carried)
    return (f"the tags {', '.join(map(str, names))}",) if names else ()


def _check_samples(directories: tuple[Directory, ...]) -> None:
    """Refuse colours and numbers that cannot be read, and stacks whose pages have no directory."""
    first = directories[0]
    if space := _COLOUR_SPACES.get(int(first.first(262, 1))):
        raise ImageError(
            f"its colours are {space}; convert it to RGB, with 16 bits if it has them."
        )
    bits, form = int(first.first(258, 1)), int(first.first(SAMPLE_FORMAT, 1))
    allowed = {3: (16, 32, 64), 2: (8, 16, 32, 64)}.get(form, (1, 2, 4, 8, 16, 32, 64))
    if bits not in allowed or form > 4:
        kind = {2: "signed integers", 3: "floats"}.get(form, "integers" if form < 5 else "complex")
        raise ImageError(
            f"its samples are {kind} of {bits} bits, which cannot be read; "
            "convert it to integers of 8 to 64 bits, or floats of 16 to 64."
        )
    count = _imagej_pages(first)
    if count > len(directories) == 1:
        raise ImageError(
            f"it is an ImageJ stack of {count} pages of which only the first has tags; "
            "save it as OME-TIFF, or as one file for each page."
        )


def _imagej_pages(first: Directory) -> int:
    """Return how many pages ImageJ says there are; 0 if the file is not from ImageJ."""
    text = first.block(270) or b""
    found = re.search(rb"^images=(\d{1,9})", text, re.MULTILINE)
    return int(found[1]) if text.startswith(b"ImageJ=") and found else 0


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a TIFF file."""
    own, encoding = picture.format == "tiff", picture.encoding
    pages, directories, interpretation = picture.pages, picture.metadata.directories, None
    if not directories:
        directories = (_directory_of(picture.rgb_metadata),) * len(pages)
    else:
        first, *others = directories
        new = {_XMP: picture.metadata.xmp}
        if _PHOTOSHOP in first.tags:
            new[_PHOTOSHOP] = picture.metadata.iptc  # with a new thumbnail
        tags_ = {key: Tag(1, len(data), data) for key, data in new.items() if data}
        directories = (replace(first, tags=first.tags | tags_), *others)
    if pages[0].dtype.itemsize == 8 or (own and _is_contiguous(directories, encoding)):
        _write_contiguous(file, picture, directories)
        return
    if own and encoding.cmyk is not None:
        pages = cmyk.to_cmyk(pages, encoding.cmyk, picture.metadata.icc)
        interpretation = "cmyk"
    half = pages[0].dtype == np.float16
    if half:  # libvips has no half floats; their bits travel as integers
        pages = tuple(np.ascontiguousarray(page).view(np.uint16) for page in pages)
        interpretation = "grey16" if pages[0].shape[2] < 3 else "rgb16"
    bits = encoding.bits if own and pages[0].shape[2] == 1 and not encoding.palette else None
    options = _compression(picture)
    if pages[0].dtype == np.uint8 and bits in (1, 2, 4):
        pages = tuple(round_to_bits(page, bits) for page in pages)  # libvips cuts off instead
        options |= {"bitdepth": bits, "miniswhite": directories[0].first(262, 1) == 0}
    vips.save(
        vips.from_pages(pages, interpretation),
        "tiffsave",
        file,
        Q=quality or encoding.quality or DEFAULT_QUALITY,
        page_height=pages[0].shape[0],
        bigtiff=encoding.bigtiff or sum(page.nbytes for page in pages) > _MOST_SMALL,
        **options,
    )
    _graft(file, directories, half_float=half)


def _compression(picture: Picture) -> dict[str, Any]:
    """Return libvips' options for compression, predictor and tiles: those of the source."""
    encoding, dtype = picture.encoding, picture.dtype
    kind = encoding.compression or "deflate"
    deep = kind in ("jpeg", "webp") and dtype != np.uint8  # which they alone hold
    if deep or (kind == "ccittfax4" and (encoding.bits != 1 or picture.format != "tiff")):
        kind = "deflate"
    if picture.format == "tiff":
        predictor = {2: "horizontal", 3: "float"}.get(encoding.predictor, "none")
        if predictor == "float" and dtype != np.float32:  # half floats travel as integers
            predictor = "horizontal"
    else:
        predictor = "horizontal" if dtype.kind in "iu" else "none"
    if kind not in ("lzw", "deflate", "zstd"):
        predictor = "none"
    options: dict[str, Any] = {"compression": kind, "predictor": predictor}
    if kind == "webp":
        options["lossless"] = True
    if encoding.tile is not None:
        width, height = encoding.tile
        options |= {"tile": True, "tile_width": width, "tile_height": height}
    if encoding.pyramid is not None:
        options |= {"tile": True, "pyramid": True, "subifd": encoding.pyramid == "subpages"}
    return options


def _directory_of(metadata: Metadata) -> Directory:
    """Return tags that say what `metadata` says, for an image of another format."""
    exif = from_exif(metadata.exif)
    kept = {key: tag for key, tag in exif.tags.items() if key not in _RESOLUTION}
    if metadata.resolution:
        kept[RESOLUTION_UNIT] = Tag(3, 1, struct.pack("<H", 2))  # inches
        for key, dots in zip(_RESOLUTION, metadata.resolution, strict=False):
            value = Fraction(25.4 * dots).limit_denominator(1000)
            kept[key] = Tag(5, 1, struct.pack("<II", value.numerator, value.denominator))
    blocks = (_ICC, 7, metadata.icc), (_XMP, 1, metadata.xmp), (_PHOTOSHOP, 1, metadata.iptc)
    for key, kind, data in blocks:
        if data:
            kept[key] = Tag(kind, len(data), data)
    return Directory(kept, exif.branches)


def _graft(file: BinaryIO, carried: tuple[Directory, ...], *, half_float: bool) -> None:
    """Add the carried tags to the pages of a file that libvips wrote."""
    reader = Reader(file)
    written = tuple(tags.walk(reader))
    # Smaller copies behind the page carry none of its tags.
    carried += (Directory({}),) * (len(written) - len(carried))
    pages = [_merge(*each) for each in zip(written, carried, strict=True)]
    if half_float:
        for page in pages:
            samples = int(page.first(277, 1))
            page.tags[SAMPLE_FORMAT] = Tag(3, samples, struct.pack("<H", 3) * samples)
    at = _append(file, pages, big=reader.big)
    file.seek(reader.width)
    file.write(struct.pack(reader.order + reader.offset, at))
    file.seek(0, io.SEEK_END)


def _merge(written: Directory, carried: Directory) -> Directory:
    extra = {key: tag for key, tag in carried.tags.items() if key not in _CODING}
    none = Tag(3, 0, b"")
    ours, theirs = written.tags.get(EXTRA_SAMPLES, none), extra.get(EXTRA_SAMPLES, none)
    # Kept only if it describes as many channels: it says whether alpha is premultiplied.
    if len(ours.data) != len(theirs.data):
        extra.pop(EXTRA_SAMPLES, None)
    # libvips writes 25.4 dots per inch where no resolution is known.
    coding = {key: tag for key, tag in written.tags.items() if key not in (*BRANCHES, *_RESOLUTION)}
    repeated = [pair for pair in carried.repeated if pair[0] not in _CODING]
    return Directory({**coding, **extra}, carried.branches, repeated=repeated)


def _append(file: BinaryIO, pages: list[Directory], *, big: bool) -> int:
    """Write the directories at the end of the file, chained; return where the first one is."""
    end = file.seek(0, io.SEEK_END)
    start = file.seek(end + (end & 1))
    for number, page in enumerate(pages, start=1):
        file.write(_encode(page, file.tell(), big=big, last=number == len(pages)))
    return start


def _encode(directory: Directory, at: int, *, big: bool = False, last: bool = True) -> bytes:
    """Return a little-endian directory for offset `at`, with all that it points to.

    Unless it is the `last`, the next directory is expected right behind it.
    """
    letter, width = ("Q", 8) if big else ("I", 4)
    # Offsets of branches are known only below; until then their tags are empty.
    pointers = dict.fromkeys(directory.branches, Tag(16 if big else 4, 1, b""))
    items = [*(directory.tags | pointers).items(), *directory.repeated]
    items.sort(key=lambda pair: pair[0])
    head = struct.pack("<Q" if big else "<H", len(items))
    free = at + len(head) + len(items) * (20 if big else 12) + width
    entries, values = b"", bytearray()
    for key, tag in items:
        data, offset = tag.data, struct.pack("<" + letter, free + len(values))
        if key in directory.branches:
            data = offset
            values += _encode(directory.branches[key], free + len(values), big=big)
        elif len(data) > width:
            data = offset
            values += tag.data + b"\0" * (len(tag.data) & 1)
        entries += struct.pack("<HH" + letter, key, tag.kind, tag.count) + data.ljust(width, b"\0")
    following = 0 if last else free + len(values)
    return head + entries + struct.pack("<" + letter, following) + bytes(values)


def _is_contiguous(directories: tuple[Directory, ...], encoding: Encoding) -> bool:
    """Say whether the pages must lie in one piece, as ImageJ takes for granted in its stacks."""
    first = directories[0]
    return (
        _imagej_pages(first) > 1
        and (encoding.compression, encoding.tile, encoding.cmyk) == ("none", None, None)
        and first.first(262, 1) in (1, 2)
        and first.first(284, 1) == 1
        and encoding.bits in (8, 16, 32)
    )


def _coding_tags(picture: Picture) -> dict[int, Tag]:
    """Return the tags that describe uncompressed pixels, but for their place."""
    dtype, (width, height), channels = picture.dtype, picture.size, picture.pages[0].shape[2]
    form = {"u": 1, "i": 2, "f": 3}[dtype.kind]
    sides = {key: Tag(4, 1, struct.pack("<I", side)) for key, side in ((256, width), (257, height))}
    shorts = {
        258: [8 * dtype.itemsize] * channels, 259: [1], 262: [1 if channels < 3 else 2],
        277: [channels], 284: [1], SAMPLE_FORMAT: [form] * channels,
        EXTRA_SAMPLES: [1 if picture.encoding.premultiplied else 2] * picture.alpha,
    }  # fmt: skip
    return sides | {
        key: Tag(3, len(few), struct.pack(f"<{len(few)}H", *few))
        for key, few in shorts.items()
        if few
    }


def _write_contiguous(file: BinaryIO, picture: Picture, directories: tuple[Directory, ...]) -> None:
    """Write pages in one piece, without compression, and behind them their tags."""
    pages, coding = picture.pages, _coding_tags(picture)
    size = sum(page.nbytes for page in pages)
    big = size > _MOST_SMALL
    at = 16 if big else 8
    end = at + size + (size & 1)
    file.write(struct.pack("<8sQ", _BIG, end) if big else struct.pack("<4sI", b"II*\0", end))
    placed = []
    for page, directory in zip(pages, directories, strict=True):
        file.write(page.astype(page.dtype.newbyteorder("<")).tobytes())
        kind, letter = (4, "<I") if at + page.nbytes < 1 << 32 else (16, "<Q")
        strip = {273: at, 278: page.shape[0], 279: page.nbytes}
        values = {key: Tag(kind, 1, struct.pack(letter, value)) for key, value in strip.items()}
        kept = {key: tag for key, tag in directory.tags.items() if key not in _CODING}
        placed.append(replace(directory, tags=kept | coding | values))
        at += page.nbytes
    _append(file, placed, big=big)


FORMAT = Format(
    name="tiff",
    title="TIFF",
    # The last two are for BigTIFF: offsets of 64 bits.
    suffixes=(".tif", ".tiff", ".btf", ".tf8"),
    media_type="image/tiff",
    recognise=starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    read=read,
    read_size=read_size,
    write=write,
    find_lost=find_lost,
    dtypes=(*INTEGERS, "float16", "float32", "float64"),
    pages=True,
    orientation=True,
    metadata=("icc", "exif", "xmp", "iptc", "resolution"),
    name_own=name_own,
)
