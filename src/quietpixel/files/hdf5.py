"""HDF5 through h5py: one data set is the image; everything else in the file stays as it is."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

from quietpixel.array_types import NUMBERS
from quietpixel.errors import ImageError
from quietpixel.files import vips
from quietpixel.files.array_pages import (
    ArrayForm,
    StoredArray,
    array_format,
    describe_array,
    stack_pages,
)
from quietpixel.files.image_format import ReadLimits, Source, starts_with
from quietpixel.files.picture import Metadata, Picture

_LEAST_SIDE = 16
"""Rows and columns from which one of several tables of numbers counts as an image."""
_NAMED = 10
"""Data sets that an error names."""


@contextlib.contextmanager
def _open(source: Source, limits: ReadLimits) -> Iterator[StoredArray]:
    """Give the only image, or the data set that the limits name."""
    import h5py

    with vips.open_binary(source) as file, h5py.File(file, "r") as content:
        path, form = _choose(content, limits.part, limits.axes)
        metadata = Metadata(native=(source, path, form))
        yield StoredArray(form, lambda: content[path][...], metadata)


def _choose(content: Any, name: str | None, letters: str | None) -> tuple[str, ArrayForm]:
    """Return the name and form of the data set that is the image."""
    found: dict[str, ArrayForm] = {}

    def look(path: str, item: Any) -> None:
        shape = getattr(item, "shape", None) or ()
        if len(shape) > 1 and all(shape) and item.dtype.name in NUMBERS:
            found[path] = describe_array(shape, item.dtype)

    content.visititems(look)  # which follows no links to other files
    sizes = {path: form.size() for path, form in found.items()}
    large = [path for path, size in sizes.items() if min(size.height, size.width) >= _LEAST_SIDE]
    chosen = large if len(found) > 1 else [*found]
    if name is not None:
        chosen = [path for path in found if path == name.strip("/")]
    if len(chosen) != 1:
        if not found:
            raise ImageError("no data set in it has rows and columns of numbers.")
        names = ", ".join(f"/{path}" for path in [*found][:_NAMED])
        missing = f"has no image called '{name}'" if name else "may have several images, or none"
        raise ImageError(
            f"it {missing}; name one after the file, such as 'file.h5::/{next(iter(found))}'. Data "
            f"sets with rows and columns: {names}."
        )
    (path,) = chosen
    data = content[path]
    if data.is_virtual or data.external:
        raise ImageError(f"the pixels of /{path} lie in other files; repack it into one file.")
    return path, describe_array(data.shape, data.dtype, letters)


def write(picture: Picture, file: BinaryIO, quality: int | None) -> None:
    """Write an HDF5 file: a copy of the one that it was, with other values in the data set."""
    import h5py

    if picture.metadata.native is None:
        with h5py.File(file, "w") as content:
            content.create_dataset("image", data=stack_pages(picture))
        return
    source, path, form = picture.metadata.native
    with vips.open_binary(source) as before:
        shutil.copyfileobj(before, file, 1 << 20)
    array = form.join(picture.pages)
    with h5py.File(file, "r+") as content:
        old = content[path]
        if old.dtype == array.dtype:
            old[...] = array
            return
        # One that drops bits does not suit another type.
        kept = {"dtype": array.dtype, "data": array, "scaleoffset": None}
        content.create_dataset_like(f"{path}.new", old, **kept).attrs.update(old.attrs)
        del content[path]
        content.move(f"{path}.new", path)


FORMAT = array_format(
    _open,
    name="hdf5",
    title="HDF5",
    suffixes=(".h5", ".hdf5", ".hdf", ".he5"),
    media_type="image/x-hdf5",
    recognise=starts_with(b"\x89HDF\r\n\x1a\n"),
    write=write,
    named_images=True,
    package=("h5py", "science"),
    dtypes=NUMBERS,
    name_own=lambda metadata: ("attributes and other data sets of the HDF5 file",),
)
