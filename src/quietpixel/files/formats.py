"""The registry of file formats.

The content of a file decides its format, never its name: `sniff` inspects the first bytes. Only
formats listed here ever reach a decoder, so none of libvips' many other loaders can be reached by
a file that pretends.
"""

from pathlib import PurePath

from quietpixel.errors import FileError, unknown_name
from quietpixel.files import (
    avif,
    bmp,
    exr,
    fits,
    gif,
    hdf5,
    heif,
    jp2,
    jpeg,
    jxl,
    microscopes,
    mrc,
    npy,
    png,
    pnm,
    radiance,
    raw,
    tiff,
    vips,
    webp,
)
from quietpixel.files.image_format import Format, Source, starts_with

HEAD = 4096
"""Bytes of a file by which its format is recognised."""

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        jpeg.FORMAT,
        png.FORMAT,
        tiff.FORMAT,
        webp.FORMAT,
        avif.FORMAT,
        bmp.FORMAT,
        gif.FORMAT,
        pnm.FORMAT,
        raw.FORMAT,
        heif.FORMAT,
        jxl.FORMAT,
        jp2.FORMAT,
        exr.FORMAT,
        radiance.FORMAT,
        npy.FORMAT,
        mrc.FORMAT,
        fits.FORMAT,
        hdf5.FORMAT,
        microscopes.CZI,
        microscopes.ND2,
        microscopes.LIF,
    )
}

# Recognised only to name them, since "not an image" would be wrong or of no help.
_UNSUPPORTED = (
    (starts_with(b"mif1", at=8), "a HEIF image", ""),
    (starts_with(b"8BPS"), "a Photoshop document", ""),
    (
        starts_with(b"DICM", at=128),
        "a DICOM image",
        "quietpixel is not for medical images, because a model may remove or invent findings",
    ),
    (starts_with(b"%PDF"), "a PDF document", ""),
    (starts_with(b"<svg"), "an SVG drawing", ""),
    (starts_with(b"<?xml"), "an XML file", ""),
    (starts_with(b"PK\x03\x04"), "a ZIP archive", ""),
    (starts_with(b"\x1f\x8b"), "a gzip archive", ""),
    (starts_with(b"AVI ", at=8), "an AVI video", ""),
    (starts_with(b"\x1aE\xdf\xa3"), "a Matroska or WebM video", ""),
    (starts_with(b"ftypqt  ", at=4), "a QuickTime video", ""),
    # The container of MP4; images in it have brands of their own, which come first.
    (starts_with(b"ftyp", at=4), "an MP4 video", ""),
)
"""Recognition, title, and what to do instead where that helps more than a list of formats."""


def sniff(head: bytes) -> Format:
    """Return the format that the first bytes of a file show.

    Parameters
    ----------
    head
        The first `HEAD` bytes, or all there are.

    Raises
    ------
    FileError
        If the bytes belong to no format that quietpixel reads.

    Examples
    --------
    >>> sniff(bytes.fromhex("89504e470d0a1a0a")).name
    'png'
    """
    if not head:
        raise FileError("the file is empty; there is no image in it.")
    for known in FORMATS.values():
        if known.recognise(head):
            return known
    other = "not an image of a supported format", ""
    # Known kinds that are not read get advice of their own.
    found = ((title, remedy) for recognise, title, remedy in _UNSUPPORTED if recognise(head))
    title, remedy = next(found, other)
    remedy = remedy or f"quietpixel reads {', '.join(FORMATS)}"
    raise FileError(f"the file is {title}; {remedy}.")


def identify(source: Source) -> Format:
    """Return the format of a file, whose reader is installed.

    Raises
    ------
    FileError
        If quietpixel does not read such files, or not without an optional package.
    """
    kind = sniff(vips.read_bytes(source, 0, HEAD))
    # The first bytes of most RAW files are those of any TIFF.
    if kind is tiff.FORMAT and raw.has_mosaic(source):
        kind = raw.FORMAT
    if kind.remedy is not None:
        raise FileError(
            f"{kind.title} files need an optional package; install it with {kind.remedy}."
        )
    return kind


def writable_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be written."""
    return tuple(name for name, known in FORMATS.items() if known.write is not None)


def find_format(name: str) -> Format:
    """Return the format called `name`, which may also be a suffix.

    Raises
    ------
    UnknownNameError
        If there is no such format.

    Examples
    --------
    >>> find_format("jpg").name
    'jpeg'
    """
    plain = name.lower().lstrip(".")
    # Asked as the suffix of a file, so that names and files have one table.
    plain = format_of_name(PurePath(f"a.{plain}")) or plain
    if plain not in FORMATS:
        raise unknown_name("image format", name, FORMATS)
    return FORMATS[plain]


def format_of_name(path: PurePath) -> str | None:
    """Return the name of the format that the suffix of a file promises, if any.

    Examples
    --------
    >>> format_of_name(PurePath("holiday.JPG"))
    'jpeg'
    """
    suffix = path.suffix.lower()
    return next((name for name, known in FORMATS.items() if suffix in known.suffixes), None)
