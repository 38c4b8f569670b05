"""Zarr and OME-Zarr images on disk as the pages of an image, for training."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.errors import FileError, ImageError, import_optional
from quietpixel.files.array_pages import NUMBERS, ArrayForm, describe_array
from quietpixel.files.frames import store_frames
from quietpixel.files.image_format import Size
from quietpixel.files.picture import Picture, Pixels
from quietpixel.imaging.axes import letters_of

FILES = ("zarr.json", ".zarray", ".zgroup")
"""One of these makes a folder a Zarr."""


def is_store(path: Path) -> bool:
    """Return whether a folder is a Zarr, version 2 or 3."""
    return any((path / name).is_file() for name in FILES)


def find_levels(attributes: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """Return the paths of the levels of an OME-Zarr, the full size first, and its axes.

    Parameters
    ----------
    attributes
        Of the group; None is returned where they describe no image.
    """
    # From version 0.5 on, all metadata lie below "ome".
    images = attributes.get("ome", attributes).get("multiscales")
    if not images:
        return None
    levels = tuple(str(each["path"]) for each in images[0]["datasets"])
    # Version 0.1 of OME-Zarr names no axes, and later ones by text or by objects.
    axes = images[0].get("axes") or list("tczyx")
    return levels, "".join(
        str(each["name"] if isinstance(each, dict) else each)[0] for each in axes
    )


def array_axes(array: Any) -> str | None:
    """Return a letter for each dimension of a Zarr array that names them."""
    # Zarr 3 has a field for names; in version 2, xarray writes them as an attribute.
    names = getattr(array.metadata, "dimension_names", None)
    return letters_of(names or array.attrs.get("_ARRAY_DIMENSIONS") or ())


def read_store_size(path: Path) -> Size:
    """Return the size of the pages of a Zarr, and how many there are.

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or is not one image.
    """
    return _open(path)[1].size()


def read_store(path: Path) -> Picture:
    """Return the planes y, x of a Zarr as pages, which lie in a temporary file.

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or is not one image.
    """
    array, form = _open(path)
    pages = store_frames(_planes(array, form), form.size().pages)
    return replace(Picture.from_pixels(pages[0], format="zarr"), pages=pages)


def _open(path: Path) -> tuple[Any, ArrayForm]:
    zarr = import_optional("zarr", "A Zarr needs the package zarr", "'quietpixel[cluster]'")
    try:
        found = zarr.open(str(path), mode="r")
        group = isinstance(found, zarr.Group)
        image = find_levels(found.attrs.asdict()) if group else None
        array = found if image is None else found[image[0][0]]
    except (OSError, ValueError, KeyError) as error:
        raise FileError(f"'{path}' cannot be read as a Zarr: {error}.") from error
    if group and image is None:
        raise ImageError(
            f"'{path}' is a group and not one image; it holds "
            f"{', '.join(sorted(found.keys())[:9]) or 'nothing'}. Give the path of an image in it."
        )
    letters = array_axes(array) if image is None else image[1]
    form = describe_array(array.shape, array.dtype, letters)
    if form.dtype.name not in NUMBERS:
        raise ImageError(f"'{path}' cannot be used: its values are of type {form.dtype}.")
    return array, form


def _planes(array: Any, form: ArrayForm) -> Iterator[Pixels]:
    inner = form.axes.inner
    outer = [axis for axis in range(len(form.shape)) if axis not in inner]
    for index in np.ndindex(*(form.shape[axis] for axis in outer)):
        where: list[Any] = [slice(None)] * len(form.shape)
        for axis, number in zip(outer, index, strict=True):
            where[axis] = number
        plane = np.asarray(array[tuple(where)]).transpose([sorted(inner).index(a) for a in inner])
        page = plane if plane.ndim == 3 else plane[..., np.newaxis]
        yield page.astype(page.dtype.newbyteorder("="), copy=False)
