"""The small copy of a photograph in its EXIF block, made anew from the denoised pixels."""

import io
import struct
from dataclasses import replace

from quietpixel.errors import FileError
from quietpixel.files import vips
from quietpixel.files.picture import Picture, Pixels
from quietpixel.files.tags import Reader

_OFFSET, _LENGTH = 513, 514  # tags of the second directory: where a JPEG lies, and its bytes
_QUALITIES = (90, 80, 65, 50, 30)


def renew_thumbnail(picture: Picture) -> Picture:
    """Return an image of 8 or 16 bits with a new thumbnail in its EXIF, if there is one."""
    if picture.metadata.exif is None or picture.dtype.name not in ("uint8", "uint16"):
        return picture
    page = picture.pages[0]
    exif = _renew(picture.metadata.exif, page[..., :-1] if picture.alpha else page)
    return replace(picture, metadata=replace(picture.metadata, exif=exif))


def _renew(exif: bytes, pixels: Pixels) -> bytes:
    """Return an EXIF block with the thumbnail of an image; the block itself if it has none.

    The new one has the size of the old and takes no more bytes, so that no offset changes.

    Parameters
    ----------
    exif
        Begins with the TIFF header.
    pixels
        uint8 or uint16 (H, W, 1 or 3), as stored.
    """
    try:
        reader = Reader(io.BytesIO(exif))
        following = reader.directory(reader.first)[1]
        found = reader.directory(following)[0]
        start, length = (int(found.first(tag, 0)) for tag in (_OFFSET, _LENGTH))
        old = vips.open_page("jpegload", exif[start : start + length])
    except (FileError, vips.VipsError):
        return exif  # without one, or damaged: nobody sees a thumbnail in it
    small = vips.from_array(pixels).thumbnail_image(old.width, height=old.height)
    small = small.colourspace("b-w" if small.bands == 1 else "srgb")  # of 8 bits
    # Cameras put black bars around an image of another shape.
    small = small.gravity("centre", old.width, old.height)
    versions = (vips.save_bytes(small, "jpegsave", Q=quality) for quality in _QUALITIES)
    new = next((each for each in versions if len(each) <= length), None)
    if new is None or start + length > len(exif):
        return exif
    changed = bytearray(exif)
    changed[start : start + length] = new.ljust(length, b"\0")
    struct.pack_into(reader.order + "I", changed, found.places[_LENGTH], len(new))
    return bytes(changed)
