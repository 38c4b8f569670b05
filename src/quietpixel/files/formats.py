"""The registry of file formats.

The content of a file decides its format, never its name: `sniff` inspects the first bytes. Only
formats listed here ever reach a decoder, so none of libvips' many other loaders can be reached by
a file that pretends.
"""

from importlib import import_module
from pathlib import PurePath

from quietpixel.errors import FileError, unknown_name
from quietpixel.files import microscopes, raw, tiff, vips
from quietpixel.files.image_format import Format, Source

HEAD = 4096
"""Bytes of a file by which its format is recognised."""

_MODULES = (
    "jpeg", "png", "tiff", "webp", "avif", "bmp", "gif", "pnm", "raw", "heif", "jxl", "jp2", "exr",
    "radiance", "npy", "mrc", "fits", "hdf5",
)  # fmt: skip
_RECORDS = (import_module(f"quietpixel.files.{name}").FORMAT for name in _MODULES)
FORMATS: dict[str, Format] = {each.name: each for each in (*_RECORDS, *microscopes.FORMATS)}

# Recognised only to name them, since "not an image" would be wrong or of no help.
_UNSUPPORTED = (
    (8, b"mif1", "a HEIF image"),
    (0, b"8BPS", "a Photoshop document"),
    (128, b"DICM", "a DICOM image; quietpixel is not for medical images, because a model may "
                   "remove or invent findings"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (8, b"AVI ", "an AVI video"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (4, b"ftypqt  ", "a QuickTime video"),
    # The container of MP4; images in it have brands of their own, which come first.
    (4, b"ftyp", "an MP4 video"),
)  # fmt: skip
"""Offset, signature and title, with advice where that helps more than a list of formats."""


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
        raise FileError("the file is empty; get a whole copy of it.")
    for known in FORMATS.values():
        if known.recognise(head):
            return known
    found = (title for at, mark, title in _UNSUPPORTED if head.startswith(mark, at))
    title = next(found, "not an image of a supported format")
    advice = f"; convert it to a format that quietpixel reads: {', '.join(FORMATS)}"
    raise FileError(f"the file is {title}{'' if ';' in title else advice}.")


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
    kind.require_package()
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
        raise unknown_name("image format", name, writable_formats())  # names are of results
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
