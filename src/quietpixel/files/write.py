"""Writing an image as its file was: depth, profile, metadata, encoding."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from quietpixel.errors import ArgumentError, FileError, ImageError
from quietpixel.files import tags, vips
from quietpixel.files.atomic import atomic_file, refuse_existing
from quietpixel.files.formats import FORMATS, find_format, format_of_name, writable_formats
from quietpixel.files.image_format import Format, Writer
from quietpixel.files.picture import (
    Picture,
    Pixels,
    describe_colour_numbers,
    mark_xmp,
    rescale,
    white_of,
)
from quietpixel.files.png import find_palette
from quietpixel.files.thumbnails import find_previews, renew_thumbnails

_MOST_IN_MEMORY = 1 << 26
"""Bytes of a result for a pipe that are kept in memory."""


def write_picture(
    picture: Picture,
    target: str | Path | BinaryIO,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    like: str | Path | None = None,
    backup: Path | None = None,
    on_complete: Callable[[BinaryIO], None] | None = None,
) -> tuple[str, ...]:
    """Write an image whole or not at all; return notes on what the format could not hold.

    Parameters
    ----------
    picture
        The image.
    target
        A path, or a binary file object to write to, such as standard output.
    format
        Name of the format. By default the suffix of `target` decides; if `target` has the
        suffix that the image came with, or none, its own format stays.
    quality
        Quality of a lossy format, 1 to 100. By default that of the source, as far as it is known.
    overwrite
        Whether an existing file is replaced.
    like
        A file whose owner, permissions, extended attributes and times the new one gets.
    backup
        Where a file that is replaced is kept.
    on_complete
        Called with the complete file before it gets its name; not for a stream.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and `overwrite` is false. Nothing is left then.
    ImageError
        If the format cannot hold the image; raised before any work.

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
    if quality is not None and not 1 <= quality <= 100:
        raise ArgumentError(
            f"`quality` must be between 1 and 100, where 100 loses least; got {quality}. Try 90."
        )
    kind = FORMATS[check_writable(picture, target, format=format)]
    # Before the file is opened, so that a failure leaves nothing.
    ready, notes = _fit(picture, kind)
    ready = renew_thumbnails(ready)
    options = {"overwrite": overwrite, "backup": backup, "on_complete": on_complete}
    with _opened(target, like=Path(like) if like else None, **options) as file:
        writer_of(kind)(ready, file, quality)
        file.write(ready.metadata.tail)
    previews = [find_previews(each.metadata.exif) for each in (picture, ready)]
    if "exif" in kind.metadata and previews[0] & previews[1]:
        notes += ("A thumbnail or preview in its EXIF stays as it was.",)
    return (*notes, *_describe_changes(picture, kind))


def _describe_changes(picture: Picture, kind: Format) -> Iterator[str]:
    """Say what became of content that not every format or result has."""
    same = picture.format == kind.name
    if size := len(picture.metadata.tail):
        yield (
            f"The {size:,} bytes after the image (a video, gain map or view) are kept as is."
            if same
            else f"The {size:,} bytes after the image were dropped, because {kind.name} does not "
            "hold a video, gain map or further view."
        )
    if not same and (missing := _find_missing(picture, kind)):
        yield f"The result does not hold {', '.join(missing)}, because {kind.name} has none."
    for name, data in (("EXIF", picture.metadata.exif), ("XMP", picture.metadata.xmp)):
        if data and len(data) > kind.largest_block:
            yield (
                f"The result does not hold {name}, of which {kind.name} holds at most "
                f"{kind.largest_block:,} bytes; there are {len(data):,}."
            )
    # GIF has its own palette in any case, and gray takes no more room in a BMP.
    larger = {
        "bmp": picture.colour == "rgb",
        "tiff": True,
        "png": picture.encoding.palette and find_palette(picture.pages[0]) is None,
    }
    if picture.encoding.palette and same and larger.get(kind.name):
        yield "The result is larger: its palette became full colours."


