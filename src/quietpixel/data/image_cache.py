"""Images of a folder as training data: decoded when needed, the last ones kept in memory."""

import hashlib
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.errors import (
    MOST_PIXELS,
    FileError,
    ImageError,
    QuietpixelError,
    import_optional,
)
from quietpixel.files import Picture, Size, read_picture, read_size, split_name
from quietpixel.files.zarr_store import is_store, read_store, read_store_size
from quietpixel.imaging.intensity_scale import FIXED_SCALES, Range, find_range
from quietpixel.noise.camera import LUMA

Notify = Callable[[str], None]
Pixels = NDArray[Any]
Mask = NDArray[np.bool_]
Paths = tuple[Path, ...]

MEMORY = 512 * 2**20
"""Bytes of pixels kept in memory; a constant, so that a run is the same on every machine."""


class StoredImage:
    """An image, or the pages of a stack, with the values that stand for black and white.

    Parameters
    ----------
    pixels
        (H, W, C) or (P, H, W, C) of any type; may be a file mapped into memory.
    low, high
        The values that stand for black and white.
    pages
        The pages that can be trained on; None for all.
    profile
        Whether a colour profile defines the values.

    Attributes
    ----------
    masks
        Which pixels count, (H, W): one for all pages, or one for each; empty where all do.
    levels
        The noise level of each page on the scale of `part`; empty where it is not known.

    Examples
    --------
    >>> StoredImage(np.full((4, 4, 1), 4095, np.uint16), 0, 4095).part(1, 1, 1, 2).tolist()
    [[[1.0], [1.0]]]
    """

    def __init__(
        self,
        pixels: Pixels,
        low: float = 0.0,
        high: float = 255.0,
        pages: Sequence[int] | None = None,
        *,
        profile: bool = False,
    ) -> None:
        self.pixels, self.low, self.high, self.profile = pixels, low, high, profile
        self.size: tuple[int, int] = pixels.shape[-3], pixels.shape[-2]
        self.page_count = 1 if pixels.ndim == 3 else len(pixels)
        self.pages = list(range(self.page_count) if pages is None else pages)
        self.masks: tuple[Mask, ...] = ()
        self.levels: tuple[float, ...] = ()

    def page(self, number: int) -> Pixels:
        """Return the stored values of a page, (H, W, C)."""
        return self.pixels if self.pixels.ndim == 3 else self.pixels[number]

    def part(self, top: int, left: int, height: int, width: int, *, page: int = 0) -> FloatArray:
        """Return a part of a page as float32 (height, width, C) in [0, 1]."""
        pixels = self.page(page)
        # Only the part is converted, so that images stay as small as they are stored.
        # float32 keeps 24 bits, too few for an offset of many times the range.
        wide: type[Any] = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
        part: FloatArray = pixels[top : top + height, left : left + width].astype(wide) - wide(
            self.low
        )
        part /= wide(self.high - self.low)
        return part.astype(np.float32, copy=False)

    def mask(self, page: int) -> "Mask | None":
        """Return which pixels of a page count, (H, W); None for all."""
        return self.masks[page % len(self.masks)] if self.masks else None

    def whole(self) -> FloatArray:
        """Return the first page as float32 (H, W, C) in [0, 1]."""
        return self.part(0, 0, *self.size)


Check = Callable[[Sequence[StoredImage], Paths], str]
"""Returns what is wrong with the images of a scene, given its files; empty if nothing is."""
Show = Callable[[Pixels], tuple[FloatArray, float]]
"""Returns what a model is shown of a page (H, W, C), and the noise level that it is given."""


@dataclass
class SkippedFiles:
    """The files that cannot be used, each reported once.

    Parameters
    ----------
    notify
        Called with a sentence for each.
    names
        The reason for each file.
    """

    notify: Notify
    names: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, reason: str) -> None:
        """Skip a file, and report it if it is new."""
        if name not in self.names:
            self.names[name] = reason
            self.notify(f"Skipping: {reason}")

    def __getstate__(self) -> dict[str, Any]:
        """Drop `notify`: a worker process only collects names, and its parent reports them."""
        return {"names": dict(self.names), "notify": str}  # str: any picklable function


