"""Camera RAW files, developed by LibRaw.

Most of them are TIFF files inside: a preview that any TIFF reader shows, and the mosaic of the
sensor in a page of its own. They are recognised before the TIFF reader takes the preview for the
photograph. They are only read, because a developed image is no RAW file.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from quietpixel.errors import FileError
from quietpixel.files import tags, tiff, vips
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, starts_with
from quietpixel.files.jpeg import read_segments
from quietpixel.files.picture import Encoding, Picture, first_block
from quietpixel.files.tags import ORIENTATION, Directory, Reader, Tag, from_exif

_PHOTOMETRIC, _SUB_PAGES, _DNG_VERSION = 262, 330, 50706
_MOSAIC, _LINEAR = 32803, 34892
_PAGES = 8
"""Pages, and parts of a page, that are searched for a mosaic; cameras write up to four."""
_CANON_HEAD = 1 << 17
"""Bytes of a CR3 file that hold its tags; maker notes make them up to about 60 KB long."""
_BYTES_PER_PIXEL = 16
"""The mosaic, LibRaw's four channels and the result, 16 bits each."""
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
"""EXIF orientations by LibRaw's numbers."""

_SUFFIXES = (
    ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".rw2", ".orf", ".pef",
    ".srw", ".3fr", ".iiq", ".erf", ".mos", ".x3f", ".mrw", ".kdc", ".dcr", ".rwl", ".crw", ".fff",
    ".gpr", ".mef",
)  # fmt: skip

_recognise = starts_with(
    b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM",
    b"II\x1a\0\0\0HEAPCCDR",
)  # fmt: skip
"""Fujifilm, Panasonic, Olympus (three), Sigma, Minolta and old ones of Canon."""


def has_mosaic(source: Source) -> bool:
    """Say whether a TIFF file is a RAW file: one of its pages holds the data of a sensor.

    Raises
    ------
    FileError
        If directories are damaged: the one of the mosaic may be among them.
    """
    with vips.open_binary(source) as file:
        mark = file.read(12)[8:]
        # Canon CR2 and Phase One IIQ describe their mosaics in ways of their own.
        return mark.startswith((b"CR", b"IIII")) or any(
            page.first(_PHOTOMETRIC, 0) in (_MOSAIC, _LINEAR) or _DNG_VERSION in page.tags
            for page in _walk(Reader(file))
        )


def _walk(reader: Reader) -> Iterator[Directory]:
    """Yield the first pages and those below them, where cameras put the mosaic."""
    for page, _ in zip(tags.walk(reader), range(_PAGES), strict=False):
        yield page
        for at in page.numbers(_SUB_PAGES)[:_PAGES]:
            yield reader.directory(int(at))[0]


def read(source: Source, limits: ReadLimits) -> Picture:
    """Develop a RAW file: white balance of the camera, sRGB, 16 bits, no brightening."""
    import rawpy

    _refuse_cut(source)
    with _open(source) as raw:
        sizes = raw.sizes
        limits.check(sizes.width, sizes.height)
        limits.reserve(sizes.width * sizes.height * _BYTES_PER_PIXEL)
        # LibRaw would turn the pixels and choose the brightness by the content of each image.
        pixels = raw.postprocess(
            use_camera_wb=True,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),
            output_bps=16,
            no_auto_bright=True,
            user_flip=0,
        )
        directory = _read_tags(source, raw)
        orientation = _ORIENTATIONS.get(sizes.flip, 1)
    found = bool(directory.tags)
    directory.tags[ORIENTATION] = Tag(3, 1, struct.pack("<H", orientation))
    metadata = replace(
        tiff.parse_metadata((directory,)),
        icc=vips.srgb_profile(),
        resolution=None,  # that of the preview
        orientation=orientation,
        directories=(),
    )
    return Picture.from_pixels(
        np.ascontiguousarray(pixels),
        metadata=metadata,
        encoding=Encoding(bits=16),
        notes=() if found else ("No EXIF was found in the RAW file.",),
    )


def _refuse_cut(source: Source) -> None:
    """Refuse a DNG whose pixels end after the file does.

    LibRaw would print a line to standard error. Other kinds do not keep to the rules of TIFF: RW2
    files, for example, give 2**32 - 1 as the place of their pixels.
    """
    with vips.open_binary(source) as file:
        if file.read(4) not in (b"II*\0", b"MM\0*"):
            return
        reader = Reader(file)
        pages = list(_walk(reader))
    if not pages or _DNG_VERSION not in pages[0].tags:
        return
    for page in pages:
        if any(at + length > reader.size for at, length in page.parts()):
            raise FileError("the file is cut short; get a whole copy of it.")


def _read_tags(source: Source, raw: Any) -> Directory:
    """Return the tags of the first page; in other containers those of boxes or the preview."""
    import rawpy

    with vips.open_binary(source) as file:
        head = file.read(_CANON_HEAD)
        if head[:2] in (b"II", b"MM"):
            reader = Reader(file)
            return reader.directory(reader.first)[0]
    if b"CMT1" in head:
        return read_canon_tags(head)
    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError:
        return Directory({})
    if thumbnail.format is not rawpy.ThumbFormat.JPEG:
        return Directory({})
    segments = read_segments(thumbnail.data)
    return from_exif(first_block(segments, "e1", b"Exif\0\0"))


def read_canon_tags(head: bytes) -> Directory:
    """Return the tags of a CR3 file: the box CMT1 holds those of the camera, 2 EXIF, 4 GPS."""

    def read_box(name: bytes) -> Directory:
        at = head.find(name)
        size = int.from_bytes(head[max(at - 4, 0) : max(at, 0)], "big")
        return from_exif(head[at + 4 : at - 4 + size])

    branches = {34665: read_box(b"CMT2"), 34853: read_box(b"CMT4")}
    found = {key: each for key, each in branches.items() if each.tags}
    return Directory(read_box(b"CMT1").tags, found)


def read_size(source: Source) -> Size:
    """Return the size of the developed image."""
    with _open(source) as raw:
        return Size(raw.sizes.height, raw.sizes.width, colour=raw.num_colors > 1)


@contextlib.contextmanager
def _open(source: Source) -> Iterator[Any]:
    """Open a RAW file; nothing is decoded yet."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as raw:
            yield raw
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        words = error.args[0] if error.args else error
        reason = words.decode() if isinstance(words, bytes) else words
        raise FileError(
            f"LibRaw cannot develop this camera RAW file ({reason}): it is damaged, cut short, or "
            "of an unknown camera; get a whole copy, or develop it in another program."
        ) from error


FORMAT = Format(
    name="raw",
    title="Camera RAW",
    suffixes=_SUFFIXES,
    media_type="image/x-adobe-dng",
    recognise=lambda head: _recognise(head) or head[4:12] == b"ftypcrx ",
    read=read,
    read_size=read_size,
    replacement="tiff",
    package=("rawpy", "raw"),
    dtypes=("uint16",),
    alpha=False,
    orientation=True,
    metadata=("icc", "exif", "xmp"),
)
