"""The images that a model is calibrated by: read, paired, or cut and made noisy."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import DataError
from quietpixel.inference.arrays import Range, read_layout
from quietpixel.noise.parser import NoiseLaw, image_rng

Array = NDArray[Any]
Image = NDArray[np.float32]
Images = str | Path | Iterable[Any]
Pair = tuple[int, Image, Image]
"""The number of the image, its noisy and its clean version."""

CALIBRATION_SEED_OFFSET = 5_000_011
DRAWS, SIDE = 640, 96
"""With a noise law, about so many squares of so many pixels are drawn from the images."""


def draw_pairs(
    images: Sequence[Image], law: NoiseLaw, size: tuple[int, int] | None = None, *, seed: int
) -> Iterator[Pair]:
    """Yield squares of images with noise; each image several times if there are few.

    Parameters
    ----------
    images
        Clean, float32 (H, W, C) in [0, 1].
    law
        The noise.
    size
        The only height and width that the model takes, if so.
    seed
        Decides squares and noise.
    """
    for turn in range(max(DRAWS // max(len(images), 1), 1)):
        for number, clean in enumerate(images):
            rng = image_rng(seed + CALIBRATION_SEED_OFFSET, turn, number)
            part = clean if size else _cut(clean, rng)
            yield number, law(part, rng), part


def _cut(image: Image, rng: np.random.Generator) -> Image:
    height, width = (min(side, SIDE) for side in image.shape[:2])
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


def read_pairs(noisy: Images, clean: Images, channels: int) -> Iterator[Pair]:
    """Yield both sides of each pair; folders are matched by name, anything else by order."""
    first, second = list(read_images(noisy, channels)), list(read_images(clean, channels))
    if isinstance(noisy, str | Path) and isinstance(clean, str | Path):
        by_name = dict(second)
        second = [(name, by_name[name]) for name, _ in first if name in by_name]
        first = [(name, image) for name, image in first if name in by_name]
    if len(first) != len(second) or not first:
        raise DataError(
            "`noisy` and `clean` must hold the same images, by name or in the same order; got "
            f"{len(first)} and {len(second)}. Give both sides of each pair."
        )
    for number, ((name, dirty), (_, image)) in enumerate(zip(first, second, strict=True)):
        if dirty.shape != image.shape:
            raise DataError(
                f"Both sides of the pair '{name}' must have one size; got {dirty.shape[:2]} and "
                f"{image.shape[:2]}. Leave the pair out, or cut both alike."
            )
        yield number, dirty, image


def read_images(images: Images, channels: int) -> Iterator[tuple[str, Image]]:
    """Yield name and pixels, float32 (H, W, channels)."""
    from quietpixel.files import list_images

    if isinstance(images, str | Path):
        images = list_images(Path(images)).images
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray):
            name, pixels = f"number {number}", _to_model(image, None)
        else:
            name, pixels = Path(image).stem, _read_file(Path(image))
        yield name, _with_channels(pixels, channels)


def _read_file(path: Path) -> Image:
    from quietpixel.files import read_picture, turn_upright

    picture = turn_upright(read_picture(path))
    return _to_model(picture.pages[0], (0.0, float(picture.maximum)))


def _to_model(image: Array, range: Range | None) -> Image:
    layout = read_layout(image, range)
    return layout.to_model(image if image.ndim == 3 else image[..., np.newaxis])


def _with_channels(image: Image, channels: int) -> Image:
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(image.mean(axis=2, keepdims=True, dtype=np.float32))
