"""Reading a picture: the pixels as the file stores them, and everything else it carries."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from quietpixel.errors import FileError, ImageError, TooLargeError
from quietpixel.files import bmp, cmyk, pnm, vips
from quietpixel.files.formats import format_of_name, sniff
from quietpixel.files.headers import FACTS, explain, open_page
from quietpixel.files.picture import Encoding, Metadata, Picture, Pixels, white_of

Source = str | Path | bytes | BinaryIO

_HARMLESS = re.compile("not sorted in ascending order|Unknown field with tag|read gave")
_GRAY = {"b-w", "grey16"}
_RGB = {"srgb", "rgb16", "rgb", "scrgb"}


@dataclass(frozen=True)
class _Gate:
    """What is asked when a file has declared its size, before memory is taken."""

    max_pixels: int
    reserve: Callable[[int], None] | None = None

    def check(self, width: int, height: int, pages: int = 1) -> None:
        total = width * height * pages
        if total > self.max_pixels:
            stack = f" on each of {pages} pages" if pages > 1 else ""
            raise TooLargeError(
                f"it declares {width} x {height} pixels{stack}, {total:,} in all, and `max_pixels` "
                f"is {self.max_pixels:,} to protect the memory; raise `max_pixels` if the file can "
                "be trusted."
            )

    def announce(self, size: int) -> None:
        if self.reserve is not None:
            self.reserve(size)


def read_picture(
    source: Source,
    *,
    max_pixels: int = 500_000_000,
    reserve: Callable[[int], None] | None = None,
) -> Picture:
    """Read a picture with everything that its file carries.

    The content decides the format, not the name. Rows are returned as stored: the orientation is
    kept beside them and not applied.

    Parameters
    ----------
    source
        A path, the bytes of a file, or a binary file object.
    max_pixels
        The most pixels, over all pages, that are read; checked before memory is taken.
    reserve
        Called once with the bytes that the pixels take, before they are taken; it may wait.

    Raises
    ------
    FileError
        If there is no file, it cannot be read, is damaged, or is of a format not known here.
    ImageError
        If it is a picture that cannot be used: too large, or with an unusual pixel layout.

    Examples
    --------
    >>> read_picture(b"P5 2 1 255 \\x00\\xff").pages[0].ravel().tolist()
    [0, 255]
    """
    with _naming(source):
        return _read(_open(source), _Gate(max_pixels, reserve))


def check_readable(source: str | Path) -> None:
    """Raise unless a file is there and begins like a picture; only its first bytes are read.

    Raises
    ------
    FileError
        With the sentence that `read_picture` would say.
    """
    with _naming(source):
        sniff(vips.read_bytes(_open(source), 0, 64))


@contextlib.contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Put the name of what is read into its errors."""
    name = _name_of(source)
    try:
        yield
    except (FileError, ImageError) as error:
        raise type(error)(f"{name} cannot be read: {error}") from error.__cause__
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise ImageError(f"{name} cannot be read: there is not enough memory for it.") from error


def _name_of(source: Source) -> str:
    if isinstance(source, str | Path):
        return f"'{source}'"
    return "The data" if isinstance(source, bytes) else f"'{getattr(source, 'name', 'the stream')}'"


def _open(source: Source) -> Path | bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | Path):
        return source.read()
    path = Path(source)
    if path.is_dir():
        raise FileError("it is a folder; give the name of a file in it.")
    if path.exists() and not path.is_file():
        raise FileError("it is not an ordinary file; give a picture file, or its bytes.")
    return path


def _read(source: Path | bytes, gate: _Gate) -> Picture:
    name = sniff(vips.read_bytes(source, 0, 64))
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if name in ("bmp", "pnm"):
        picture = _read_plain(name, source, gate)
    else:
        picture = _read_by_vips(name, source, gate)
    return replace(picture, suffix=suffix).with_notes(*_name_notes(source, name))


def _name_notes(source: Path | bytes, name: str) -> tuple[str, ...]:
    promised = format_of_name(source) if isinstance(source, Path) else None
    if promised in (None, name):
        return ()
    return (f"The name promises {promised}, but the file is {name}.",)


def _read_plain(name: str, source: Path | bytes, gate: _Gate) -> Picture:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size

    def check(width: int, height: int) -> None:
        gate.check(width, height)
        gate.announce(max(size, 4 * width * height))  # not compressed: the file tells the depth

    read = bmp.read if name == "bmp" else pnm.read
    with vips.open_binary(source) as file:
        return read(file, check)


def _read_by_vips(name: str, source: Path | bytes, gate: _Gate) -> Picture:
    _check_canvas(name, source, gate)
    metadata, encoding, notes = FACTS[name](source)
    with vips.collect_warnings() as warnings:
        picture = _decode(name, source, (metadata, encoding), gate)
    if name == "jpeg" and any(_may_be_cut(text) for text in warnings):
        _refuse_filled(source)
    return picture.with_notes(*notes, *_warning_notes(warnings))


