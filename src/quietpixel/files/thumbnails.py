"""Thumbnails in EXIF, maker notes, Photoshop's block, JFIF and XMP are made anew with an image."""

import base64
import binascii
import hashlib
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.picture import Metadata, Picture, Pixels
from quietpixel.files.tags import Reader

_OFFSET, _LENGTH = 513, 514  # tags of the second directory: where a JPEG lies, and its bytes
_QUALITIES = (90, 80, 65, 50, 30)
_PIXELS_PER_BYTE = 64
"""Most of a thumbnail: the shortest JPEG takes 36 bits for 256 pixels, so one that states more,
such as 65500 x 65500, cannot be made anew in its room. Real ones have 20."""
_ALIKE = 0.9
"""Correlation from which a preview shows the image, at 16 x 16 pixels, which have little noise."""
_IPTC, _THUMBNAIL = 1028, 1036  # image resources of Photoshop
_JPEG_SIZE, _JPEG = 20, 28  # places in the resource of a thumbnail
_JFXX_JPEG, _JFXX_PALETTE, _JFXX_RGB = b"JFXX\0\x10", b"JFXX\0\x11", b"JFXX\0\x13"
_XMP_IMAGE = re.compile(rb"(GImg:image\s*(?:=\s*[\"']|>))([^\"'<]+)")
_SPACE = re.compile(rb"&#x?[0-9a-fA-F]+;|\s")  # line breaks in base64, also as references
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_GUID = len(EXTENDED_XMP)  # place of the MD5 of the whole packet in each of its segments
_OFFSET_IN_PACKET, _PART = _GUID + 36, _GUID + 40


def renew_thumbnails(picture: Picture) -> Picture:
    """Return an image of 8 or 16 bits with new thumbnails in place of those it has."""
    metadata = picture.metadata
    if picture.dtype.name not in ("uint8", "uint16"):
        return picture
    page = picture.pages[0]
    colours = page[..., :-1] if picture.alpha else page
    exif = metadata.exif and _renew_exif(_renew_previews(metadata.exif, colours), colours)
    iptc = metadata.iptc and _renew_resources(metadata.iptc, colours)
    xmp = metadata.xmp and _renew_xmp(metadata.xmp, colours)
    renewed = replace(metadata, exif=exif, iptc=iptc, xmp=xmp)
    if picture.format == "jpeg":
        blocks = ((name, _renew_jfif(data, colours)) for name, data in metadata.blocks)
        renewed = _renew_extended_xmp(replace(renewed, blocks=tuple(blocks)), colours)
    return replace(picture, metadata=renewed)


def _renew_exif(exif: bytes, pixels: Pixels) -> bytes:
    """Return an EXIF block with the thumbnail of an image; the block itself if it has none."""
    try:
        reader = Reader(io.BytesIO(exif))
        following = reader.directory(reader.first)[1]
        found = reader.directory(following)[0]
    except FileError:  # damaged
        return exif
    start, length = (int(found.first(tag, 0)) for tag in (_OFFSET, _LENGTH))
    new = _shrink(pixels, exif[start : start + length])
    if new is None or start + length > len(exif):
        return exif
    changed = bytearray(exif)
    changed[start : start + length] = new.ljust(length, b"\0")
    struct.pack_into(reader.order + "I", changed, found.places[_LENGTH], len(new))
    return bytes(changed)


def _renew_previews(exif: bytes, pixels: Pixels) -> bytes:
    """Return an EXIF block with new JPEGs in place of all that show the image.

    Maker notes have them in forms of their own, so that behind a shorter JPEG there are zeros. Some
    cameras note other pictures there, too, such as a face, which stay.
    """
    changed = bytearray(exif)
    for start, end in _walk_jpegs(exif):
        new = _shrink(pixels, exif[start:end])
        if new and _is_alike(exif[start:], new):
            changed[start:end] = new.ljust(end - start, b"\0")
    return bytes(changed)


def find_previews(exif: bytes | None) -> set[bytes]:
    """Return the JPEGs in an EXIF block."""
    return {exif[start:end] for start, end in _walk_jpegs(exif)} if exif else set()


def _walk_jpegs(exif: bytes) -> Iterator[tuple[int, int]]:
    end = 0
    while (start := exif.find(b"\xff\xd8\xff", end)) >= 0:
        end = exif.find(b"\xff\xd9", start) + 2
        if end < 2:
            return
        yield start, end


@vips.working()
def _is_alike(old: bytes, new: bytes) -> bool:
    """Return whether two JPEGs show the same."""
    try:
        images = (
            vips.open_page("jpegload", each).thumbnail_image(16, height=16, size="force")
            for each in (old, new)
        )
        first, second = (vips.to_array(each.colourspace("b-w"))[..., 0].ravel() for each in images)
    except vips.VipsError:
        return False
    return bool(np.ptp(first) and np.ptp(second) and np.corrcoef(first, second)[0, 1] > _ALIKE)


