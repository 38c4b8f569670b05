"""FITS, the format of astronomy, through astropy: one image, with all else in the file kept."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from quietpixel.array_types import INTEGERS
from quietpixel.errors import ImageError
from quietpixel.files import vips
from quietpixel.files.array_pages import StoredArray, array_format, describe_array, stack_pages
from quietpixel.files.image_format import ReadLimits, Source, damaged, starts_with
from quietpixel.files.picture import Metadata, Picture


@contextlib.contextmanager
def _open_parts(source: Source) -> Iterator[Any]:
    """Give the parts of the file; no pixels are read yet."""
    from astropy.io import fits

    with vips.open_binary(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        parts = fits.open(file, memmap=False, lazy_load_hdus=False)
        ends = [part.fileinfo()["datLoc"] + part.fileinfo()["datSpan"] for part in parts]
        if not ends or max(ends) > size:
            raise damaged()
        yield parts


def _choose(parts: Any, name: str | None) -> tuple[int, tuple[str, ...]]:
    """Return the number of the part that is denoised, and the others that are images."""
    images = [
        number
        for number, part in enumerate(parts)
        if part.is_image and len(part.shape) > 1 and all(part.shape)
    ]
    if name is not None:
        images = [each for each in images if name in (str(each), parts[each].name)]
    if not images:
        missing = "no image" if name is None else f"no image called '{name}'"
        raise ImageError(f"it holds {missing}, only {', '.join(_title(each) for each in parts)}.")
    return images[0], tuple(_title(parts[each]) for each in images[1:])


def _title(part: Any) -> str:
    return f"'{part.name}'" if part.name else "a part without a name"


@contextlib.contextmanager
def _open(source: Source, limits: ReadLimits) -> Iterator[StoredArray]:
    """Give the first image of the file, or the one that the limits name."""
    with _open_parts(source) as parts:
        number, others = _choose(parts, limits.part)
        # astropy applies scale and blank value, which decide the type: 8 bytes at most.
        form = describe_array(parts[number].shape, np.float64, limits.axes, samples=False)
        left = f"Only the first image was denoised; left unchanged: {', '.join(others)}."
        metadata = Metadata(native=(source, number, form))
        yield StoredArray(form, lambda: parts[number].data, metadata, (left,) if others else ())


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write a FITS file, with headers and all other parts of the one that it was."""
    from astropy.io import fits

    stream = io.BytesIO()  # astropy asks files for their names
    if picture.metadata.native is not None:
        source, number, form = picture.metadata.native
        with _open_parts(source) as parts:
            part, data = parts[number], form.join(picture.pages)
            try:
                if data.dtype.kind == "f":  # astropy would leave the zero point of integers there
                    for word in ("BSCALE", "BZERO", "BLANK"):
                        part.header.remove(word, ignore_missing=True)
                part.data = data
                # Of any part, because astropy hides those of compressed images.
                checksum = any("CHECKSUM" in each.header for each in parts)
                parts.writeto(stream, output_verify="ignore", checksum=checksum)
            except (ValueError, fits.VerifyError) as error:  # a comment that is no ASCII
                raise vips.unwritten(error) from error
    else:
        fits.PrimaryHDU(stack_pages(picture)).writeto(stream)
    file.write(stream.getbuffer())


FORMAT = array_format(
    _open,
    name="fits",
    title="FITS",
    suffixes=(".fits", ".fit", ".fts"),
    media_type="image/fits",
    recognise=starts_with(b"SIMPLE  ="),
    write=write,
    named_images=True,
    package=("astropy", "science"),
    dtypes=(*INTEGERS, "float32", "float64"),
    alpha=False,
    colour=False,
    name_own=lambda metadata: ("the header and other parts of the FITS file",),
)
