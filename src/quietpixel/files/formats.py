"""Which picture formats quietpixel knows: their names, suffixes, signatures and limits.

The content of a file decides its format, never its name: `sniff` looks at the first bytes. Only
formats listed here ever reach a decoder, so none of libvips' many other loaders can be reached by
a file that pretends.
"""

from dataclasses import dataclass
from pathlib import Path

from quietpixel.errors import FileError, unknown_name


@dataclass(frozen=True)
class Format:
    """What one file format can hold.

    Parameters
    ----------
    name
        The name used in code, on the command line and in messages.
    suffixes
        File name endings, the usual one first.
    dtypes
        Names of the NumPy types of pixels that the format holds.
    alpha
        Whether it holds transparency.
    pages
        Whether it holds more than one page.
    """

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    alpha: bool = True
    pages: bool = False


_NUMBERS = ("uint8", "uint16", "float16", "float32", "int8", "int16", "int32", "uint32")

FORMATS = {
    known.name: known
    for known in (
        Format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), ("uint8",), alpha=False),
        Format("png", (".png",), ("uint8", "uint16")),
        Format("tiff", (".tif", ".tiff"), _NUMBERS, pages=True),
        Format("webp", (".webp",), ("uint8",)),
        Format("avif", (".avif",), ("uint8", "uint16")),
        Format("bmp", (".bmp", ".dib"), ("uint8",)),
        Format("gif", (".gif",), ("uint8",)),
        Format(
            "pnm", (".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"), ("uint8", "uint16", "float32")
        ),
    )
}

SUFFIXES = {suffix: known.name for known in FORMATS.values() for suffix in known.suffixes}

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (8, b"WEBP", "webp"),
    (8, b"avif", "avif"),
    (8, b"avis", "avif"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"BM", "bmp"),
)

_STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (8, b"heic", "a HEIC picture"),
    (8, b"heix", "a HEIC picture"),
    (8, b"mif1", "a HEIF picture"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance HDR picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)


def sniff(head: bytes) -> str:
    """Return the name of the format that the first bytes of a file show.

    Parameters
    ----------
    head
        At least the first 32 bytes, or all there are.

    Raises
    ------
    FileError
        If the bytes belong to no format that quietpixel reads.

    Examples
    --------
    >>> sniff(bytes.fromhex("89504e470d0a1a0a"))
    'png'
    """
    if not head:
        raise FileError("the file is empty; there is no picture in it.")
    if head[:1] == b"P" and head[1:2] in b"1234567Ff" and head[2:3].isspace():
        return "pnm"
    name = _match(head, _SIGNATURES) or _brand(head)
    if name:
        return name
    stranger = _match(head, _STRANGERS) or "no picture that quietpixel knows"
    raise FileError(f"the file is {stranger}; quietpixel reads {known_formats()}.")


def _match(head: bytes, signatures: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((name for at, mark, name in signatures if head.startswith(mark, at)), None)


def _brand(head: bytes) -> str | None:
    """AVIF may name itself among the compatible brands only."""
    if head[4:8] != b"ftyp":
        return None
    return "avif" if b"avif" in head[8 : int.from_bytes(head[:4], "big")] else None


def known_formats() -> str:
    """Return the names of all formats, for messages."""
    return ", ".join(FORMATS)


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
    plain = SUFFIXES.get(f".{plain}", plain)
    if plain not in FORMATS:
        raise unknown_name("picture format", name, FORMATS)
    return FORMATS[plain]


def format_of_name(path: Path) -> str | None:
    """Return the format that a file's name promises, if any.

    Examples
    --------
    >>> format_of_name(Path("holiday.JPG"))
    'jpeg'
    """
    return SUFFIXES.get(path.suffix.lower())
