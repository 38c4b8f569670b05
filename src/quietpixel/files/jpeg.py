"""JPEG: pixels through libvips, segments with metadata byte for byte, the quality of the source."""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product, takewhile
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError, ImageError
from quietpixel.files import cmyk, vips
from quietpixel.files.decoding import read_pages, size_reader
from quietpixel.files.image_format import (
    DEFAULT_QUALITY,
    Format,
    ReadLimits,
    Source,
    damaged,
    starts_with,
)
from quietpixel.files.picture import (
    Block,
    Encoding,
    Metadata,
    Picture,
    Pixels,
    drop_padding,
    first_block,
    put_block,
)
from quietpixel.files.tags import Reader
from quietpixel.files.thumbnails import EXTENDED_XMP

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_BOXES = "eb", b"JP"
"""Segments of boxes: content credentials (C2PA) sign the pixels of the source, and the layers of a
JPEG XT are differences from them."""
_MULTI_PICTURE = b"MPF\0"  # holds offsets of the images behind the first (CIPA DC-007)
_MULTI_PICTURE_SEGMENT = re.compile(rb"\xff\xe2..MPF\0", re.DOTALL)
_PRIMARY = re.compile(rb"<[^<>]*:Semantic=.Primary.[^<>]*>")
_LENGTH = re.compile(rb":Length=[\"'](\d+)")
_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")  # neither a stuffed byte of a scan nor a restart
_SEGMENT = 65533  # largest content of a segment, whose length has 16 bits and counts itself
_LARGEST_BLOCK = _SEGMENT - len(_XMP)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_PROGRESSIVE = 0xC2, 0xCA
"""Frames of which each scan adds frequencies or bits; the second has arithmetic coding."""
_IMAGES = 0xB002  # tag of the list of images in an MPF segment
_MOST_IN_MEMORY = 32_000_000
"""Pixels up to which a JPEG is progressive, or its codes are fitted to it: both take some 12 bytes
of memory for each pixel."""
_LUMA = np.array(
    [16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
     29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81,
     87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99]
)  # fmt: skip
"""The luminance table of the JPEG standard (Annex K) in zigzag order, which is quality 50."""