def _find_missing(picture: Picture, kind: Format) -> list[str]:
    """Name what a file of another format does not hold."""
    metadata, held = picture.rgb_metadata, {*kind.metadata}
    numbers = describe_colour_numbers(metadata)
    fields = {
        "the colour profile": metadata.icc and "icc" not in held,
        "EXIF": metadata.exif and "exif" not in held,
        # A packet of our own says no more than that the image was denoised.
        "XMP": metadata.xmp not in (None, mark_xmp(None)) and "xmp" not in held,
        "IPTC": metadata.iptc and "iptc" not in held,
        "the resolution": metadata.resolution and not {"resolution", "exif"} & held,  # EXIF has it
        numbers: numbers and "cicp" not in held,
        "smaller copies of its pages": picture.encoding.pyramid,
        "the timing of its frames": len(picture.pages) > 1
        and picture.encoding.delays
        and kind.name not in ("gif", "png", "webp"),
    }
    own = FORMATS[picture.format].name_own(metadata) if picture.format else ()
    return [*(name for name, lost in fields.items() if lost), *own]


def copy_file(source: Path | bytes, target: Path | BinaryIO, **options: Any) -> None:
    """Copy a file, or its bytes, whole or not at all.

    Parameters
    ----------
    source
        A file, or its bytes.
    target
        As for `write_picture`.
    **options
        `overwrite`, `like`, `backup` and `on_complete`, too.
    """
    with vips.open_binary(source) as content, _opened(target, **options) as file:
        shutil.copyfileobj(content, file, 1 << 20)


@contextlib.contextmanager
def _opened(target: str | Path | BinaryIO, **options: Any) -> Iterator[BinaryIO]:
    """Give a file to write to, which becomes `target` in the end, or a stream."""
    if isinstance(target, str | os.PathLike):
        with atomic_file(Path(target), **options) as file:
            yield file
        return
    try:
        # Some formats seek and read, which pipes and standard output do not allow.
        if isinstance(target, io.IOBase) and target.seekable() and target.readable():
            yield target
        else:
            with tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY) as between:
                yield cast(BinaryIO, between)
                between.seek(0)
                shutil.copyfileobj(between, target, 1 << 20)
        target.flush()
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"The image was not written to the stream: {error.strerror}.") from error


def check_writable(
    picture: Picture,
    target: str | Path | BinaryIO,
    *,
    format: str | None = None,
    overwrite: bool = True,
) -> str:
    """Return the name of the format that would be written, or raise an error if it cannot be.

    Raises
    ------
    ImageError
        If the format cannot hold the image.
    FileError
        If `target` is a folder, or exists and `overwrite` is false.

    Examples
    --------
    >>> check_writable(Picture.from_pixels(np.zeros((4, 6), np.uint16)), "a.tif")
    'tiff'
    """
    kind = FORMATS[choose_format(picture, target, format=format)]
    if isinstance(target, str | Path):
        refuse_existing(Path(target), overwrite=overwrite)
    writer_of(kind)
    objection = kind.objection(picture)
    if objection is not None:
        others = [FORMATS[name] for name in writable_formats()]
        holding = [each.name for each in others if each.lossless and not each.objection(picture)]
        *most, last = holding or ["pixels of type uint8, uint16 or float32"]
        instead = f"{', '.join(most)} or {last}" if most else last
        raise ImageError(
            f"The format {kind.name} cannot hold {objection}; choose {instead} instead."
        )
    return kind.name


def writer_of(kind: Format) -> Writer:
    """Return the writer of a format.

    Raises
    ------
    FileError
        If it is only read, or its package is missing.
    """
    if kind.write is None:
        raise FileError(
            f"The format {kind.name} can be read, but not written; choose one of "
            f"{', '.join(writable_formats())}."
        )
    kind.require_package()
    return kind.write