def _renew_resources(block: bytes, pixels: Pixels) -> bytes:
    """Return image resources of Photoshop with the thumbnail of an image, if they have one."""
    changed = bytearray(block)
    for number, start, end in _walk_resources(block):
        if number == _THUMBNAIL and (new := _shrink(pixels, block[start + _JPEG : end])):
            changed[start + _JPEG : end] = new.ljust(end - start - _JPEG, b"\0")
            struct.pack_into(">I", changed, start + _JPEG_SIZE, len(new))
    return bytes(changed)


def _walk_resources(block: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each image resource, and where its content begins and ends."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        name = block[at + 6] + 1
        start = at + 10 + name + (name & 1)
        size = int.from_bytes(block[start - 4 : start], "big")
        if start + size > len(block):
            return
        yield number, start, start + size
        at = start + size + (size & 1)


def as_resource(iptc: bytes) -> bytes:
    """Return IPTC as an image resource, the form that JPEG files have.

    Examples
    --------
    >>> as_resource(b"abc")
    b'8BIM\\x04\\x04\\x00\\x00\\x00\\x00\\x00\\x03abc\\x00'
    """
    return b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) & 1)


def _renew_jfif(segment: bytes, pixels: Pixels) -> bytes:
    """Return a segment of a JPEG with the thumbnail of an image, if it is of JFIF and has one."""
    if segment.startswith(_JFXX_JPEG):
        return _JFXX_JPEG + (_shrink(pixels, segment[6:]) or segment[6:])
    start = 12 if segment.startswith(b"JFIF\0") else 6
    width, height = segment[start : start + 2].ljust(2, b"\0")
    kinds = b"JFIF\0", _JFXX_PALETTE, _JFXX_RGB
    if not segment.startswith(kinds) or not width * height:
        return segment
    small = _resize(pixels, width, height)
    if segment.startswith(_JFXX_PALETTE):  # a JPEG has more colours in less room
        return _JFXX_JPEG + (_encode(small, len(segment)) or segment[6:])
    new = segment[: start + 2] + vips.to_array(small.colourspace("srgb")).tobytes()
    return new if len(new) <= len(segment) else segment


def _renew_xmp(xmp: bytes, pixels: Pixels) -> bytes:
    """Return XMP of the same length whose thumbnails (xmp:Thumbnails) are those of an image."""

    def renew(found: re.Match[bytes]) -> bytes:
        try:
            old = base64.b64decode(_SPACE.sub(b"", found[2]), validate=True)
        except binascii.Error:  # damaged
            return found[0]
        new = _shrink(pixels, old)
        return found[1] + base64.b64encode(new).ljust(len(found[2])) if new else found[0]

    return _XMP_IMAGE.sub(renew, xmp)


def _renew_extended_xmp(metadata: Metadata, pixels: Pixels) -> Metadata:
    """Return metadata of a JPEG with new thumbnails in XMP that is too long for one segment."""
    blocks = list(metadata.blocks)
    places = [at for at, (_, data) in enumerate(blocks) if data.startswith(EXTENDED_XMP)]
    places.sort(key=lambda at: blocks[at][1][_OFFSET_IN_PACKET:_PART])
    old = b"".join(blocks[at][1][_PART:] for at in places)
    new = _renew_xmp(old, pixels)
    if new == old:
        return metadata
    # The first XMP packet names the other one by its digest.
    guid = hashlib.md5(new, usedforsecurity=False).hexdigest().upper().encode()
    parts = io.BytesIO(new)
    for at in places:
        name, data = blocks[at]
        former = data[_GUID : _GUID + len(guid)]
        part = parts.read(len(data) - _PART)
        blocks[at] = name, EXTENDED_XMP + guid + data[_GUID + len(guid) : _PART] + part
    xmp = metadata.xmp and metadata.xmp.replace(former, guid)
    return replace(metadata, xmp=xmp, blocks=tuple(blocks))


@vips.working()
def _shrink(pixels: Pixels, old: bytes) -> bytes | None:
    """Return a JPEG of the size of another one in no more bytes, so that no offset changes.

    Parameters
    ----------
    pixels
        uint8 or uint16 (H, W, 1 or 3), as stored.
    old
        The JPEG; for a damaged one, or one that has few bytes for its size, the result is None.
    """
    try:
        shown = vips.open_page("jpegload", old)
    except vips.VipsError:
        return None
    if shown.width * shown.height > _PIXELS_PER_BYTE * len(old):
        return None
    return _encode(_resize(pixels, shown.width, shown.height), len(old))


def _resize(pixels: Pixels, width: int, height: int) -> Any:
    """Return a libvips image of 8 bits and exactly this size."""
    small = vips.from_array(pixels).thumbnail_image(width, height=height)
    small = small.colourspace("b-w" if small.bands == 1 else "srgb")
    # Cameras put black bars around an image of another shape.
    return small.gravity("centre", width, height)


def _encode(small: Any, most: int) -> bytes | None:
    """Return a JPEG of at most so many bytes, or None."""
    versions = (vips.save_bytes(small, "jpegsave", Q=quality) for quality in _QUALITIES)
    return next((each for each in versions if len(each) <= most), None)
