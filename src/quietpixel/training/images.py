"""A folder of photographs as training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import DataError, QuietpixelError
from quietpixel.files import Picture, list_images, read_picture

Pixels = NDArray[np.uint8]
Tell = Callable[[str], None]

VALIDATION_EVERY = 20
"""Every image of this number, by name, is for validation and never trained on."""
LARGEST_MEMORY = 4 * 2**30
"""Most bytes of pixels that are kept; what comes after is left out, and said."""
GRAY = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to gray, by ITU-R BT.601."""


@dataclass(frozen=True)
class PhotoSet:
    """Clean images in memory, uint8 (H, W, C), in two parts.

    Parameters
    ----------
    train, validation
        The images of both parts; with a single image, both hold it.
    """

    train: Sequence[Pixels]
    validation: Sequence[Pixels]


def load_photos(folder: str | Path, *, channels: int, least: int, tell: Tell) -> PhotoSet:
    """Read the pictures of a folder and its subfolders.

    Parameters
    ----------
    folder
        Where they are.
    channels
        1 (turned to gray) or 3 (RGB).
    least
        Height and width that an image must have at least, in pixels.
    tell
        Called with a sentence on what was left out.

    Raises
    ------
    DataError
        If no picture can be used.
    """
    reader = _Reader(channels, least, [])
    paths = list_images(folder, recursive=True).images
    validation = reader.read(paths[VALIDATION_EVERY - 1 :: VALIDATION_EVERY])
    train = reader.read([p for i, p in enumerate(paths, 1) if i % VALIDATION_EVERY])
    if reader.left_out:
        tell(f"Left out: {'; '.join(reader.left_out)}")
    if not train:
        raise DataError(
            f"The folder '{folder}' must hold pictures of at least {least} x {least} pixels to "
            f"train on, and of its {len(paths)} none can be used. Name a folder of clean photos."
        )
    return PhotoSet(train, validation or train[:1])


@dataclass
class _Reader:
    channels: int
    least: int
    left_out: list[str]
    memory: int = 0

    def read(self, paths: Sequence[Path]) -> list[Pixels]:
        images = [self._read_one(path) for path in paths]
        return [image for image in images if image is not None]

    def _read_one(self, path: Path) -> Pixels | None:
        if self.memory > LARGEST_MEMORY:
            self.left_out.append(f"'{path.name}': the memory for pixels is full")
            return None
        try:
            image = to_pixels(read_picture(path), self.channels)
        except QuietpixelError as error:
            self.left_out.append(str(error))
            return None
        if min(image.shape[:2]) < self.least:
            self.left_out.append(f"'{path.name}': smaller than {self.least} x {self.least} pixels")
            return None
        self.memory += image.nbytes
        return image


def to_pixels(picture: Picture, channels: int) -> Pixels:
    """Return the first page of `picture` as uint8 (H, W, `channels`), without its transparency.

    Examples
    --------
    >>> to_pixels(Picture.from_pixels(np.full((1, 1, 3), 65535, np.uint16)), 1).tolist()
    [[[255]]]
    """
    page = picture.pages[0]
    page = page[..., :3] if page.shape[-1] >= 3 else page[..., :1]
    if page.shape[-1] == channels and page.dtype == np.uint8:
        return np.ascontiguousarray(page)
    values = page.astype(np.float32) / np.float32(picture.maximum)
    if page.shape[-1] < channels:
        values = np.repeat(values, channels, axis=-1)
    elif page.shape[-1] > channels:
        values = (values @ GRAY)[..., None]
    pixels: Pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return pixels
