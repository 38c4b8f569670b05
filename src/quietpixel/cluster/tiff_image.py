"""TIFF and BigTIFF files, OME-TIFF stacks among them, read and written in tiles."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.storage import Place
from quietpixel.cluster.zarr_image import ZarrImage
from quietpixel.errors import FileError, ImageError
from quietpixel.files import MARK, atomic_file, mark_xmp

SIDE = 512
"""Side of the tiles written where the source has none."""
WIDE = 2048
"""Least columns of a chunk of the intermediate Zarr, so that it has fewer files."""
_XMP, _IPTC, _ICC_PROFILE = 700, 33723, 34675


@dataclass(frozen=True)
class TiffImage:
    """The first series of pages of a TIFF file.

    Parameters
    ----------
    place
        Of the file.
    axes
        A letter for each dimension.
    tile
        (height, width) of its tiles, or of those to be written.
    levels
        Numbers of the full size and of its smaller copies, as texts.
    token
        Of one run: a file that an earlier one keeps open may have changed since.
    """

    place: Place
    axes: str
    tile: tuple[int, int]
    levels: tuple[str, ...] = ("0",)
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def array(self, level: int = 0) -> Any:
        """Return the pixels as an array that is read in parts."""
        return _open_array(self.place.name, self.token, level)

    def moved(self, place: Place) -> ZarrImage:
        """Return the result at another place, a Zarr until it is whole."""
        return ZarrImage(place, self.levels, self.axes, "r+", self.token)

    def create_like(self, place: Place) -> None:
        """Make an empty Zarr for the pixels of the result, from which the file is written."""
        zarr = need("zarr")
        rows, columns = self.tile[0], max(WIDE // self.tile[1], 1) * self.tile[1]
        inner = 3 if self.axes.endswith("c") else 2
        zarr.open_group(place.name, mode="w")
        for number, level in enumerate(self.levels):
            array = self.array(number)
            chunks = [1] * (array.ndim - inner) + [rows, columns, *array.shape[-1:]][:inner]
            zarr.create_array(
                place.name,
                name=level,
                shape=array.shape,
                chunks=tuple(chunks),
                dtype=array.dtype.newbyteorder("="),
            )

    def publish(self, made: ZarrImage, target: Place, *, overwrite: bool, marked: bool) -> None:
        """Write the file whole, in tiles, and put it in its place."""
        if target.is_url:
            system, path = target.files()
            # A TIFF is written with jumps back to its header, which remote files do not allow.
            with tempfile.TemporaryFile() as between:
                self._write(made, between, marked=marked)
                between.seek(0)
                with system.open(path, "wb") as out:
                    shutil.copyfileobj(between, out, 2**20)
        else:
            with atomic_file(Path(target.name), overwrite=overwrite) as file:
                self._write(made, file, marked=marked)

    def _write(self, made: ZarrImage, file: Any, *, marked: bool) -> None:
        tifffile = need("tifffile")
        array = made.array()
        tiff = _open_file(self.place.name, self.token)
        page = tiff.series[0].keyframe
        rgb = self.axes.endswith("c") and array.shape[-1] >= 3
        photometric = "miniswhite" if page.photometric == 0 else "minisblack"
        packed = page.compression != 1
        options: dict[str, Any] = {
            "dtype": array.dtype.newbyteorder(tiff.byteorder),
            "tile": self.tile,
            "photometric": "rgb" if rgb else photometric,
            "planarconfig": "contig" if rgb else None,
            "extrasamples": [int(each) for each in page.extrasamples] or None,
            "compression": "zlib" if packed else None,
            "predictor": packed and array.dtype.kind == "u",
            # Else tifffile adds a description of its own to the one that is kept.
            "metadata": None,
        }
        copies = [made.array(number) for number in range(1, len(self.levels))]
        # Classic TIFF ends at 4 GB; metadata and tile tables need some of it.
        big = tiff.is_bigtiff or array.nbytes + sum(each.nbytes for each in copies) > 2**31
        below = len(copies) if page.subifds else None  # else the copies lie behind the page
        named = tifffile.FileHandle(file, name="result.tif", offset=0, size=0)  # it has no name yet
        with tifffile.TiffWriter(named, bigtiff=big, byteorder=tiff.byteorder) as writer:
            first = {**options, **_kept(page, marked=marked), "subifds": below}
            writer.write(self._tiles(array), shape=array.shape, **first)
            for copy in copies:
                writer.write(self._tiles(copy), shape=copy.shape, subfiletype=1, **options)

    def _tiles(self, array: Any) -> Iterator[NDArray[Any]]:
        """Yield the tiles of all planes in the order in which the file keeps them."""
        inner = 3 if self.axes.endswith("c") else 2
        height, width = self.tile
        rows, columns = array.shape[array.ndim - inner : array.ndim - inner + 2]
        for plane in np.ndindex(*array.shape[:-inner]):
            for top in range(0, rows, height):
                strip = np.asarray(array[(*plane, slice(top, top + height))])
                for left in range(0, columns, width):
                    part = strip[:, left : left + width]
                    # Tiles are whole; repeating the last pixels compresses better than zeros.
                    missing = [(0, height - part.shape[0]), (0, width - part.shape[1])]
                    missing += [(0, 0)] * (part.ndim - 2)
                    yield np.ascontiguousarray(np.pad(part, missing, mode="edge"))


@lru_cache(4)
def _open_file(name: str, token: str) -> Any:
    tifffile = need("tifffile")
    system, path = Place(name).files()
    try:
        return tifffile.TiffFile(system.open(path, "rb") if "://" in name else path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"'{name}' cannot be read as a TIFF: {reason}.") from error


@lru_cache(16)
def _open_array(name: str, token: str, level: int) -> Any:
    store = _open_file(name, token).series[0].aszarr(level=level)
    return need("zarr").open_array(store, mode="r")


def open_image(place: Place) -> TiffImage:
    """Return the image of a TIFF file; none of its pixels is read.

    Raises
    ------
    FileError
        If it is no TIFF, or damaged.
    ImageError
        If its colours lie in planes of their own.
    """
    token = secrets.token_hex(8)
    series = _open_file(place.name, token).series[0]
    page = series.keyframe
    # tifffile fills them, as parts that were left out, which have no length either.
    for each in filter(None, series.pages):
        parts = zip(each.dataoffsets, each.databytecounts, strict=False)
        if any(at < 8 and length for at, length in parts):
            raise FileError(
                f"'{place.name}' is damaged, because a part of its pixels has a length but no "
                "place; get a whole copy."
            )
    axes = series.axes.upper()
    if "S" in axes and not axes.endswith("S"):
        raise ImageError(
            f"'{place.name}' keeps each colour in a plane of its own; write it with the colours of "
            "a pixel together, which TIFF calls planar configuration 1."
        )
    letters = "".join("c" if letter == "S" else letter.lower() for letter in axes)
    if "S" in axes and "C" in axes:
        letters = letters[::-1].replace("c", "C", 1)[::-1].replace("c", "k").replace("C", "c")
    sides = (page.tilelength, page.tilewidth) if page.is_tiled else (SIDE, SIDE)
    levels = tuple(str(number) for number in range(len(series.levels)))
    return TiffImage(place, letters, sides, levels, token)


def is_result(place: Place) -> bool:
    """Return whether a TIFF file carries the mark of a result."""
    tags = _open_file(place.name, secrets.token_hex(8)).pages[0].tags
    return MARK.encode() in tags.valueof(_XMP, b"")


def _kept(page: Any, *, marked: bool) -> dict[str, Any]:
    """Return the metadata of a page as the writer takes it, with the mark of a result if asked."""
    value_of = page.tags.valueof
    values = {
        code: value if isinstance(value, bytes) else str(value).encode()
        for code in (_XMP, _IPTC)
        if (value := value_of(code)) is not None
    }
    if marked:
        values[_XMP] = mark_xmp(values.get(_XMP))
    kept = {
        "extratags": [(code, 1, len(value), value, True) for code, value in values.items()],
        "description": page.description.encode() or None,
        "iccprofile": value_of(_ICC_PROFILE),
        "datetime": value_of("DateTime"),
        # None would let tifffile write its own name.
        "software": value_of("Software", False),
    }
    resolution = value_of("XResolution"), value_of("YResolution")
    if None not in resolution:
        kept |= {"resolution": resolution, "resolutionunit": page.resolutionunit}
    return kept