class ImageCache:
    """The scenes of a folder, each of one image or of two that show the same.

    Parameters
    ----------
    scenes
        The files of each scene, one or two.
    areas
        Pixels of each scene according to the headers of its files.
    channels
        1 (converted to gray) or 3 (RGB).
    skipped
        Collects the files that cannot be used.
    check
        Inspects the images of a scene when it is opened.
    show
        Makes of each page what a model is shown of it, and finds its noise level; None leaves them
        as they are.
    cache
        Folder for decoded pixels; None keeps none.
    masks
        The file with the mask of a scene, for those that have one.

    Attributes
    ----------
    range
        Black and white of all images that do not have 8 bits; None where each has its own.
    memory
        Bytes of pixels kept in memory.
    """

    def __init__(
        self,
        scenes: Sequence[Paths],
        areas: NDArray[np.int64],
        *,
        channels: int,
        skipped: SkippedFiles,
        check: Check | None = None,
        show: Show | None = None,
        cache: "PixelCache | None" = None,
        masks: Mapping[Paths, Path] = MappingProxyType({}),
    ) -> None:
        self.masks = dict(masks)
        self.range: Range | None = None
        self.scenes, self.areas, self.channels = scenes, areas, channels
        self.skipped, self.check, self.show, self.cache = skipped, check, show, cache
        self.memory = MEMORY
        self._open: OrderedDict[int, tuple[StoredImage, ...]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.scenes)

    def open(self, index: int) -> tuple[StoredImage, ...] | None:
        """Return the images of a scene; None, and reported once, if they cannot be used."""
        if index in self._open:
            self._open.move_to_end(index)
            return self._open[index]
        paths = self.scenes[index]
        if str(paths[0]) in self.skipped.names:
            return None
        read = decode if self.cache is None else self.cache.get
        try:
            images = tuple(read(path, self.channels) for path in paths)
            self._set_range(images)
            fault = self.check(images, paths) if self.check else ""
            if paths in self.masks and not fault:
                images[0].masks, fault = read_masks(self.masks[paths], images[0])
            # A page that has one value in either image of a pair teaches nothing.
            pages = [page for page in images[0].pages if page in images[-1].pages]
            pages = [page for page in pages if (mask := images[0].mask(page)) is None or mask.any()]
            if not pages and not fault:
                why = (
                    "its mask is empty" if images[0].masks else "all its pixels have the same value"
                )
                fault = f"'{paths[0]}': {why}."
            for image in images:
                image.pages = pages
            if self.show is not None and not fault:
                images = tuple(show_pages(image, self.show) for image in images)
        except QuietpixelError as error:
            fault = str(error)
        if fault:
            self.skipped.add(str(paths[0]), fault)
            return None
        self._open[index] = images
        self._bytes += _count_bytes(images)
        # The last one stays, however large, because it is about to be used.
        while self._bytes > self.memory and len(self._open) > 1:
            self._bytes -= _count_bytes(self._open.popitem(last=False)[1])
        return images

    def rescale(self, range: Range) -> None:
        """Give all images one black and white, those that are open too."""
        self.range = range
        for images in self._open.values():
            self._set_range(images)

    def _set_range(self, images: Sequence[StoredImage]) -> None:
        for image in images:
            if self.range is not None and image.pixels.dtype.name not in FIXED_SCALES:
                image.low, image.high = self.range

    def __getstate__(self) -> dict[str, Any]:
        """Drop the open images: a worker process opens its own."""
        return self.__dict__ | {"_open": OrderedDict(), "_bytes": 0}


