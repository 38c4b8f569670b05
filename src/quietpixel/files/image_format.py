"""What quietpixel has to know about a file format, as one record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from quietpixel.errors import FileError, TooLargeError
from quietpixel.files import vips
from quietpixel.files.picture import Metadata, Picture

Source = Path | bytes
"""A file, or its bytes."""

DEFAULT_QUALITY = 92
"""Quality of lossy files where the source does not state any."""


@dataclass(frozen=True)
class Size:
    """Height and width of the first page in pixels, whether it is in colour, and all pages."""

    height: int
    width: int
    colour: bool
    # Not compared, because a size is that of a page.
    pages: int = field(default=1, repr=False, compare=False)


@dataclass(frozen=True)
class ReadLimits:
    """What a reader asks once the header of a file is read, before it takes memory.

    Parameters
    ----------
    max_pixels
        Largest number of pixels of all pages together.
    on_reserve
        Called with the bytes that the pixels take; it may wait.
    axes
        A letter for each dimension of the file, as for `quietpixel.DenoiseOptions`; None takes what
        the file says.
    part
        Name of the image to read where a file may hold several, such as a data set of HDF5.
    """

    max_pixels: int
    on_reserve: Callable[[int], None] | None = None
    axes: str | None = None
    part: str | None = None

    def check(self, width: int, height: int, pages: int = 1) -> None:
        """Raise `TooLargeError` for an image of more than `max_pixels` pixels."""
        total = width * height * pages
        if total > self.max_pixels:
            stack = f" on each of {pages} pages" if pages > 1 else ""
            raise TooLargeError(
                f"it declares {width} x {height} pixels{stack}, {total:,} in all, and at most "
                f"{self.max_pixels:,} are read, to protect the memory; make it smaller",
                "max_pixels",
            )

    def reserve(self, size: int) -> None:
        """Announce `size` bytes, or wait until they are free."""
        if self.on_reserve is not None:
            with vips.resting():
                self.on_reserve(size)


Reader = Callable[[Source, ReadLimits], Picture]
Writer = Callable[[Picture, BinaryIO, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format: how it is recognised, read and written, and what it holds.

    The module of a format ends in such a record; `quietpixel.files.formats.FORMATS` lists them.

    Parameters
    ----------
    name
        Name in code, on the command line and in messages.
    title
        Name in running text and in the documentation.
    suffixes
        File name endings in lower case, the usual one first.
    media_type
        Media type (RFC 6838), for HTTP.
    recognise
        Whether the first `quietpixel.files.formats.HEAD` bytes are those of such a file.
    read
        Reads a file. It asks the limits before it takes memory, and raises `FileError` or
        `ImageError` with a sentence that follows "FILE cannot be read:".
    read_size
        Reads the size of the first page from the header.
    write
        Writes an image that the format holds to a binary file, with a quality of 1 to 100 or None;
        None for a format that is only read.
    replacement
        Name of the format of the results where it is only read; it must hold all that is read.
    package
        Module that the reader needs and the extra that installs it, such as ("rawpy", "raw").
    tested
        Whether the tests read such files; those of some instruments cannot be made here.
    find_lost
        Returns what a file holds and a result does not, in words; it reads no pixels.
    dtypes
        Names of the NumPy types of its pixels.
    colour
        Whether it holds colour; without, it is for gray images only.
    alpha
        Whether it holds transparency.
    opaque_dtypes
        Those of the types that it holds without transparency only.
    pages
        Whether it holds more than one page, as a stack or an animation.
    frames
        Whether it holds the frames of an animation, but no other pages.
    max_side
        Largest height and width in pixels.
    orientation
        Whether it has an orientation tag that readers obey; for other formats, pixels are rotated.
    metadata
        The fields of `Metadata` that it carries, also from files of other formats.
    largest_block
        Most bytes of EXIF, and of XMP.
    name_own
        Names what a file of another format does not hold of the metadata, besides its fields.
    tail
        Whether what follows the image in a file is kept: a video, a gain map, further views.
    named_images
        Whether a file may hold several images with names, one of which is asked for.
    lossless
        Whether it returns any pixels unchanged.
    quality
        Whether `quality` applies to it.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    media_type: str
    recognise: Callable[[bytes], bool]
    read: Reader
    read_size: Callable[[Source], Size]
    write: Writer | None = None
    replacement: str | None = None
    package: tuple[str, str] | None = None
    tested: bool = True
    find_lost: Callable[[Source], tuple[str, ...]] = lambda source: ()
    dtypes: tuple[str, ...] = ("uint8",)
    colour: bool = True
    alpha: bool = True
    opaque_dtypes: tuple[str, ...] = ()
    pages: bool = False
    frames: bool = False
    max_side: int = 2**31 - 1
    orientation: bool = False
    metadata: tuple[str, ...] = ()
    largest_block: int = 2**31 - 1
    name_own: Callable[[Metadata], tuple[str, ...]] = lambda metadata: ()
    tail: bool = False
    named_images: bool = False
    lossless: bool = True
    quality: bool = False

    def require_package(self) -> None:
        """Raise `FileError` where the package that the reader needs is missing."""
        if self.remedy is not None:
            raise FileError(
                f"{self.title} files need an optional package; install it with {self.remedy}."
            )

    @property
    def remedy(self) -> str | None:
        """The command that installs what the reader needs; None where nothing is missing."""
        if self.package is None or find_spec(self.package[0]) is not None:
            return None
        return f"pip install 'quietpixel[{self.package[1]}]'"

    def objection(self, picture: Picture) -> str | None:
        """Return what of an image the format cannot hold, such as "transparency"; None if all.

        Unsigned integers of 16 bits fit formats of 8, and float16 those of float32, because the
        writer converts them and says so.
        """
        dtype, alpha, (width, height) = picture.dtype, picture.alpha, picture.size
        # Only animations have durations.
        several = len(picture.pages) > 1 and not (self.frames and picture.encoding.delays)
        converted = {"uint16": "uint8", "float16": "float32"}.get(dtype.name)
        rules = {
            "colour": picture.colour == "rgb" and not self.colour,
            "transparency": alpha and not self.alpha,
            f"the image's {len(picture.pages)} pages": several and not self.pages,
            "floating-point pixels": dtype.kind == "f" and "float32" not in self.dtypes,
            f"{dtype} pixels with transparency": alpha and dtype.name in self.opaque_dtypes,
            f"pixels of type {dtype}": not {dtype.name, converted} & {*self.dtypes},
            f"{width} x {height} pixels": max(width, height) > self.max_side,
        }
        return next((content for content, broken in rules.items() if broken), None)


def damaged(reason: object = "") -> FileError:
    """Return the error for a file that cannot be decoded.

    Examples
    --------
    >>> str(damaged("no marker"))
    'the file is damaged or cut short (no marker); get a whole copy of it.'
    """
    why = f" ({reason})" if reason else ""
    return FileError(f"the file is damaged or cut short{why}; get a whole copy of it.")


def refuse_short(found: int, expected: int) -> None:
    """Raise `FileError` for a file with fewer bytes than expected."""
    if found < expected:
        raise FileError(
            f"the file is cut short ({expected - found:,} bytes are missing); get a whole copy."
        )


def starts_with(*marks: bytes, at: int = 0) -> Callable[[bytes], bool]:
    """Return a function that says whether one of `marks` is at an offset of the bytes given.

    Examples
    --------
    >>> starts_with(b"GIF87a", b"GIF89a")(b"GIF89a ...")
    True
    """
    return lambda head: head.startswith(marks, at)
