"""The thumbnails that EXIF and Photoshop keep beside an image are made anew with it."""

import io
import struct
from collections.abc import Iterator
from dataclasses import replace

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.picture import Picture, Pixels
from quietpixel.files.tags import Reader

_OFFSET, _LENGTH = 513, 514  # tags of the second directory: where a JPEG lies, and its bytes
_QUALITIES = (90, 80, 65, 50, 30)
_IPTC, _THUMBNAIL = 1028, 1036  # image resources of Photoshop
_JPEG_SIZE, _JPEG = 20, 28  # places in the resource of a thumbnail


def renew_thumbnails(picture: Picture) -> Picture:
    """Return an image of 8 or 16 bits with new thumbnails in place of those it has."""
    metadata = picture.metadata
    if picture.dtype.name not in ("uint8", "uint16"):
        return picture
    page = picture.pages[0]
    colours = page[..., :-1] if picture.alpha else page
    exif = metadata.exif and _renew_exif(metadata.exif, colours)
    iptc = metadata.iptc and _renew_resources(metadata.iptc, colours)
    return replace(picture, metadata=replace(metadata, exif=exif, iptc=iptc))


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


def _shrink(pixels: Pixels, old: bytes) -> bytes | None:
    """Return a JPEG of the size of another one in no more bytes, so that no offset changes.

    Parameters
    ----------
    pixels
        uint8 or uint16 (H, W, 1 or 3), as stored.
    old
        The JPEG; for a damaged one the result is None.
    """
    try:
        shown = vips.open_page("jpegload", old)
    except vips.VipsError:
        return None
    small = vips.from_array(pixels).thumbnail_image(shown.width, height=shown.height)
    small = small.colourspace("b-w" if small.bands == 1 else "srgb")  # of 8 bits
    # Cameras put black bars around an image of another shape.
    small = small.gravity("centre", shown.width, shown.height)
    versions = (vips.save_bytes(small, "jpegsave", Q=quality) for quality in _QUALITIES)
    return next((each for each in versions if len(each) <= len(old)), None)