def show_pages(image: StoredImage, show: Show) -> StoredImage:
    """Return an image with its pages as a model is shown them, and their noise levels."""
    stack = np.zeros((image.page_count, *image.pixels.shape[-3:]), np.float32)
    levels = np.zeros(image.page_count)
    for number in image.pages:
        stack[number], levels[number] = show(image.page(number))
    shown = StoredImage(stack, 0.0, 1.0, image.pages)
    shown.masks, shown.levels = image.masks, tuple(levels.tolist())
    return shown


def _count_bytes(images: Sequence[StoredImage]) -> int:
    # Mapped files count too: their pixels are not in memory, but their address space is limited.
    return sum(image.pixels.nbytes for image in images)


def read_masks(path: Path, image: StoredImage) -> tuple[tuple[Mask, ...], str]:
    """Return the masks in a file, and why they do not fit an image; empty if they do.

    Parameters
    ----------
    path
        The file: one page, or as many as the image. Pixels that are not 0 count.
    image
        The image.
    """
    picture = _read(path)
    masks = tuple(np.asarray(page[..., 0] != 0) for page in picture.pages)
    if len(masks) not in (1, image.page_count) or masks[0].shape != image.size:
        height, width = masks[0].shape
        return (), (
            f"'{path}' is not the mask of an image of {image.size[1]} x {image.size[0]} pixels and "
            f"{image.page_count} pages: it has {width} x {height} pixels and {len(masks)} pages."
        )
    return masks, ""


