"""Reading an image: the pixels as the file stores them, and everything else it carries."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from quietpixel.errors import MOST_PIXELS, FileError, ImageError
from quietpixel.files import tags
from quietpixel.files.formats import format_of_name, identify
from quietpixel.files.image_format import ReadLimits, Size
from quietpixel.files.picture import MARK, Picture

_SEARCHED = 1 << 23
"""Bytes at the start and the end of a file in which the mark is looked for."""


def read_picture(
    source: str | Path | bytes | BinaryIO,
    *,
    max_pixels: int = MOST_PIXELS,
    reserve: Callable[[int], None] | None = None,
    axes: str | None = None,
    part: str | None = None,
) -> Picture:
    """Read an image with everything that its file carries.

    The content decides the format, not the name. Rows are returned as stored: the orientation is
    kept beside them and not applied.

    Parameters
    ----------
    source
        A path, the bytes of a file, or a binary file object.
    max_pixels
        Largest number of pixels of all pages together; checked before memory is taken.
    reserve
        Called once with the bytes that the pixels take, before they are taken; it may wait.
    axes
        A letter for each dimension of a stack, as for `quietpixel.DenoiseOptions`; None takes what
        the file says.
    part
        Name of the image where a file holds several: a data set of HDF5, a part of FITS, a series
        of LIF. It may also follow the path, as in ``"file.h5::/images"``.

    Raises
    ------
    FileError
        If there is no file, it cannot be read, is damaged, or is of an unsupported format.
    ImageError
        If it is an image that cannot be used: too large, or with an unusual pixel layout.

    Examples
    --------
    >>> read_picture(b"P5 2 1 255 \\x00\\xff").pages[0].ravel().tolist()
    [0, 255]
    """
    with _naming(source):
        if isinstance(source, str | Path):
            source, named = split_name(source)
            part = part or named
        content = _open(source)
        kind = identify(content)
        if part is not None and not kind.named_images:
            raise ImageError(
                f"it is {kind.title}, whose images have no names; got '::{part}'. Omit it."
            )
        lost = kind.find_lost(content)
        picture = kind.read(content, ReadLimits(max_pixels, reserve, axes, part))
        picture = replace(picture, format=kind.name, lost=lost)
        if not kind.orientation:  # its decoder turns the pixels, so what EXIF says is out of date
            exif = picture.metadata.exif and tags.turn_upright(picture.metadata.exif)
            metadata = replace(picture.metadata, exif=exif, orientation=1)
            picture = replace(picture, metadata=metadata)
        picture = picture.with_notes(*(f"The result does not hold {each}." for each in lost))
        if axes and not kind.pages and set(axes.lower()) - set("yxsc"):
            note = f"`axes` has no effect on {kind.title}, which holds no stack."
            picture = picture.with_notes(note)
        # Bytes have no name that could promise another format.
        if isinstance(content, bytes):
            return picture
        picture = replace(picture, suffix=content.suffix.lower())
        promised = format_of_name(content)
        if promised in (None, kind.name):
            return picture
        return picture.with_notes(f"The name promises {promised}, but the file is {kind.name}.")


def split_name(name: str | Path) -> tuple[str, str | None]:
    """Return path and name of the image in a file, which may follow the path after two colons.

    The name of a file stays whole, as does one without a file before the colons, such as a URL.

    Examples
    --------
    >>> split_name(f"{__file__}::/entry/data")[1]
    '/entry/data'
    >>> split_name("a.png"), split_name("zip://a.tif::s3://bucket/b.zip")
    (('a.png', None), ('zip://a.tif::s3://bucket/b.zip', None))
    """
    path, _, part = str(name).partition("::")
    named = part and Path(path).exists() and not Path(name).exists()
    return (path, part) if named else (str(name), None)


def read_size(path: Path) -> Size:
    """Return the size that an image file declares in its header.

    Raises
    ------
    FileError, ImageError
        If the file cannot be read; damage behind the header is not found.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.pgm").write_bytes(b"P5 2 1 255 \\x00\\xff")
    ...     read_size(Path(folder) / "a.pgm")
    Size(height=1, width=2, colour=False)
    """
    with _naming(path):
        return identify(path).read_size(path)


def check_readable(source: str | Path) -> str:
    """Return the name of a file's format; only its first bytes are read.

    Raises
    ------
    FileError
        If it is missing or of an unsupported format, with the message of `read_picture`.
    """
    with _naming(source):
        return identify(_open(source)).name


def check_replaceable(source: Path, lost: tuple[str, ...] | None = None) -> None:
    """Raise unless a result may replace a file: one not read-only, whose content it all holds.

    Parameters
    ----------
    source
        The file.
    lost
        What was found before (`Picture.lost`); None to look into the file.

    Raises
    ------
    FileError
        With what the result would not hold, or how to make the file writable.
    """
    # Not os.access, which lets root write everywhere; a rename asks for no permission of the file.
    if not source.stat().st_mode & 0o222:
        raise FileError(
            f"'{source}' is not replaced because it is read-only; allow it by 'chmod u+w', or "
            "write the result to another file."
        )
    if lost is None:
        with _naming(source):
            lost = identify(source).find_lost(source)
    if lost:
        raise FileError(
            f"'{source}' is not replaced because the result would not hold {' or '.join(lost)}; "
            "write it to another file."
        )


@contextlib.contextmanager
def _naming(source: str | Path | bytes | BinaryIO) -> Iterator[None]:
    """Put the name of the source into errors."""
    if isinstance(source, str | Path):
        name = f"'{source}'"
    elif isinstance(source, bytes):
        name = "The data"
    else:
        name = f"'{getattr(source, 'name', 'the stream')}'"
    try:
        yield
    except (FileError, ImageError) as error:
        # The cause is that of libvips; the error without a name would only repeat the sentence.
        sentence, *fields = error.args
        named = type(error)(f"{name} cannot be read: {sentence}", *fields)
        named.unnamed = error
        raise named from error.__cause__
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise ImageError(f"{name} cannot be read: there is not enough memory for it.") from error


def _open(source: str | Path | bytes | BinaryIO) -> Path | bytes:
    if isinstance(source, bytes | bytearray | memoryview):  # views are copied: readers keep them
        return bytes(source)
    if not isinstance(source, str | Path):
        content = source.read()
        if isinstance(content, str):
            raise FileError("it is open as text; open it as binary, with mode 'rb'.")
        return content
    path = Path(source)
    if path.is_dir():
        raise FileError("it is a folder; give the name of a file in it.")
    if path.exists() and not path.is_file():
        raise FileError("it is not an ordinary file; give an image file, or its bytes.")
    return path


@dataclass(frozen=True)
class Content:
    """What identifies the content of a file.

    Parameters
    ----------
    size
        Bytes.
    digest
        SHA-256 in hex.
    marked
        Whether it carries the mark of a result.
    """

    size: int
    digest: str
    marked: bool


def inspect_content(source: Path | BinaryIO) -> Content:
    """Return what identifies a file, read once from its start.

    Every format writes XMP uncompressed, so the mark is found without decoding.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return inspect_content(file)
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    digest, marked, at, tail = hashlib.sha256(), False, 0, b""
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        # XMP lies before the pixels or behind them. Searching those too took 1.4 s for a gigabyte
        # instead of 0.8 s.
        if not marked and (at < _SEARCHED or at > size - _SEARCHED):
            marked = MARK.encode() in tail + chunk
        at += len(chunk)
        tail = chunk[-len(MARK) :]
    return Content(at, digest.hexdigest(), marked)
