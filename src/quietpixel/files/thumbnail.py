"""The small copy of a photograph in its EXIF block, made anew from the denoised pixels."""

import struct
from dataclasses import replace

from quietpixel.files import vips
from quietpixel.files.picture import Picture, Pixels

_OFFSET, _LENGTH = 513, 514  # tags of the second directory: where a JPEG lies, and its bytes
_QUALITIES = (90, 80, 65, 50, 30)
_BLOCKS = {"jpeg": ("e1", b"Exif\0\0"), "png": ("eXIf", b""), "webp": ("EXIF", b"")}
"""Kind and prefix of the block that holds EXIF, in formats whose blocks are carried over."""


def renew_thumbnails(picture: Picture) -> Picture:
    """Return the image with new thumbnails of 8 or 16 bits in its EXIF, wherever that lies."""
    if picture.dtype.name not in ("uint8", "uint16"):
        return picture
    page, metadata = picture.pages[0], picture.metadata
    colours = page[..., :-1] if picture.alpha else page
    kind, prefix = _BLOCKS.get(picture.format, ("", b""))
    blocks = tuple(
        (name, prefix + renew_thumbnail(data.removeprefix(prefix), colours))
        if name == kind and data.startswith(prefix)
        else (name, data)
        for name, data in metadata.blocks
    )
    exif = renew_thumbnail(metadata.exif, colours) if metadata.exif else None
    return replace(picture, metadata=replace(metadata, exif=exif, blocks=blocks))


def renew_thumbnail(exif: bytes, pixels: Pixels) -> bytes:
    """Return an EXIF block with the thumbnail of an image; the block itself if it has none.

    The new one has the size of the old and takes no more bytes, so that no offset changes.

    Parameters
    ----------
    exif
        Begins with the TIFF header.
    pixels
        uint8 or uint16 (H, W, 1 or 3), as stored.
    """
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        (at,) = struct.unpack_from(order + "I", exif, at + 2 + 12 * count)
        (count,) = struct.unpack_from(order + "H", exif, at)
        entries = range(at + 2, at + 2 + 12 * count, 12)
        places = {struct.unpack_from(order + "H", exif, each)[0]: each + 8 for each in entries}
        if at == 0 or not {_OFFSET, _LENGTH} <= places.keys():
            return exif
        (start,) = struct.unpack_from(order + "I", exif, places[_OFFSET])
        (length,) = struct.unpack_from(order + "I", exif, places[_LENGTH])
        old = vips.open_page("jpegload", exif[start : start + length])
    except (struct.error, vips.VipsError):
        return exif  # damaged: nobody sees a thumbnail in it
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
    struct.pack_into(order + "I", changed, places[_LENGTH], len(new))
    return bytes(changed)
