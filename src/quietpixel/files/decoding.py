"""Decoding: with libvips, which means checking the size and naming the channels, or imagecodecs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from quietpixel.errors import ImageError
from quietpixel.files import cmyk, vips
from quietpixel.files.frames import reserve_frames, store_frames
from quietpixel.files.image_format import ReadLimits, Size, Source, damaged
from quietpixel.files.picture import Picture, Pixels

_HARMLESS = re.compile("not sorted in ascending order|Unknown field with tag|read gave")


def size_reader(loader: str, number: int | None = None) -> Callable[[Source], Size]:
    """Return a function that reads the size of a page with one of libvips' loaders."""

    @vips.working()
    def read_size(source: Source) -> Size:
        with vips.decoding_errors():
            image = vips.open_page(loader, source, number)
        # Of AVIF only the first image is read.
        several = loader != "heifload" and "n-pages" in image.get_fields()
        pages = image.get("n-pages") if several else 1
        return Size(image.height, image.width, colour=image.bands >= 3, pages=pages)

    return read_size


def read_pages(
    loader: str,
    source: Source,
    header: Picture,
    limits: ReadLimits,
    *,
    numbers: Sequence[int | None] = (None,),
    frames: bool = False,
    opaque: bool = False,
    fail_on: str = "error",
    fatal: str | None = None,
) -> Picture:
    """Decode the pages of a file.

    Parameters
    ----------
    loader
        Name of libvips' loader.
    source
        The file.
    header
        What was read before: format, metadata, encoding and notes, without pages.
    limits
        Asked with the size that the file declares, before memory is taken.
    numbers
        Numbers of the pages; None for the loader's default.
    frames
        Whether the pages are all frames of an animation, each as it is shown.
    opaque
        Whether alpha is ignored, which decoders add to colours without any.
    fail_on
        The least damage that is an error, by libvips' name.
    fatal
        Pattern of the warnings that are errors, because pixels are missing.
    """
    numbers = () if frames else numbers
    decode = partial(
        _decode, loader, source, header, numbers=numbers, opaque=opaque, fail_on=fail_on
    )
    with vips.collect_warnings() as warnings, vips.decoding_errors():
        picture = decode(limits)
    if warnings.shared or "" in warnings:  # another thread's warnings, or its hand on the texts
        del picture
        limits = replace(limits, on_reserve=None)  # its memory is reserved already
        with vips.working(alone=True), vips.collect_warnings() as warnings, vips.decoding_errors():
            picture = decode(limits)
    for text in warnings:
        if fatal and re.search(fatal, text, re.IGNORECASE):
            raise damaged(text)
    telling = (text for text in dict.fromkeys(warnings) if text and not _HARMLESS.search(text))
    # Damaged files can cause thousands of different warnings.
    return picture.with_notes(*[f"The decoder warned: {text}." for text in telling][:5])


@vips.working()
def _decode(
    loader: str,
    source: Source,
    header: Picture,
    limits: ReadLimits,
    *,
    numbers: Sequence[int | None],
    opaque: bool,
    fail_on: str,
) -> Picture:
    """Decode pages, or frames where there are no `numbers`; when it returns, the file is closed."""
    # Opening reads headers only, so all pages can be compared before memory is taken.
    # An animation is opened as one tall image: frames build on each other, so that decoding them
    # one by one would take quadratic time.
    images = [vips.open_page(loader, source, number, fail_on=fail_on) for number in numbers]
    first = images[0] if images else vips.open_page(loader, source, n=-1)
    if opaque and first.bands == 4:
        first = first.extract_band(0, n=3)
    count = len(images) or max(first.get_n_pages(), 1)
    limits.check(first.width, first.height // (1 if images else count), count)
    for number, image in enumerate(images[1:], start=2):
        if _layout(first) != _layout(image):
            raise ImageError(
                f"its page {number} is {image.width} x {image.height} with {image.bands} channels "
                f"of {image.format}, unlike its first page ({first.width} x {first.height}, "
                f"{first.bands}, {first.format}); split the file into one file per kind of page."
            )
    header = add_fields(header, first)
    if images:
        limits.reserve(count * vips.bytes_of(first))
        pages = tuple(vips.to_array(image) for image in images)
    elif reserve_frames(source, vips.bytes_of(first) // count, count, limits):
        pages = store_frames(vips.iterate_frames(first, count), count)
    else:
        pages = tuple(np.split(vips.to_array(first), count))
    bands = first.bands
    if first.interpretation == "cmyk":
        bands -= 1
        header = replace(header, encoding=replace(header.encoding, cmyk=pages))
        pages, notes = cmyk.to_rgb(pages, header.metadata.icc)
        header = header.with_notes(*notes)
    gray = first.interpretation in ("b-w", "grey16", "multiband") and bands in (1, 2)
    kinds = ("srgb", "rgb16", "rgb", "scrgb", "cmyk", "multiband")
    if not gray and not (first.interpretation in kinds and bands in (3, 4)):
        raise ImageError(
            f"it has {bands} channels of kind '{first.interpretation}'; only gray or RGB, with or "
            "without one alpha channel, and CMYK can be used. Convert it or split its channels "
            "first."
        )
    return header.with_pages(pages)


def add_fields(header: Picture, image: Any) -> Picture:
    """Add what libvips found in the file: profile, EXIF, XMP, orientation, depth, timing."""
    fields = {name: image.get(name) for name in image.get_fields()}
    icc, exif, xmp = (
        bytes(fields.get(f"{name}-data", b"")) or None for name in ("icc-profile", "exif", "xmp")
    )
    orientation = fields.get("orientation", 1)
    metadata = replace(
        header.metadata,
        icc=icc or header.metadata.icc,
        exif=exif.removeprefix(b"Exif\0\0") if exif else header.metadata.exif,
        xmp=xmp or header.metadata.xmp,
        orientation=orientation if 1 <= orientation <= 8 else 1,
    )
    encoding = replace(
        header.encoding,
        bits=header.encoding.bits or fields.get("bits-per-sample", 8),
        palette=header.encoding.palette or "palette" in fields,
        progressive="interlaced" in fields,
        delays=tuple(fields.get("delay", ())),
        loop=fields.get("loop", 0),
    )
    return replace(header, metadata=metadata, encoding=encoding)


def decode_whole(codec: str, source: Source, **options: Any) -> Pixels:
    """Decode a file with one of imagecodecs' codecs, into an array (H, W, C)."""
    import imagecodecs

    try:
        decode = getattr(imagecodecs, f"{codec}_decode")
        pixels: Pixels = decode(vips.read_bytes(source, 0, -1), **options)
    except (ValueError, RuntimeError) as error:  # imagecodecs' own errors are RuntimeErrors
        raise damaged(error) from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _layout(page: Any) -> tuple[Any, ...]:
    return page.width, page.height, page.bands, page.format, page.interpretation
