"""Zarr and OME-Zarr images on disk as the pages of an image, for training."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.array_types import NUMBERS
from quietpixel.errors import FileError, ImageError, import_optional
from quietpixel.files.array_pages import ArrayForm, describe_array
from quietpixel.files.frames import store_frames
from quietpixel.files.image_format import Size
from quietpixel.files.picture import MARK, Picture, Pixels
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


def open_image(name: str) -> tuple[Any, tuple[str, ...], str | None]:
    """Return the open array of full size, the paths of all levels, and the axes of a Zarr.

    Parameters
    ----------
    name
        Path or address of an array, whose only level is ``""``, or of a group.

    Raises
    ------
    FileError
        If it is no Zarr.
    ImageError
        If it is a group that is not one image.
    """
    with _opening(name) as zarr:
        found = zarr.open(name, mode="r")
        if isinstance(found, zarr.Array):
            return found, ("",), array_axes(found)
        if image := find_levels(found.attrs.asdict()):
            return found[image[0][0]], *image
    names = sorted(found.keys())
    raise ImageError(
        f"'{name}' is a group and not one image; it holds {', '.join(names[:9]) or 'nothing'}. "
        f"Give the path of an image in it, such as '{name}/{names[0] if names else 0}'."
    )


def is_result(name: str) -> bool:
    """Return whether a Zarr carries the mark of a result.

    Raises
    ------
    FileError
        If it is no Zarr.
    """
    with _opening(name) as zarr:
        return bool(zarr.open(name, mode="r").attrs.get(MARK))


@contextlib.contextmanager
def _opening(name: str) -> Iterator[Any]:
    """Give the package zarr, and raise FileError where it cannot read what has this name."""
    zarr = import_optional("zarr", "A Zarr needs the package zarr", "'quietpixel[cluster]'")
    try:
        yield zarr
    except FileNotFoundError as error:
        raise FileError(
            f"'{name}' cannot be read: it is not a Zarr array or group; check the path."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"'{name}' cannot be read as a Zarr: {reason}.") from error


def read_store_size(path: Path) -> Size:
    """Return the size of the pages of a Zarr, and how many there are.

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or is not one image.
    """
    return _describe(path)[1].size()


def read_store(path: Path, axes: str | None = None) -> Picture:
    """Return the planes y, x of a Zarr as pages, which lie in a temporary file.

    Parameters
    ----------
    path
        The folder.
    axes
        A letter for each dimension; None takes those that the Zarr states.

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or is not one image.
    """
    array, form = _describe(path, axes)
    indices = list(_plane_indices(form))
    pages = store_frames((_plane(array, form, index) for index in indices), len(indices))
    own = form.axes.channels
    channels = () if own is None else tuple(index[own] for index in indices)
    return replace(Picture.from_pixels(pages[0], format="zarr"), pages=pages, channels=channels)


def _describe(path: Path, axes: str | None = None) -> tuple[Any, ArrayForm]:
    array, _, letters = open_image(str(path))
    form = describe_array(array.shape, array.dtype, axes or letters)
    if form.dtype.name not in NUMBERS:
        raise ImageError(
            f"'{path}' cannot be used: its values are of type {form.dtype}; convert them to "
            "integers or floats."
        )
    return array, form


def _plane_indices(form: ArrayForm) -> Iterator[tuple[Any, ...]]:
    """Yield where each plane lies."""
    sides = [1 if axis in form.axes.inner else side for axis, side in enumerate(form.shape)]
    for index in np.ndindex(*sides):
        yield tuple(
            slice(None) if axis in form.axes.inner else number for axis, number in enumerate(index)
        )


def _plane(array: Any, form: ArrayForm, index: tuple[Any, ...]) -> Pixels:
    """Return a plane as (H, W, C)."""
    inner = form.axes.inner
    plane = np.asarray(array[index]).transpose([sorted(inner).index(axis) for axis in inner])
    page = plane if plane.ndim == 3 else plane[..., np.newaxis]
    return page.astype(page.dtype.newbyteorder("="), copy=False)
