"""NumPy's own files: one array each, mapped into memory instead of read."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from quietpixel.array_types import NUMBERS
from quietpixel.files import vips
from quietpixel.files.array_pages import (
    StoredArray,
    array_format,
    describe_array,
    map_array,
    stack_pages,
)
from quietpixel.files.image_format import ReadLimits, Source, starts_with
from quietpixel.files.picture import Metadata, Picture


@contextlib.contextmanager
def _open(source: Source, limits: ReadLimits) -> Iterator[StoredArray]:
    """Give the array; objects, which could run code, are refused by their type."""
    with vips.open_binary(source) as file:
        # Later versions than 2 exist for names of fields only.
        first = np.lib.format.read_magic(file) == (1, 0)
        form = np.lib.format
        read = form.read_array_header_1_0 if first else form.read_array_header_2_0
        shape, fortran, dtype = read(file)
        offset = file.tell()
    described = describe_array(shape, dtype, limits.axes)
    load = partial(map_array, source, described, offset=offset, fortran=fortran)
    yield StoredArray(described, load, Metadata(native=described))


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an NPY file, in shape and byte order of the one that it was."""
    own = picture.metadata.native
    array = own.join(picture.pages) if own else stack_pages(picture)
    array = np.ascontiguousarray(array)
    # Not `numpy.save`, which needs a file of the system to write without a copy.
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.data)


FORMAT = array_format(
    _open,
    name="npy",
    title="NPY",
    suffixes=(".npy",),
    media_type="image/x-npy",
    recognise=starts_with(b"\x93NUMPY"),
    write=write,
    dtypes=NUMBERS,
)