class PixelCache:
    """Decoded pixels on disk, mapped into memory, so that no image is decoded twice.

    The name of an entry depends on path, size and date of the image, so a changed image gets a new
    entry.

    Parameters
    ----------
    folder
        The folder, created if missing; it may be deleted at any time between runs.

    Raises
    ------
    FileError
        If the folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error

    def get(self, path: Path, channels: int) -> StoredImage:
        """Return the pixels of an image as `decode` does, from the folder if they are there.

        Parameters
        ----------
        path, channels
            As for `decode`.

        Raises
        ------
        FileError
            If the image cannot be read, or its pixels cannot be written.
        """
        try:
            status = Path(split_name(path)[0]).stat()
        except OSError as error:
            raise FileError(f"'{path}' cannot be read: {error.strerror or error}.") from error
        # The number at the end is that of the form of an entry.
        words = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{channels}|3"
        stored = self.folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.npy"
        if not stored.exists():
            self._write(stored, decode(path, channels))
        scale = json.loads(stored.with_suffix(".json").read_text())
        return StoredImage(np.load(stored, mmap_mode="r"), **scale)

    def _write(self, stored: Path, image: StoredImage) -> None:
        partial = stored.with_name(f".{os.getpid()}-{stored.name}")
        try:
            # The scale first, so that pixels never exist without it.
            scale = {name: getattr(image, name) for name in ("low", "high", "pages", "profile")}
            partial.write_text(json.dumps(scale))
            os.replace(partial, stored.with_suffix(".json"))
            with partial.open("wb") as file:
                np.save(file, image.pixels)
            os.replace(partial, stored)
        except OSError as error:
            raise self._write_error(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def _write_error(self, error: OSError) -> FileError:
        return FileError(
            f"The cache of pixels '{self.folder}' cannot be written ({error.strerror or error}); "
            "free some space, choose another folder as `cache`, or omit it."
        )


def measure_size(path: Path) -> Size:
    """Return the size of an image file, of an image in one (``file.h5::/images``), or of a Zarr.

    Raises
    ------
    FileError, ImageError
        If it cannot be read.
    """
    if is_store(path):
        return read_store_size(path)
    if split_name(path)[1] is None:
        size = read_size(path)
        # By its area, such an image would be drawn over and over, to be refused each time.
        if size.height * size.width * size.pages > MOST_PIXELS:
            raise ImageError(
                f"'{path}' has more than {MOST_PIXELS:,} pixels; cut it into smaller images."
            )
        return size
    picture = read_picture(path)  # headers are read of the first image only
    width, height = picture.size
    return Size(height, width, picture.colour == "rgb", len(picture.pages))


def decode(path: Path, channels: int) -> StoredImage:
    """Return an image or a stack in its own depth, gray or RGB, without transparency.

    Signed integers become floats, with their negative values. Pages of another size than the
    first, such as smaller copies, are ignored, and constant ones are not trained on. Values that
    are not finite are replaced by mirror images of what lies next to them, noise included.

    Parameters
    ----------
    path
        The file, an image in one (``file.h5::/images``), or a Zarr.
    channels
        1 (gray) or 3 (RGB).

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or holds no finite value.
    """
    picture = _read(path)
    pages = [page for page in picture.pages if page.shape == picture.pages[0].shape]
    signed = pages[0].dtype.kind == "i"
    floats = np.float32 if pages[0].dtype.itemsize <= 2 else np.float64
    pages = [page.astype(floats) if signed else page for page in pages]
    pages = [_fill_holes(page, path) if page.dtype.kind == "f" else page for page in pages]
    colours = [page[..., :3] if page.shape[-1] >= 3 else page[..., :1] for page in pages]
    stack = _join(colours)
    # Rows of all pages below each other, as the scale is one for the whole stack.
    low, high = picture.declared_range or find_range(stack.reshape(-1, *stack.shape[-2:]))
    varied = [number for number, page in enumerate(colours) if np.ptp(page)]
    profile = picture.metadata.icc is not None
    return StoredImage(to_channels(stack, channels), low, high, varied, profile=profile)


def _read(path: Path) -> Picture:
    return read_store(path) if is_store(path) else read_picture(path)


def _join(pages: Sequence[Pixels]) -> Pixels:
    """Return pages as one array, mapped into memory where it is large."""
    if len(pages) == 1:
        return pages[0]
    shape = (len(pages), *pages[0].shape)
    if pages[0].nbytes * len(pages) <= MEMORY:
        return np.stack(pages)
    with tempfile.TemporaryFile() as file:
        stack: Pixels = np.memmap(file, pages[0].dtype, "w+", shape=shape)
    return np.stack(pages, out=stack)


def _fill_holes(page: Pixels, path: Path) -> Pixels:
    """Return a page (H, W, C) whose pixels with NaN or infinity mirror those across the edge."""
    holes = np.asarray(~np.isfinite(page).all(axis=-1))
    if not holes.any():
        return page
    if holes.all():
        raise ImageError(f"'{path}' cannot be used: none of its pixels is finite.")
    morphology = import_optional("scipy.ndimage", "Images with NaN need SciPy")
    _, nearest = morphology.distance_transform_edt(holes, return_indices=True)
    edge = nearest[:, holes]
    places = np.argwhere(holes).T
    last = np.array(holes.shape)[:, np.newaxis] - 1
    mirrored = np.clip(2 * edge - places, 0, last)
    usable = ~np.asarray(holes[tuple(mirrored)])
    filled = page.copy()
    filled[holes] = page[tuple(np.where(usable, mirrored, edge))]
    return filled


def to_channels(page: Pixels, channels: int) -> Pixels:
    """Return an image as gray or RGB, in its own type.

    Parameters
    ----------
    page
        (..., H, W, 1) or (..., H, W, 3).
    channels
        1 or 3.

    Examples
    --------
    >>> to_channels(np.full((1, 1, 3), 65535, np.uint16), 1).tolist()
    [[[65535]]]
    """
    if page.shape[-1] < channels:
        return np.repeat(page, channels, axis=-1)
    if page.shape[-1] > channels:
        gray = (page.astype(np.float32) @ LUMA)[..., None]
        return (np.rint(gray) if page.dtype.kind == "u" else gray).astype(page.dtype)
    return np.ascontiguousarray(page)