def _decode(
    name: str, source: Path | bytes, facts: tuple[Metadata, Encoding], gate: _Gate
) -> Picture:
    """Open and decode; on return libvips has closed the file and said all its warnings."""
    try:
        return _assemble(name, _open_pages(name, source, facts[0], gate), *facts)
    except vips.VipsError as error:
        raise explain(error) from error


def _may_be_cut(warning: str) -> bool:
    """Tell whether a warning says that data ended early; threads can rob it of its words."""
    return "premature end" in warning or not _plain(warning)


def _plain(warning: str) -> str:
    return re.sub(r"^VIPS:\s*", "", warning).rstrip(".")


def _refuse_filled(source: Path | bytes) -> None:
    """Decode a JPEG once more, strictly: where data was missing, gray would have been put in."""
    try:
        vips.to_array(open_page("jpeg", source, 0, fail_on="warning"))
    except vips.VipsError as error:
        raise vips.damaged(error) from error


def _warning_notes(warnings: vips.Warnings) -> tuple[str, ...]:
    if warnings.shared:
        return ()
    plain = dict.fromkeys(_plain(text) for text in warnings)
    telling = (text for text in plain if text and not _HARMLESS.search(text))
    return tuple(f"The decoder warned: {text}." for text in telling)[:5]


def _open_pages(name: str, source: Path | bytes, metadata: Metadata, gate: _Gate) -> list[Any]:
    """Open every page without decoding it, and check the size that all declare together."""
    numbers = [page.number for page in metadata.directories] or [0]
    count = len(numbers)
    images = [open_page(name, source, number) for number in numbers]
    first = images[0]
    gate.check(first.width, first.height, count)
    for number, image in enumerate(images[1:], start=2):
        _check_same(first, image, number)
    gate.announce(count * vips.bytes_of(first))
    return images


def _check_canvas(name: str, source: Path | bytes, gate: _Gate) -> None:
    """GIF takes memory for its canvas as soon as it is opened."""
    if name == "gif":
        head = vips.read_bytes(source, 6, 4)
        sides = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little")
        gate.check(*sides)


def _check_same(first: Any, image: Any, number: int) -> None:
    def layout(page: Any) -> tuple[Any, ...]:
        return page.width, page.height, page.bands, page.format, page.interpretation

    if layout(first) != layout(image):
        raise ImageError(
            f"its page {number} is {image.width} x {image.height} with {image.bands} channels of "
            f"{image.format}, unlike its first page ({first.width} x {first.height}, "
            f"{first.bands}, {first.format}); split the file into one file for each kind of page."
        )


def _assemble(name: str, images: list[Any], metadata: Metadata, encoding: Encoding) -> Picture:
    """Decode the pages and say what their channels mean."""
    interpretation, bands = images[0].interpretation, images[0].bands
    notes: tuple[str, ...] = ()
    if interpretation == "cmyk":
        pages, stored, notes = _decode_cmyk(images, metadata.icc)
        encoding, bands = replace(encoding, cmyk=stored), bands - 1
    else:
        pages = tuple(vips.to_array(image) for image in images)
    if name == "gif":
        pages = tuple(_without_full_alpha(page) for page in pages)
        bands = pages[0].shape[2]
    colour, alpha = _channels(interpretation, bands)
    pages = tuple(_as_stored(page, metadata) for page in pages)
    return Picture(
        pages=pages, format=name, colour=colour, alpha=alpha, maximum=white_of(pages[0].dtype),
        metadata=metadata, encoding=encoding, notes=notes,
    )  # fmt: skip


def _decode_cmyk(
    images: list[Any], profile: bytes | None
) -> tuple[tuple[Pixels, ...], tuple[Pixels, ...], tuple[str, ...]]:
    stored = tuple(vips.to_array(image) for image in images)
    pages, notes = cmyk.to_rgb(stored, profile)
    return pages, stored, notes


def _as_stored(page: Pixels, metadata: Metadata) -> Pixels:
    """Half floats come from libvips as float32; give them back as the file has them."""
    if metadata.directories and metadata.directories[0].is_half_float:
        return page.astype(np.float16)
    return page


def _without_full_alpha(page: Pixels) -> Pixels:
    """Drop the transparency that GIF decoding adds where nothing is transparent."""
    opaque = page.shape[2] in (2, 4) and bool((page[:, :, -1] == 255).all())
    return page[:, :, :-1] if opaque else page


def _channels(interpretation: str, bands: int) -> tuple[Literal["gray", "rgb"], bool]:
    if interpretation in _GRAY | {"multiband"} and bands in (1, 2):
        return "gray", bands == 2
    if interpretation in _RGB | {"cmyk", "multiband"} and bands in (3, 4):
        return "rgb", bands == 4
    raise ImageError(
        f"it has {bands} channels of kind '{interpretation}'; only gray or RGB, with or without "
        "one alpha channel, and CMYK can be used. Convert it or split its channels first."
    )