def choose_format(
    picture: Picture, target: str | Path | BinaryIO, *, format: str | None = None
) -> str:
    """Return the name of the format in which an image would be written.

    Raises
    ------
    FileError
        If the suffix of `target` is that of no format, or of one that is only read.
    """
    own = FORMATS.get(picture.format)
    replacement = own.replacement if own is not None else None
    path = Path(target) if isinstance(target, str | Path) else None
    if path is not None:
        _refuse_name(path)
    if format is not None:
        return find_format(format).name
    # A file whose suffix is wrong keeps suffix and format: what others expect of it stays.
    kept = "" if replacement else picture.suffix
    if path is None or path.suffix.lower() in ("", kept):
        return replacement or picture.format
    kind = format_of_name(path)
    if kind is None:
        raise FileError(
            f"'{target}' cannot be written because no format that quietpixel writes has the suffix "
            f"{path.suffix}; choose another suffix, or give `format`: "
            f"{', '.join(writable_formats())}."
        )
    return kind


def check_target(format: str, source: Path, target: Path) -> None:
    """Raise FileError if a file that is only read would be replaced, or a name would pretend.

    Parameters
    ----------
    format
        Name of the format of `source`.
    source, target
        Paths of the image and of its result.
    """
    replacement = FORMATS[format].replacement
    if replacement is not None and source.resolve() == target.resolve():
        raise FileError(
            f"'{source}' cannot be replaced because {FORMATS[format].title} files are only read, "
            f"and the result would be {replacement}; write it to another file."
        )
    _refuse_name(target)


def _refuse_name(target: Path) -> None:
    """Refuse a name of a format that is only read: the result would pass for an original."""
    named = FORMATS.get(format_of_name(target) or "")
    if named is not None and named.replacement is not None:
        instead = target.with_suffix(FORMATS[named.replacement].suffixes[0])
        raise FileError(
            f"'{target}' cannot be written because {named.title} files are only read; "
            f"choose '{instead}'."
        )


def turn_upright(picture: Picture) -> Picture:
    """Return the image with its orientation applied to the pixels.

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
    return replace(picture.with_type(pages), metadata=upright)


def turn_page(page: Pixels, orientation: int, *, back: bool = False) -> Pixels:
    """Return pixels as stored rotated upright, or with `back` the other way round.

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
    """Convert an image to what the format holds; return notes on what pixels lost."""
    if picture.format != kind.name:  # which alone understands these
        metadata = replace(picture.metadata, blocks=(), tail=b"", native=None)
        picture = replace(picture, metadata=metadata)
    if not kind.orientation and picture.metadata.orientation != 1:
        picture = turn_upright(picture)
    if picture.encoding.premultiplied and kind.name != picture.format:
        picture = _divide_by_alpha(picture)
    if picture.dtype.name in kind.dtypes:
        return picture, ()
    if picture.dtype == np.float16:
        pages = [page.astype(np.float32) for page in picture.pages]
        note = f"The pixels became float32, because {kind.name} has no float16."
    else:
        white = int(picture.maximum)
        pages = [rescale(page, white, 255).astype(np.uint8) for page in picture.pages]
        note = f"The 16 bits of each sample became 8, because {kind.name} holds no more."
    return replace(picture.with_type(pages), maximum=white_of(pages[0].dtype)), (note,)


def _divide_by_alpha(picture: Picture) -> Picture:
    """Return the image with colours that are not multiplied by alpha; 0 where alpha is 0."""
    pages, white = [], picture.maximum
    for page in picture.pages:
        colours, alpha = page[..., :-1].astype(np.float32) * white, page[..., -1:]
        straight = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
        if page.dtype.kind in "ui":
            straight = np.rint(straight).clip(0, white)
        pages.append(np.concatenate([straight.astype(page.dtype), alpha], axis=2))
    encoding = replace(picture.encoding, premultiplied=False)
    return replace(picture, pages=tuple(pages), encoding=encoding)