def _walk(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment of the first image, and where its content begins and ends.

    Scans are passed over; the last segment is the end of the image, unless the file is cut.
    """
    at = 2
    while found := _MARKER.search(content, at):
        marker, start = content[found.end() - 1], found.end() + 2
        at = start + int.from_bytes(content[start - 2 : start], "big") - 2
        yield marker, start, at
        if marker == _END_OF_IMAGE:
            return


def read_segments(content: bytes) -> tuple[Block, ...]:
    """Return the whole segments before the pixels as (marker in hex, content)."""
    places = takewhile(lambda place: place[0] != _START_OF_SCAN, _walk(content))
    whole = ((marker, start, end) for marker, start, end in places if start <= end <= len(content))
    return tuple((f"{marker:02x}", content[start:end]) for marker, start, end in whole)


def _find_end(content: bytes) -> int | None:
    """Return where the first image ends; None if the file is cut."""
    ends = (start - 2 for marker, start, _ in _walk(content) if marker == _END_OF_IMAGE)
    return next(ends, None)


def _split(content: bytes, end: int | None) -> tuple[tuple[Block, ...], bytes, int]:
    """Return segments, what follows the image, and its offset from the start of the MPF index."""
    end = end or len(content)
    segment = _MULTI_PICTURE_SEGMENT.search(content, 0, end)
    return read_segments(content), content[end:], end - segment.end() if segment else 0


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read a JPEG file."""
    content = vips.read_bytes(source, 0, -1)
    end = _find_end(content)
    segments, tail, offset = _split(content, end)
    frame = _frame_header(segments)
    if frame and frame[0] != 8:
        raise ImageError(
            f"it is a JPEG with {frame[0]} bits per sample, and only 8 can be read; "
            "convert it to a 16-bit TIFF or PNG."
        )
    encoding = Encoding(
        bits=8,
        quality=estimate_quality(segments),
        subsampling=subsampling(segments),
        lossless=False,
    )
    resolution = None
    density = first_block(segments, "e0", b"JFIF\0") or b""
    if len(density) >= 7 and density[2] in (1, 2):  # dots per inch or per centimetre
        across, down = struct.unpack(">HH", density[3:7])
        scale = 25.4 if density[2] == 1 else 10.0
        resolution = (across / scale, down / scale) if across and down else None
    tail = drop_padding(tail, b"\0\xff")
    several = bool(tail) and not _is_damaged(segments, tail, offset)
    resources = (data for name, data in segments if name == "ed" and data.startswith(_PHOTOSHOP))
    metadata = Metadata(
        iptc=b"".join(each.removeprefix(_PHOTOSHOP) for each in resources) or None,
        resolution=resolution,
        blocks=tuple(
            (name, data)
            for name, data in segments
            # Comments and applications; Adobe's own segment belongs to the pixels.
            if (name == "fe" or (name[0] == "e" and name != "ee"))
            and (several or not data.startswith(_MULTI_PICTURE))
            and not (name == _BOXES[0] and data.startswith(_BOXES[1]))
        ),
        tail=tail,
        tail_offset=offset if tail else 0,
    )
    header = Picture((), metadata=metadata, encoding=encoding)
    # Decoders take what is missing for zeros or gray; libjpeg only warns.
    if end is None and not content.endswith(bytes([0xFF, _END_OF_IMAGE])):
        raise damaged("its end is missing")
    decode = partial(read_pages, "jpegload", header=header, fatal="premature end")
    picture = decode(source, limits=limits)
    if _lacks_scans(content):
        note = "It is a progressive JPEG without its last scans; a whole copy has more detail."
        picture = replace(picture, notes=(*picture.notes, note))
    # libjpeg prints its first warning only, and this one would hide that pixels are missing.
    if any("extraneous" in note for note in picture.notes):
        # Its memory is reserved already.
        decode(_drop_extraneous(content), limits=replace(limits, on_reserve=None))
    return picture


def _lacks_scans(content: bytes) -> bool:
    """Return whether a progressive image ends before the last bit of each frequency."""
    wanted, complete = 0, set[tuple[int, int]]()
    for marker, start, end in _walk(content):
        if marker in _PROGRESSIVE:
            wanted = 64 * content[start + 5]
        elif marker == _START_OF_SCAN and not wanted:
            return False
        elif marker == _START_OF_SCAN and end - start > 4:
            *components, first, last, bits = content[start + 1 : end]
            if bits & 15 == 0:  # else a later scan adds bits
                complete |= set(product(components[::2], range(first, last + 1)))
    return len(complete) < wanted


def _drop_extraneous(content: bytes) -> bytes:
    """Return a file without the bytes between the segments before its pixels."""
    kept = [content[:2]]
    for marker, start, end in _walk(content):
        if marker == _START_OF_SCAN:
            return b"".join(kept) + content[start - 4 :]
        kept.append(content[start - 4 : max(start, end)])
    return content


def find_lost(source: Source) -> tuple[str, ...]:
    """Name boxes on pixels that change, and further images whose places cannot be told."""
    content = vips.read_bytes(source, 0, -1)
    segments, tail, offset = _split(content, _find_end(content))
    lost = []
    if first_block(segments, *_BOXES) is not None:
        lost.append("the boxes of its APP11 segments (content credentials or layers)")
    if _is_damaged(segments, tail, offset):
        lost.append("the images of its damaged index (MPF)")
    return tuple(lost)


def _is_damaged(segments: tuple[Block, ...], tail: bytes, offset: int) -> bool:
    """Return whether the index of the images behind the first cannot be used."""
    index = first_block(segments, "e2", _MULTI_PICTURE)
    try:
        if tail and index:
            _move_images(index, size=0, by=-offset)
    except (FileError, struct.error):  # an offset before the end of the image becomes negative
        return True
    return False


def _move_images(index: bytes, *, size: int, by: int) -> bytes:
    """Return the content of an MPF segment for a first image of another size.

    Parameters
    ----------
    index
        Begins with the byte order; offsets count from there.
    size
        Bytes of the first image.
    by
        Added to the offsets of the others.
    """
    changed, reader = bytearray(index), Reader(io.BytesIO(index))
    directory, _ = reader.directory(reader.first)
    if _IMAGES in directory.tags:
        start = reader.unpack("I", index[directory.places[_IMAGES] :][:4])
        for place in range(start + 4, start + directory.tags[_IMAGES].count, 16):
            old, offset = struct.unpack_from(reader.order + "II", index, place)
            moved = (old, offset + by) if offset else (size, 0)
            struct.pack_into(reader.order + "II", changed, place, *moved)
    return bytes(changed)


def estimate_quality(segments: tuple[Block, ...]) -> int | None:
    """Return the quality, 1 to 100, whose standard luminance table is nearest to the file's.

    Examples
    --------
    >>> estimate_quality((("db", bytes([0]) + bytes(_LUMA.tolist())),))
    50
    """
    table = _luma_table(segments)
    if table is None:
        return None
    quality = np.arange(1, 101)[:, None]
    factor = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    scaled = np.clip((_LUMA * factor + 50) // 100, 1, 255)
    return 1 + int(np.abs(scaled - table).sum(axis=1).argmin())


def denoised_encoding(encoding: Encoding) -> Encoding:
    """Return how a denoised image is stored, so that little of what was gained is lost again.

    By `benchmarks/jpeg_quality.py` on 83 photographs, writing at the source's own quality costs 0.3
    to 1.3 dB. With full chroma, quality 98 (96 of a poor source) is within 0.04 dB of quality 100,
    which costs 0.06 to 0.18 dB: the rounding of colours to 8 bits of luma and chroma. Subsampling
    costs up to 0.28 dB more. In WebP, AVIF and HEIC, 98 costs 0.1 to 0.5 dB, where 92 costs up to
    0.7.

    Examples
    --------
    >>> better = denoised_encoding(Encoding(quality=90, subsampling="4:2:0"))
    >>> better.quality, better.subsampling
    (98, '4:4:4')
    """
    quality = encoding.quality or 0
    low = 0 < quality < 40
    return replace(encoding, quality=max(quality, 96 if low else 98), subsampling="4:4:4")


def _luma_table(segments: tuple[Block, ...]) -> Pixels | None:
    """Quantisation table 0, of 8-bit or 16-bit entries."""
    for data in (data for name, data in segments if name == "db"):
        at = 0
        while at < len(data):
            wide, number = data[at] >> 4, data[at] & 15
            entries = data[at + 1 : at + 65 + 64 * (wide > 0)]
            if number == 0 and len(entries) == (128 if wide else 64):
                return np.frombuffer(entries, ">u2" if wide else "u1").astype(int)
            at += 1 + len(entries)
    return None


def _frame_header(segments: tuple[Block, ...]) -> bytes:
    frames = (data for name, data in segments if name[0] == "c" and name not in ("c4", "c8", "cc"))
    return next(frames, b"")


def subsampling(segments: tuple[Block, ...]) -> str | None:
    """Return the chroma subsampling that the frame header declares; None for gray.

    Examples
    --------
    >>> subsampling((("c0", bytes([8, 0, 1, 0, 1, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])),))
    '4:2:0'
    """
    frame = _frame_header(segments)
    if len(frame) < 12 or frame[5] < 3:
        return None
    across, down = frame[7] >> 4, frame[7] & 15
    known = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    return known.get((across, down), f"{across}x{down}")


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a JPEG file."""
    own, metadata, encoding = picture.format == "jpeg", picture.metadata, picture.encoding
    pixels, interpretation = picture.pages[0], None
    if own and encoding.cmyk is not None:
        pixels = cmyk.to_cmyk(picture.pages, encoding.cmyk, metadata.icc)[0]
        interpretation = "cmyk"
    image = vips.from_array(pixels, interpretation)
    small = image.width * image.height <= _MOST_IN_MEMORY
    options = {
        "Q": quality or encoding.quality or DEFAULT_QUALITY,
        # Always stated, because libvips would subsample below quality 90.
        "subsample_mode": "on" if encoding.subsampling == "4:2:0" else "off",
        "interlace": encoding.progressive and small,
        "optimize_coding": small,
    }
    rewrite = partial(_graft, blocks=_blocks_of(picture))
    if not metadata.tail:
        vips.save(image, "jpegsave", file, rewrite, **options)
        return
    content = vips.save_bytes(image, "jpegsave", rewrite=rewrite, **options)
    if segment := _MULTI_PICTURE_SEGMENT.search(content):
        length = int.from_bytes(segment[0][2:4], "big") - 2 - len(_MULTI_PICTURE)
        start, stop, size = segment.end(), segment.end() + length, len(content)
        by = size - start - metadata.tail_offset
        index = _move_images(content[start:stop], size=size, by=by)
        content = content[:start] + index + content[stop:]
    file.write(_state_length(content))


def _state_length(content: bytes) -> bytes:
    """Return an image whose XMP states its length, if it states any (Google's container).

    A number takes the same room; 0 leaves the length open, and readers count from the end.
    """
    item = _PRIMARY.search(content)
    old = item and _LENGTH.search(content, item.start(), item.end())
    if not old:
        return content
    new = b"%0*d" % (len(old[1]), len(content))
    new = b"0" * len(old[1]) if len(new) > len(old[1]) or not int(old[1]) else new
    return content[: old.start(1)] + new + content[old.end(1) :]


def _blocks_of(picture: Picture) -> tuple[Block, ...]:
    """Return the segments for an image: its own, or those that say the same as another format."""
    metadata = picture.rgb_metadata
    if picture.format == "jpeg":
        own = _put_resources(metadata.blocks, metadata.iptc or b"")
        own = put_block(own, "e1", _EXIF, metadata.exif)
        # Readers look for XMP behind JFIF and EXIF.
        front = sum(1 for _ in takewhile(lambda block: block[0] in ("e0", "e1"), own))
        return put_block(own, "e1", _XMP, metadata.xmp, new_at=front)
    blocks: list[Block] = []
    if metadata.resolution:
        across, down = (min(round(25.4 * each), 65535) for each in metadata.resolution)
        blocks.append(("e0", b"JFIF\0" + struct.pack(">HBHHH", 0x0101, 1, across, down, 0)))
    for start, content in ((_EXIF, metadata.exif), (_XMP, metadata.xmp)):
        if content and len(content) <= _LARGEST_BLOCK:
            blocks.append(("e1", start + content))
    # Profiles and Photoshop blocks may span several segments, EXIF and XMP may not.
    profile, photoshop = (
        [data[at : at + 65000] for at in range(0, len(data), 65000)]
        for data in (metadata.icc or b"", metadata.iptc or b"")
    )
    if len(profile) <= 255:  # both numbers have one byte
        for number, part in enumerate(profile, start=1):
            blocks.append(("e2", _ICC + bytes([number, len(profile)]) + part))
    return (*blocks, *(("ed", _PHOTOSHOP + part) for part in photoshop))


def _put_resources(segments: tuple[Block, ...], new: bytes) -> tuple[Block, ...]:
    """Return segments with a Photoshop block of the same length."""
    at, changed = 0, list(segments)
    for number, (name, data) in enumerate(segments):
        if name == "ed" and data.startswith(_PHOTOSHOP):
            end = at + len(data) - len(_PHOTOSHOP)
            changed[number] = name, _PHOTOSHOP + new[at:end]
            at = end
    return tuple(changed)


def name_own(metadata: Metadata) -> tuple[str, ...]:
    """Name the segments that files of other formats do not hold."""
    known = (_EXIF, _XMP, _ICC, _PHOTOSHOP, _MULTI_PICTURE, b"JFIF\0", *_BOXES[1:])
    names = []
    for name, data in metadata.blocks:
        if name == "fe":
            names.append("the comment")
        elif data.startswith(EXTENDED_XMP):
            names.append("the extended XMP")
        elif not data.startswith(known):
            names.append(f"the segment APP{int(name[1], 16)}")
    return tuple(dict.fromkeys(names))


def _graft(head: bytes, blocks: tuple[Block, ...]) -> bytes | None:
    """Return the start of a new JPEG with `blocks` put in; None while `head` is too short."""
    if len(head) < 20:  # the start of image, and a whole JFIF segment
        return None
    rest = head[2:]
    if rest.startswith(b"\xff\xe0"):
        # JFIF, which libvips 8.18 leaves to us; a second one behind that of the source is invalid.
        rest = rest[2 + int.from_bytes(rest[2:4], "big") :]
    segments = (
        b"\xff" + bytes.fromhex(name) + struct.pack(">H", len(data) + 2) + data
        for name, data in blocks
    )
    return head[:2] + b"".join(segments) + rest


FORMAT = Format(
    name="jpeg",
    title="JPEG",
    # The last three are of cameras: stereo pairs, and spheres of Insta360.
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jps", ".insp"),
    media_type="image/jpeg",
    recognise=starts_with(b"\xff\xd8\xff"),
    read=read,
    read_size=size_reader("jpegload"),
    write=write,
    find_lost=find_lost,
    alpha=False,
    max_side=65500,  # of libjpeg; the format itself could hold 65,535
    orientation=True,
    metadata=("icc", "exif", "xmp", "iptc", "resolution"),
    largest_block=_LARGEST_BLOCK,
    name_own=name_own,
    tail=True,
    lossless=False,
    quality=True,
)
