"""Writing a picture the way its file was: depth, profile, metadata, coding."""

import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from quietpixel.errors import ArgumentError, FileError, ImageError
from quietpixel.files import tags
from quietpixel.files.atomic import atomic_file, refuse_existing
from quietpixel.files.encode import ENCODERS
from quietpixel.files.formats import FORMATS, Format, find_format, format_of_name, known_formats
from quietpixel.files.picture import Picture, Pixels, white_of

_UPRIGHT_ONLY = ("avif", "bmp", "gif", "pnm")
"""Formats without an orientation tag that readers go by: pixels are turned on the way there."""


def write_picture(
    picture: Picture,
    target: str | Path | BinaryIO,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    like: str | Path | None = None,
) -> tuple[str, ...]:
    """Write a picture whole or not at all; return notes on what the format could not hold.

    Parameters
    ----------
    picture
        What to write.
    target
        A path, or a binary file object to write to, such as standard output.
    format
        Name of the format. By default the suffix of `target` decides; where `target` has the
        suffix that the picture came with, or none, the picture's own format stays.
    quality
        JPEG, WebP or AVIF quality, 1 to 100. By default that of the source, as far as it is known.
    overwrite
        Whether a file that is there is replaced.
    like
        A file whose permissions and modification time the new one gets.

    Raises
    ------
    FileError
        If the file cannot be written, or is there and `overwrite` is false. Nothing is left then.
    ImageError
        If the format cannot hold the picture; said before any work.

    Examples
    --------
    >>> import io
    >>> stream = io.BytesIO()
    >>> picture = Picture.from_pixels(np.zeros((4, 6, 3), np.uint8))
    >>> write_picture(picture, stream, format="png")
    ()
    >>> stream.getvalue()[1:4]
    b'PNG'
    """
    _check_quality(quality)
    kind = check_writable(picture, target, format=format)
    ready, notes = _fit(picture, FORMATS[kind])
    if isinstance(target, str | os.PathLike):
        with atomic_file(
            Path(target), overwrite=overwrite, like=Path(like) if like else None
        ) as file:
            ENCODERS[kind](ready, file, quality)
    else:
        _stream(ready, target, kind, quality)
    return notes


def _stream(picture: Picture, target: BinaryIO, kind: str, quality: int | None) -> None:
    try:
        ENCODERS[kind](picture, target, quality)
        target.flush()
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"The picture was not written to the stream: {error.strerror}.") from error


def check_writable(
    picture: Picture,
    target: str | Path | BinaryIO,
    *,
    format: str | None = None,
    overwrite: bool = True,
) -> str:
    """Return the name of the format that would be written, or say why it cannot be.

    Raises
    ------
    ImageError
        If the format cannot hold the picture.
    FileError
        If `target` is a folder, or is there and `overwrite` is false.

    Examples
    --------
    >>> check_writable(Picture.from_pixels(np.zeros((4, 6), np.uint16)), "a.tif")
    'tiff'
    """
    kind = choose_format(picture, target, format=format)
    if isinstance(target, str | Path):
        refuse_existing(Path(target), overwrite=overwrite)
    _check_holds(picture, FORMATS[kind])
    return kind


def choose_format(
    picture: Picture, target: str | Path | BinaryIO, *, format: str | None = None
) -> str:
    """Return the name of the format that a picture would be written in."""
    if format is not None:
        return find_format(format).name
    if not isinstance(target, str | Path):
        return picture.format
    path = Path(target)
    if path.suffix.lower() in ("", picture.suffix):
        return picture.format
    kind = format_of_name(path)
    if kind is None:
        raise FileError(
            f"'{target}' cannot be written because its ending, {path.suffix}, is of no format that "
            f"quietpixel writes: {known_formats()}. Choose another ending, or say the format."
        )
    return kind


def _check_quality(quality: int | None) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise ArgumentError(
            f"`quality` must be between 1 and 100, where 100 loses least; got {quality}. Try 90."
        )


