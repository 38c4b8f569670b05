"""Images in Zarr, versions 2 and 3, and OME-Zarr with its pyramid."""

import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.storage import Place
from quietpixel.errors import FileError
from quietpixel.files import MARK, zarr_store


@dataclass(frozen=True)
class ZarrImage:
    """An image and its smaller copies.

    Parameters
    ----------
    place
        Of the array or the group.
    levels
        Paths of the arrays in the group, the full size first; ``("",)`` for an array alone.
    axes
        A letter for each dimension, None where the file does not say.
    mode
        ``"r"`` to read, ``"r+"`` to write too.
    token
        Of one run: a file that an earlier one keeps open may have changed since.
    """

    place: Place
    levels: tuple[str, ...] = ("",)
    axes: str | None = None
    mode: str = "r"
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def array(self, level: int = 0) -> Any:
        """Return the open array of a level."""
        return _open_array(self.place.name, self.levels[level], self.mode, self.token)

    def moved(self, place: Place) -> "ZarrImage":
        """Return the same image at another place, to be written."""
        return ZarrImage(place, self.levels, self.axes, "r+", self.token)

    def create_like(self, place: Place) -> None:
        """Make an image without pixels at `place`, with all metadata of this one.

        What else lies in the group, such as labels, is copied.
        """
        zarr = need("zarr")
        if self.levels == ("",):
            _create_array(zarr, self.array(), place, None)
            return
        group = zarr.open_group(self.place.name, mode="r", use_consolidated=False)
        form = group.metadata.zarr_format
        zarr.open_group(place.name, mode="w", zarr_format=form, attributes=group.attrs.asdict())
        for number, path in enumerate(self.levels):
            _create_array(zarr, self.array(number), place, path)
        tops = {path.partition("/")[0] for path in self.levels}
        for name in self.place.names() - tops - {"zarr.json", ".zgroup", ".zattrs", ".zmetadata"}:
            system, begin = self.place.below(name).files()
            for path in system.find(begin) or [begin]:
                Place(place.below(name).name + path[len(begin) :]).write(system.cat_file(path))

    def publish(self, made: "ZarrImage", target: Place, *, overwrite: bool, marked: bool) -> None:
        """Put `made`, the whole result, in its place, with the mark of a result if asked."""
        zarr = need("zarr")
        if marked:
            zarr.open(made.place.name, mode="r+").attrs[MARK] = True
        # Metadata that is kept together must be written after all else.
        if self.levels != ("",):
            group = zarr.open_group(self.place.name, mode="r")
            if group.metadata.consolidated_metadata is not None:
                zarr.consolidate_metadata(made.place.name)
        # A folder is not renamed onto another one with content, as a file is.
        if overwrite and target.exists():
            target.remove()
        made.place.move(target)


@lru_cache(16)
def _open_array(name: str, path: str, mode: str, token: str) -> Any:
    return need("zarr").open_array(name, path=path or None, mode=mode)


def open_image(place: Place) -> ZarrImage:
    """Return the image at a place; nothing of its pixels is read.

    Raises
    ------
    FileError
        If nothing is there, or it is no Zarr.
    ImageError
        If it is a group that is not one image.
    """
    need("zarr")
    if not place.exists():
        raise FileError(f"'{place.name}' cannot be read: it does not exist; check the path.")
    _, levels, axes = zarr_store.open_image(place.name)
    return ZarrImage(place, levels, axes)


def _create_array(zarr: Any, data: Any, place: Place, path: str | None) -> None:
    zarr.from_array(
        place.name,
        data=data,
        write_data=False,
        name=path,
        zarr_format=data.metadata.zarr_format,
        attributes=data.attrs.asdict(),
        fill_value=data.fill_value,
        dimension_names=getattr(data.metadata, "dimension_names", None),
        overwrite=True,
        config={"write_empty_chunks": False},
    )
