"""What patches are drawn from: images of any size, one or two of each scene, opened when needed."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.noise.parser import Array


class Image(Protocol):
    """An image as it is stored, from which parts are taken as floats."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def part(self, top: int, left: int, height: int, width: int) -> Array:
        """Return a part as float32 (height, width, C) in [0, 1]."""


class Source(Protocol):
    """Scenes, each with one image or with two that lie upon each other.

    `areas` holds the pixels of each scene, int64 (N,), as far as they are known before opening.
    """

    areas: NDArray[np.int64]

    def open(self, index: int) -> tuple[Image, ...] | None:
        """Return the images of a scene, or ``None`` if it cannot be used."""


class StoredImage:
    """An array with the values that stand for black and white.

    Parameters
    ----------
    pixels
        (H, W, C) of any type; it may lie in a file that is mapped into memory.
    low, high
        The values that stand for black and white.

    Examples
    --------
    >>> StoredImage(np.full((4, 4, 1), 4095, np.uint16), 0, 4095).part(1, 1, 1, 2).tolist()
    [[[1.0], [1.0]]]
    """

    def __init__(self, pixels: NDArray[Any], low: float = 0.0, high: float = 255.0) -> None:
        self.pixels, self.low, self.high = pixels, low, high

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def part(self, top: int, left: int, height: int, width: int) -> Array:
        """Return a part as float32 (height, width, C) in [0, 1]."""
        part = self.pixels[top : top + height, left : left + width].astype(np.float32)
        return (part - np.float32(self.low)) / np.float32(self.high - self.low)

    def whole(self) -> Array:
        """Return all of it as float32 (H, W, C) in [0, 1]."""
        return self.part(0, 0, *self.size)


class ArraySource:
    """Scenes that are in memory.

    Parameters
    ----------
    scenes
        The images of each scene, uint8 (H, W, C).
    """

    def __init__(self, scenes: Sequence[tuple[NDArray[np.uint8], ...]]) -> None:
        self.scenes = [tuple(StoredImage(image) for image in scene) for scene in scenes]
        self.areas = np.array([np.prod(scene[0].size) for scene in self.scenes], np.int64)

    def open(self, index: int) -> tuple[Image, ...]:
        """Return the images of a scene."""
        return self.scenes[index]