def _check_holds(picture: Picture, kind: Format) -> None:
    width, height = picture.size
    if picture.alpha and not kind.alpha:
        raise _cannot(kind, "transparency", "png, tiff or webp")
    if len(picture.pages) > 1 and not kind.pages:
        raise _cannot(kind, f"the picture's {len(picture.pages)} pages", "tiff")
    if picture.dtype.kind == "f" and "float32" not in kind.dtypes:
        raise _cannot(kind, "floating-point pixels", "tiff, or pnm for float32")
    if picture.dtype.kind == "f" and kind.name == "pnm" and picture.alpha:
        raise _cannot(kind, "floating-point pixels with transparency", "tiff")
    if picture.dtype.name not in kind.dtypes and picture.dtype.name not in ("uint16", "float16"):
        raise _cannot(kind, f"pixels of type {picture.dtype}", "tiff")
    most = {"webp": 16383, "jpeg": 65535, "avif": 65535, "gif": 65535}.get(kind.name, 2**31 - 1)
    if max(width, height) > most:
        raise _cannot(kind, f"{width} x {height} pixels", "tiff or png")


def _cannot(kind: Format, what: str, instead: str) -> ImageError:
    return ImageError(f"The format {kind.name} cannot hold {what}; choose {instead} instead.")


def turn_upright(picture: Picture) -> Picture:
    """Return the picture with its orientation carried out on the pixels.

    Examples
    --------
    >>> lying = Picture.from_pixels(np.zeros((2, 3), np.uint8))
    >>> lying = replace(lying, metadata=replace(lying.metadata, orientation=6))
    >>> turn_upright(lying).size
    (2, 3)
    """
    metadata = picture.metadata
    pages = tuple(turn_page(page, metadata.orientation) for page in picture.pages)
    exif = tags.turn_upright(metadata.exif) if metadata.exif else None
    upright = replace(metadata, orientation=1, exif=exif)
    return replace(_retyped(picture, pages), maximum=picture.maximum, metadata=upright)


def turn_page(page: Pixels, orientation: int, *, back: bool = False) -> Pixels:
    """Return pixels as stored turned upright, or with `back` the other way round.

    Parameters
    ----------
    page
        (H, W) or (H, W, C).
    orientation
        EXIF: 2 mirrored, 3 upside down, 4 flipped, 5 to 8 lying on a side.
    """
    if back and orientation in (6, 8):
        orientation = 14 - orientation  # the others undo themselves
    if orientation in (2, 4, 5, 7):
        page = page[:, ::-1]
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(page, quarters))


def _fit(picture: Picture, kind: Format) -> tuple[Picture, tuple[str, ...]]:
    """Turn the pixels into a type that the format holds, and say what was given up."""
    if kind.name in _UPRIGHT_ONLY and picture.metadata.orientation != 1:
        picture = turn_upright(picture)
    if picture.dtype.name in kind.dtypes:
        return picture, ()
    if picture.dtype == np.float16:
        return _retyped(picture, tuple(page.astype(np.float32) for page in picture.pages)), (
            f"The pixels became float32, because {kind.name} has no float16.",
        )
    pages = tuple(_to_bytes(page, picture.maximum) for page in picture.pages)
    return _retyped(picture, pages), (
        f"The 16 bits of each sample became 8, because {kind.name} holds no more.",
    )


def _to_bytes(page: Pixels, maximum: float) -> Pixels:
    scaled = (page.astype(np.uint32) * 255 + int(maximum) // 2) // int(maximum)
    return np.minimum(scaled, 255).astype(np.uint8)


def _retyped(picture: Picture, pages: tuple[Pixels, ...]) -> Picture:
    encoding = replace(picture.encoding, cmyk=None)
    return replace(picture, pages=pages, maximum=white_of(pages[0].dtype), encoding=encoding)
