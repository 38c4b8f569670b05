"""Pictures of a folder as training data: opened when needed, the last ones kept in memory."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.image_source import StoredImage
from quietpixel.data.pixel_cache import PixelCache
from quietpixel.errors import ImageError, QuietpixelError
from quietpixel.files import read_picture
from quietpixel.imaging.intensity_scale import find_range

Notify = Callable[[str], None]
Pixels = NDArray[Any]
Paths = tuple[Path, ...]

MEMORY = 512 * 2**20
"""Bytes of pixels that are kept; a constant, so that a run goes alike on every machine."""
GRAY = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to gray, by ITU-R BT.601."""

Check = Callable[[Sequence[StoredImage], Paths], str]
"""Says what is wrong with the images of a scene and its files; empty if nothing is."""


@dataclass
class SkippedFiles:
    """The files that cannot be used, each told once.

    Parameters
    ----------
    notify
        Called with a sentence for each.
    """

    notify: Notify
    names: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, reason: str) -> None:
        """Leave out a file for a reason."""
        if name not in self.names:
            self.names[name] = reason
            self.notify(f"Left out: {reason}")

    def __getstate__(self) -> dict[str, Any]:
        """Drop `notify`: a worker process only collects names, and its parent reports them."""
        return {"names": dict(self.names), "notify": _ignore}


def _ignore(text: str) -> None:
    pass


class ImageCache:
    """The scenes of a folder, a `quietpixel.data.image_source.Source` of files.

    Parameters
    ----------
    scenes
        The files of each scene, one or two.
    areas
        Pixels of each scene as its files declare them.
    channels
        1 (turned to gray) or 3 (RGB).
    skipped
        Where files that cannot be used are told.
    check
        Looks at the images of a scene when it is opened.
    cache
        Where decoded pixels are kept on disk, if at all.
    memory
        Bytes of pixels that are kept in memory.
    """

    def __init__(
        self,
        scenes: Sequence[Paths],
        areas: NDArray[np.int64],
        *,
        channels: int,
        skipped: SkippedFiles,
        check: Check | None = None,
        cache: PixelCache | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.scenes, self.areas, self.channels = scenes, areas, channels
        self.skipped, self.check, self.cache, self.memory = skipped, check, cache, memory
        self._open: OrderedDict[int, tuple[StoredImage, ...]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.scenes)

    def open(self, index: int) -> tuple[StoredImage, ...] | None:
        """Return the images of a scene; ``None``, and told once, if they cannot be used."""
        if index in self._open:
            self._open.move_to_end(index)
            return self._open[index]
        name = str(self.scenes[index][0])
        if name in self.skipped.names:
            return None
        try:
            images = tuple(self._read(path) for path in self.scenes[index])
            wrong = self.check(images, self.scenes[index]) if self.check else ""
        except QuietpixelError as error:
            wrong = str(error)
        if wrong:
            self.skipped.add(name, wrong)
            return None
        self._keep(index, images)
        return images

    def __getstate__(self) -> dict[str, Any]:
        """Drop the open images: a worker process opens its own."""
        return self.__dict__ | {"_open": OrderedDict(), "_bytes": 0}

    def _keep(self, index: int, images: tuple[StoredImage, ...]) -> None:
        self._open[index] = images
        self._bytes += _bytes_of(images)
        while self._bytes > self.memory and len(self._open) > 1:
            self._bytes -= _bytes_of(self._open.popitem(last=False)[1])

    def _read(self, path: Path) -> StoredImage:
        if self.cache is None:
            return decode(path, self.channels)
        return self.cache.get(path, self.channels, decode)


def decode(path: Path, channels: int) -> StoredImage:
    """Return the first page of a picture in its own depth, gray or RGB, without transparency.

    Raises
    ------
    FileError, ImageError
        If it cannot be read, or holds values that are not finite.
    """
    picture = read_picture(path)
    page = picture.pages[0]
    if page.dtype.kind == "f" and not np.isfinite(page).all():
        raise ImageError(f"'{path}' cannot be used: some of its values are not finite.")
    colours = page[..., :3] if page.shape[-1] >= 3 else page[..., :1]
    low, high = find_range(colours)
    if picture.maximum not in (255.0, 65535.0, 1.0):
        low, high = 0.0, picture.maximum
    return StoredImage(to_channels(colours, channels), low, high)


def to_channels(page: Pixels, channels: int) -> Pixels:
    """Return `page` (H, W, 1 or 3) as gray or RGB, in its own type.

    Examples
    --------
    >>> to_channels(np.full((1, 1, 3), 65535, np.uint16), 1).tolist()
    [[[65535]]]
    """
    if page.shape[-1] < channels:
        return np.repeat(page, channels, axis=-1)
    if page.shape[-1] > channels:
        gray = (page.astype(np.float32) @ GRAY)[..., None]
        return (np.rint(gray) if page.dtype.kind == "u" else gray).astype(page.dtype)
    return np.ascontiguousarray(page)


def _bytes_of(images: Sequence[StoredImage]) -> int:
    """Count what is in memory; pixels in a mapped file are not, but their address space is."""
    return sum(image.pixels.nbytes for image in images)
