"""An image folder as scenes for training and for validation."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.data import named_sets
from quietpixel.data.image_cache import (
    MEMORY,
    ImageCache,
    Notify,
    Paths,
    PixelCache,
    SkippedFiles,
    decode,
    measure_size,
)
from quietpixel.data.image_folder import Layout, find_layout, find_masks, find_mismatch
from quietpixel.errors import DataError, QuietpixelError, check_known
from quietpixel.files import Size, split_name
from quietpixel.imaging.intensity_scale import FIXED_SCALES, Range, estimate_range, scale_places
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.measure import LEAST_SIDE, NoiseMeasure, measure_noise
from quietpixel.training.recipe import Recipe

VALIDATION_EVERY = 20
"""Every 20th scene, by name, is for validation and never trained on."""
FEWEST = 5
"""A folder with fewer scenes is not divided: all of them serve for training and validation."""
MEASURED = 8
"""Approximate number of images that are measured to find the noise law of a folder."""
NOISY, NOISY_SIDE = 3 / 255, 512
"""Level from which images that are taken to be clean are said to be noisy, and the largest side of
what is measured. Eight sets of clean images have 0.1 to 1.4 of 255, noisy ones 2.2 to 25."""
CHECKED = 500
"""Up to this many pairs are checked before training; in larger folders, each when it is drawn."""
DEPTH = 2
"""Assumed bytes per value, to estimate what fits into memory; the files have 1, 2 or 4."""
SCALED, LEAST_SHARE = 16, 0.1
"""Approximate number of scenes that decide the intensity scale of a folder, and the smallest part
of the nominal scale that images may use."""
STRETCHED = ("pairs", "neighbours", "hidden")
"""The methods without a noise law."""
INSPECTED = 50
"""Approximate number of images that decide whether a folder is in colour."""


def is_folder(data: str) -> bool:
    """Return whether `data` is the path of a folder, or of a file, and not the name of a set."""
    return Path(split_name(data)[0]).exists()


def check_data(data: str) -> None:
    """Raise DataError or UnknownNameError unless `data` is a path or the name of a set."""
    if is_folder(data):
        return
    if {"/", "\\"} & set(data):
        raise DataError(
            f"The folder '{data}' does not exist; give the path of a folder of images, of one "
            f"stack, or the name of a set: {', '.join(named_sets())}."
        )
    check_known("data set or folder", data, named_sets())


@dataclass(frozen=True)
class Folder:
    """The scenes of a folder in two parts.

    Parameters
    ----------
    train, validation
        The scenes of both parts.
    validation_sides
        The shorter side of each validation image, in pixels.
    scenes_at_a_time
        Number of scenes of median size that fit into the memory for pixels.
    range
        Black and white of all images; None where their type or file says it.
    """

    train: ImageCache
    validation: ImageCache
    validation_sides: NDArray[np.int64]
    scenes_at_a_time: int
    range: Range | None = None


def open_folder(recipe: Recipe, *, cache: Path | None, notify: Notify) -> Folder:
    """Find the scenes of the folder of `recipe`.

    Only validation images are decoded until one can be used, and pairs to be checked.

    Parameters
    ----------
    recipe
        Has the folder, its layout, the channels and the size of the patches.
    cache
        Folder for decoded pixels; None keeps none.
    notify
        Called with a sentence about each file that is skipped.

    Raises
    ------
    DataError
        If no scene can be used.
    """
    layout = find_layout(Path(recipe.data), target=recipe.target, pairs=recipe.pairs, notify=notify)
    skipped = SkippedFiles(notify)
    sizes = measure_scenes(layout.scenes, recipe.patch, skipped)
    if not sizes:
        raise DataError(
            f"The folder '{recipe.data}' must hold images of at least {recipe.patch} x "
            f"{recipe.patch} pixels to train on, and of its {len(layout.scenes)} none can be "
            "used. Give another folder, or a smaller `patch`."
        )
    areas = {scene: size.height * size.width * size.pages for scene, size in sizes.items()}

    masks = {}
    if recipe.masks:
        masks = find_masks(list(sizes), Path(recipe.data), Path(recipe.masks), notify)

    def put(part: list[Paths]) -> ImageCache:
        return ImageCache(
            part,
            np.array([areas[scene] for scene in part], np.int64),
            channels=recipe.channels,
            skipped=skipped,
            check=find_mismatch if layout.kind == "pairs" else None,
            show=Denoiser().show if recipe.measured else None,
            cache=None if cache is None else PixelCache(cache),
            masks=masks,
        )

    train, validation = split(list(sizes))
    validating = put(validation)
    # A run without validation images could not tell which epoch is the best.
    while all(validating.open(i) is None for i in range(len(validation))) and len(train) > 1:
        validation = [train.pop()]
        validating = put(validation)
    training = put(train)
    # Measured images have a scale each.
    shared = None if recipe.measured else find_training_range(training, method=recipe.method)
    if shared is not None:
        training.rescale(shared)
        validating.rescale(shared)
    # A wrong pair is reported before the training, not an hour into it.
    if layout.kind == "pairs" and len(train) <= CHECKED:
        for index in range(len(train)):
            training.open(index)
    sides = [min(sizes[scene].height, sizes[scene].width) for scene in validation]
    scene_bytes = np.median(list(areas.values())) * len(train[0]) * recipe.channels * DEPTH
    # Few enough that each is decoded about once in an epoch.
    at_a_time = max(1, int(MEMORY / scene_bytes))
    return Folder(training, validating, np.array(sides), at_a_time, shared)


def measure_scenes(scenes: Sequence[Paths], patch: int, skipped: SkippedFiles) -> dict[Paths, Size]:
    """Return the sizes of the scenes that can be read and are not smaller than a patch.

    Parameters
    ----------
    scenes
        All scenes.
    patch
        Height and width of a patch, in pixels.
    skipped
        Gets the other scenes.
    """
    sizes = {}
    for scene in scenes:
        try:
            size, *_ = [measure_size(path) for path in scene]
            if min(size.height, size.width) < patch:
                raise DataError(f"'{scene[0]}': smaller than {patch} x {patch} pixels.")
            sizes[scene] = size
        except QuietpixelError as error:
            skipped.add(str(scene[0]), str(error))
    return sizes


def find_training_range(scenes: ImageCache, *, method: str) -> Range | None:
    """Return one black and white for the images of a folder, found in some of them.

    Without it, a dark image of 12 bits that happens to use 10 of them would be shown to the model
    four times as bright as the others.

    Parameters
    ----------
    scenes
        The images.
    method
        That of the recipe. Where no noise law is stated on the nominal scale, images that use only
        a small part of it are stretched.

    Returns
    -------
    range
        None where images have 8 bits, or floats lie in [0, 1].
    """
    ranges, samples = [], []
    for index in range(0, len(scenes), -(-len(scenes) // SCALED)):
        for image in scenes.open(index) or ():
            if image.pixels.dtype.name in FIXED_SCALES:
                return None
            page = image.page(image.pages[0])
            rows, columns = scale_places(page.shape, SCALED)
            ranges.append((image.low, image.high))
            samples.append(page[rows][:, columns])
    if not ranges:
        return None
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    found = estimate_range(samples) if method in STRETCHED else None
    if found is not None and found[1] - found[0] < LEAST_SHARE * (high - low):
        return found
    return None if (low, high) == (0, 1) else (low, high)


def split(scenes: Sequence[Paths]) -> tuple[list[Paths], list[Paths]]:
    """Return the scenes for training and those for validation.

    Parameters
    ----------
    scenes
        All scenes, in order of their names.

    Examples
    --------
    >>> [len(part) for part in split([(Path(str(i)),) for i in range(40)])]
    [38, 2]
    >>> [len(part) for part in split([(Path(str(i)),) for i in range(6)])]
    [5, 1]
    """
    if len(scenes) < FEWEST:
        return list(scenes), list(scenes)
    # So that a folder of few scenes has one for validation too.
    every = min(VALIDATION_EVERY, len(scenes))
    numbered = list(enumerate(scenes, 1))
    return [s for i, s in numbered if i % every], [s for i, s in numbered if not i % every]


def find_channels(layout: Layout) -> int:
    """Return 3 if one of the images of a folder that are inspected is in colour, else 1.

    Parameters
    ----------
    layout
        The scenes of the folder.
    """
    return 3 if any(size.colour for size in _inspect(layout)) else 1


def find_side(layout: Layout) -> int:
    """Return the smallest height or width of the images of a folder that are inspected.

    Parameters
    ----------
    layout
        The scenes of the folder.
    """
    return min((min(size.height, size.width) for size in _inspect(layout)), default=0)


def _inspect(layout: Layout) -> Iterator[Size]:
    """Yield the sizes of the images of evenly spaced scenes, as far as they can be read."""
    scenes = layout.scenes
    for scene in scenes[:: max(1, len(scenes) // INSPECTED)]:
        with suppress(QuietpixelError):  # reported when the folder is opened
            for path in scene:
                yield measure_size(path)


def measure_folder(layout: Layout, channels: int, largest: int | None = None) -> NoiseMeasure:
    """Return the noise of some images of a folder.

    Parameters
    ----------
    layout
        The scenes of the folder.
    channels
        1 or 3.
    largest
        Largest height and width of what is measured of an image; None for whole images.

    Raises
    ------
    DataError
        If none of them can be measured.
    """
    scenes, usable, deep = layout.scenes, [], False
    for scene in scenes[:: max(1, len(scenes) // MEASURED)]:
        with suppress(QuietpixelError):  # reported when the folder is opened
            stored = decode(scene[0], channels)
            if min(stored.size) >= LEAST_SIDE:
                height, width = (min(side, largest or side) for side in stored.size)
                usable.append(stored.part(0, 0, height, width))
                deep |= stored.pixels.dtype.name not in FIXED_SCALES
    if not usable:
        raise DataError(
            "`noise` auto measures the images of the folder, and none of them can be read and is "
            f"large enough ({LEAST_SIDE} pixels); give the law of their noise, or omit it."
        )
    return measure_noise(usable, offset=deep)


def warn_noisy(layout: Layout, channels: int, notify: Notify, advice: str) -> None:
    """Say that images are noisy which are taken to be clean.

    Parameters
    ----------
    layout, channels
        As for `measure_folder`.
    notify
        Called with a sentence, if they are.
    advice
        The end of the sentence: what follows from that noise, and what to do.
    """
    with suppress(DataError):
        level = measure_folder(layout, channels, NOISY_SIDE).sigma
        if level >= NOISY:
            notify(
                f"The images are taken to be clean and have noise of about {255 * level:.2g} of "
                f"255 themselves, {advice}."
            )
