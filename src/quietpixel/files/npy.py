"""NumPy's own files: one array each, mapped into memory instead of read."""

from typing import BinaryIO

import numpy as np

from quietpixel.files import vips
from quietpixel.files.array_pages import (
    NUMBERS,
    ArrayForm,
    describe_array,
    map_array,
    stack_pages,
)
from quietpixel.files.image_format import Format, ReadLimits, Size, Source, damaged, starts_with
from quietpixel.files.picture import Metadata, Picture


def _read_header(source: Source, letters: str | None) -> tuple[ArrayForm, bool, int]:
    """Return the form of the array, whether its columns lie together, and where it begins."""
    with vips.open_binary(source) as file:
        try:
            version = np.lib.format.read_magic(file)
            # Later versions exist for names of fields only.
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
        except (ValueError, EOFError, SyntaxError) as error:
            raise damaged() from error
        return describe_array(shape, dtype, letters), fortran, file.tell()


def read(source: Source, limits: ReadLimits) -> Picture:
    """Read an NPY file; objects, which could run code, are refused."""
    form, fortran, offset = _read_header(source, limits.axes)
    form.check(limits)
    array = map_array(source, form, offset=offset, fortran=fortran)
    return form.cut(array, "npy", metadata=Metadata(native=form))


def read_size(source: Source) -> Size:
    """Return the size of a page."""
    return _read_header(source, None)[0].size()


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an NPY file, in shape and byte order of the one that it was."""
    own = picture.format == "npy" and picture.metadata.native is not None
    array = picture.metadata.native.join(picture.pages) if own else stack_pages(picture)
    array = np.ascontiguousarray(array)
    # Not `numpy.save`, which needs a file of the system to write without a copy.
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.data)


FORMAT = Format(
    name="npy",
    title="NPY",
    suffixes=(".npy",),
    media_type="image/x-npy",
    recognise=starts_with(b"\x93NUMPY"),
    read=read,
    read_size=read_size,
    write=write,
    dtypes=NUMBERS,
    pages=True,
)
