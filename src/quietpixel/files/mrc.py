"""MRC, the format of electron microscopy, through mrcfile: images, stacks and volumes."""

import contextlib
import warnings
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from quietpixel.errors import FileError
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

_HEADER = 1024
"""Bytes before the extended header."""
_STATISTICS = ("mode", "dmin", "dmax", "dmean", "rms")
"""Fields of the header that describe the values."""


@contextlib.contextmanager
def _open(source: Source, limits: ReadLimits) -> Iterator[StoredArray]:
    import mrcfile.utils
    from mrcfile.mrcinterpreter import MrcInterpreter

    with vips.open_binary(source) as file, warnings.catch_warnings():
        # Many programs write a wrong machine stamp, which the size of the file settles.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            mrc = MrcInterpreter(file, permissive=True, header_only=True)
            header, extended = mrc.header, mrc.extended_header.tobytes()
            dtype = mrcfile.utils.data_dtype_from_header(header)
            shape = mrcfile.utils.data_shape_from_header(header)
        except (ValueError, AttributeError, ZeroDivisionError) as error:
            reason = "its header is damaged, cut short, or has an unknown mode"
            raise FileError(f"{reason}; get a whole copy of the file.") from error
    if any(length < 1 for length in shape):
        raise FileError("its header is damaged; get a whole copy of the file.")
    form = describe_array(shape, dtype, limits.axes, samples=False)
    load = partial(map_array, source, form, offset=_HEADER + len(extended))
    yield StoredArray(form, load, Metadata(native=(form, header, extended)))


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an MRC file, with both headers of the one that it was and new statistics."""
    from mrcfile.mrcobject import MrcObject

    mrc, extended = MrcObject(), b""
    mrc._create_default_attributes()  # as mrcfile's documentation tells users of streams to
    if picture.metadata.native is not None:
        form, header, extended = picture.metadata.native
        mrc.set_data(form.join(picture.pages))
        header = header.copy()
        for name in _STATISTICS:
            header[name] = mrc.header[name]
    else:
        mrc.set_data(stack_pages(picture))
        header = mrc.header
    file.writelines((header.tobytes(), extended, np.ascontiguousarray(mrc.data).data))


FORMAT = array_format(
    _open,
    name="mrc",
    title="MRC",
    suffixes=(".mrc", ".mrcs", ".map", ".rec", ".st"),
    media_type="image/x-mrc",
    recognise=starts_with(b"MAP ", at=208),
    write=write,
    package=("mrcfile", "science"),
    dtypes=("int8", "int16", "uint16", "float16", "float32"),
    alpha=False,
    colour=False,
    name_own=lambda metadata: ("the header of the MRC file",),
)
