"""A folder as two parts of scenes, to train on and to validate by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.image_cache import MEMORY, ImageCache, Notify, Paths, SkippedFiles, decode
from quietpixel.data.image_folder import find_layout
from quietpixel.data.image_source import StoredImage
from quietpixel.data.pixel_cache import PixelCache
from quietpixel.data.registration import find_mismatch
from quietpixel.errors import DataError, QuietpixelError
from quietpixel.files.image_size import Size, read_size
from quietpixel.noise.measure import LEAST_SIDE, NoiseMeasure, measure_noise
from quietpixel.noise.parser import Array
from quietpixel.training.recipe import Recipe

VALIDATION_EVERY = 20
"""Every scene of this number, by name, is for validation and never trained on."""
FEWEST = 5
"""With fewer scenes than this none can be spared: what is trained on also validates."""
MEASURED = 8
"""About so many pictures are measured to find the law of a folder's noise."""
CHECKED = 500
"""Up to so many pairs are checked before training begins; of more, each when it is drawn."""
DEPTH = 2
"""Bytes of a value, to guess what fits into memory; whether they are 1, 2 or 4 is not known yet."""
LOOKED_AT = 50
"""So many pictures of a folder decide whether it is in colour."""


@dataclass(frozen=True)
class Folder:
    """The scenes of a folder in two parts.

    Parameters
    ----------
    train, validation
        Where the scenes of both parts come from.
    validation_sides
        The shorter side of each validation image, in pixels.
    scenes_at_a_time
        How many scenes of ordinary size fit into the memory for pixels.
    """

    train: ImageCache
    validation: ImageCache
    validation_sides: NDArray[np.int64]
    scenes_at_a_time: int


def open_folder(recipe: Recipe, *, cache: Path | None, notify: Notify) -> Folder:
    """Find the scenes of the folder of `recipe`; no picture is decoded yet.

    Parameters
    ----------
    recipe
        Says the folder, how scenes are found in it, the channels and the size of the patches.
    cache
        A folder for decoded pixels, if they are to be kept.
    notify
        Called with a sentence on each file that is left out.

    Raises
    ------
    DataError
        If no scene can be used.
    """
    layout = find_layout(Path(recipe.data), target=recipe.target, pairs=recipe.pairs, notify=notify)
    skipped = SkippedFiles(notify)
    sizes = {scene: _read_size(scene, skipped, recipe.patch) for scene in layout.scenes}
    known = {scene: size for scene, size in sizes.items() if size is not None}
    if not known:
        raise DataError(
            f"The folder '{recipe.data}' must hold pictures of at least {recipe.patch} x "
            f"{recipe.patch} pixels to train on, and of its {len(layout.scenes)} none can be "
            "used. Name another folder, or take smaller patches."
        )
    open_cache = partial(
        ImageCache,
        channels=recipe.channels,
        skipped=skipped,
        check=_check_pair if layout.kind == "pairs" else None,
        cache=None if cache is None else PixelCache(cache),
    )

    def put(part: list[Paths]) -> ImageCache:
        return open_cache(part, _areas(part, known))

    train, validation = _spare_usable(*split(list(known)), put)
    sides = [min(known[scene].height, known[scene].width) for scene in validation]
    shelves = put(train), put(validation)
    if layout.kind == "pairs" and len(train) <= CHECKED:
        for index in range(len(train)):
            shelves[0].open(index)
    return Folder(shelves[0], shelves[1], np.array(sides), _fitting(recipe, known))


def _spare_usable(
    train: list[Paths], validation: list[Paths], open_cache: Callable[[list[Paths]], ImageCache]
) -> tuple[list[Paths], list[Paths]]:
    """Return both parts, with another scene to validate by if none of those chosen can be used."""
    while not _any_usable(open_cache(validation)) and len(train) > 1:
        validation = [train.pop()]
    return train, validation


def _any_usable(shelf: ImageCache) -> bool:
    return any(shelf.open(index) is not None for index in range(len(shelf)))


def split(scenes: Sequence[Paths]) -> tuple[list[Paths], list[Paths]]:
    """Return the scenes to train on and those to validate by.

    Examples
    --------
    >>> [len(part) for part in split([(Path(str(i)),) for i in range(40)])]
    [38, 2]
    >>> [len(part) for part in split([(Path(str(i)),) for i in range(6)])]
    [5, 1]
    """
    if len(scenes) < FEWEST:
        return list(scenes), list(scenes)
    every = min(VALIDATION_EVERY, len(scenes))
    numbered = list(enumerate(scenes, 1))
    return [s for i, s in numbered if i % every], [s for i, s in numbered if not i % every]


def find_channels(data: str, *, target: str, pairs: str) -> int:
    """Return 3 if one of the first pictures of a folder is in colour, else 1."""
    layout = find_layout(Path(data), target=target, pairs=pairs, notify=lambda text: None)
    step = max(1, len(layout.scenes) // LOOKED_AT)
    return 3 if any(_is_coloured(scene) for scene in layout.scenes[::step]) else 1


def find_kind(data: str, *, target: str, pairs: str) -> str:
    """Return ``"clean"``, ``"pairs"`` or ``"noisy"``: how a folder holds its scenes."""
    return find_layout(Path(data), target=target, pairs=pairs, notify=lambda text: None).kind


def measure_folder(data: str, *, pairs: str, channels: int) -> NoiseMeasure:
    """Return the noise of the noisy pictures of a folder, by a few of them.

    Raises
    ------
    DataError
        If none of them can be measured.
    """
    layout = find_layout(Path(data), target="none", pairs=pairs, notify=lambda text: None)
    step = max(1, len(layout.scenes) // MEASURED)
    images = (_read_whole(scene[0], channels) for scene in layout.scenes[::step])
    usable = [image for image in images if image is not None]
    if not usable:
        raise DataError(
            f"`noise` auto measures the pictures of '{data}', and none of them can be read and is "
            f"large enough ({LEAST_SIDE} pixels); give the law of their noise, or leave it out."
        )
    return measure_noise(usable)


def _read_whole(path: Path, channels: int) -> Array | None:
    try:
        image = decode(path, channels).whole()
    except QuietpixelError:
        return None  # opening the folder will tell
    return image if min(image.shape[:2]) >= LEAST_SIDE else None


def _is_coloured(scene: Paths) -> bool:
    try:
        return any(read_size(path).colour for path in scene)
    except QuietpixelError:
        return False


def _read_size(scene: Paths, skipped: SkippedFiles, least: int) -> Size | None:
    """Return the size of the first file of a scene; ``None``, and told, if it cannot be used."""
    try:
        sizes = [read_size(path) for path in scene]
    except QuietpixelError as error:
        skipped.add(str(scene[0]), str(error))
        return None
    if min(sizes[0].height, sizes[0].width) < least:
        skipped.add(str(scene[0]), f"'{scene[0]}': smaller than {least} x {least} pixels.")
        return None
    return sizes[0]


def _areas(scenes: Sequence[Paths], sizes: Mapping[Paths, Size]) -> NDArray[np.int64]:
    return np.array([sizes[scene].height * sizes[scene].width for scene in scenes], np.int64)


def _check_pair(images: Sequence[StoredImage], scene: Paths) -> str:
    return find_mismatch(images, [str(path) for path in scene])


def _fitting(recipe: Recipe, sizes: Mapping[Paths, Size]) -> int:
    """Return how many scenes an epoch may draw from, so that each is decoded about once in it."""
    usual = float(np.median([size.height * size.width for size in sizes.values()]))
    files = len(next(iter(sizes)))
    return max(1, int(MEMORY / (usual * files * recipe.channels * DEPTH)))
