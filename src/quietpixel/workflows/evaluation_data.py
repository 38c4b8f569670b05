"""The images of an evaluation, and those that its classical methods are tuned on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import numpy as np

from quietpixel.array_types import Array, Image
from quietpixel.data import load_split, named_sets
from quietpixel.data.image_cache import Notify, StoredImage, decode, measure_size, to_channels
from quietpixel.data.image_folder import Layout, find_layout
from quietpixel.errors import ArgumentError, DataError, check_number, unknown_name
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.evaluation.methods import load_scikit_image
from quietpixel.imaging.intensity_scale import FIXED_SCALES
from quietpixel.training.folder_data import find_channels, warn_noisy

PHOTOGRAPHS = ("camera", "chelsea", "coffee")
"""Photographs of scikit-image that methods are tuned on if there is no other choice."""


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """The images of an evaluation.

    Parameters
    ----------
    pairs
        The images.
    split
        Part of a named set; empty for a folder.
    channels
        1 for gray or 3 for RGB.
    own_noise
        Whether the images are pairs, so that no noise is added.
    full_scale
        Whether black and white are 0 and 1, as in files of 8 bits; otherwise they are estimated,
        as `denoise` does for other files.
    labels
        Labels of the images, if there are any.
    open_tuning
        Opens the images that methods are tuned on.
    tuned_on
        Names of these.
    """

    pairs: ImagePairs
    split: str = ""
    channels: int
    own_noise: bool = False
    full_scale: bool = True
    labels: Array | None = None
    open_tuning: Callable[[], ImagePairs]
    tuned_on: str

    def first(self, count: int | None) -> Self:
        """Return the data with the first `count` images only; None keeps all."""
        if count is None:
            return self
        check_number("count", count, least=1)
        return replace(self, pairs=replace(self.pairs, count=min(self.pairs.count, count)))


def open_data(
    data: str | Path,
    channels: int | None,
    *,
    pairs: str,
    tuning: str | Path | None,
    data_dir: str | Path | None,
    notify: Notify,
) -> EvaluationData:
    """Return the images of a named set, of a folder of clean images, or of a folder of pairs.

    Parameters
    ----------
    data, pairs, tuning, data_dir
        As for `quietpixel.compare`.
    channels
        1 or 3; None takes what the folder holds.
    notify
        Called with a sentence on files that are left out.

    Raises
    ------
    QuietpixelError
        If there are no such data, or `pairs` does not fit them.
    """
    if str(data) in named_sets():
        if pairs:
            raise ArgumentError(f"`pairs` needs a folder of images; '{data}' is a named set.")
        load = partial(load_split, str(data), data_dir=data_dir)
        test = load("test")
        stored = test.images.shape[-1]
        return EvaluationData(
            pairs=ImagePairs.from_arrays(test.as_float()),
            split="test",
            channels=stored,
            labels=test.labels,
            open_tuning=partial(open_folder, tuning, stored, notify=notify)
            if tuning is not None
            else lambda: ImagePairs.from_arrays(load("validation").as_float()),
            tuned_on=str(tuning or f"{data} (validation)"),
        )
    layout = _find_layout(data, pairs, notify)
    channels = channels or find_channels(layout)
    # Photographs with added noise do not stand for pairs: their noise is of another kind.
    own_noise = layout.kind == "pairs"
    open_tuning: Callable[[], ImagePairs]
    if tuning is not None:
        open_tuning = partial(open_folder, tuning, channels, pairs=pairs, notify=notify)
    else:
        open_tuning = _refuse_tuning if own_noise else partial(_open_photographs, channels)
    if not own_noise:
        advice = "and results that keep it are counted as better; give clean ones, or pairs"
        warn_noisy(layout, channels, notify, advice)
    read = _reader(channels)
    first = read(layout.scenes[0][0])
    return EvaluationData(
        pairs=_open_scenes(layout, read),
        channels=channels,
        own_noise=own_noise,
        full_scale=first.pixels.dtype.name in FIXED_SCALES,
        open_tuning=open_tuning,
        tuned_on=str(tuning or f"{', '.join(PHOTOGRAPHS)} of scikit-image"),
    )


def open_folder(
    folder: str | Path, channels: int, *, pairs: str = "", notify: Notify
) -> ImagePairs:
    """Return the images of a folder: clean ones, or pairs.

    Raises
    ------
    DataError
        If there are none.
    """
    return _open_scenes(_find_layout(folder, pairs, notify), _reader(channels))


def _find_layout(folder: str | Path, pairs: str, notify: Notify) -> Layout:
    if Path(folder).is_file():
        raise DataError(f"'{folder}' is a file; give the name of a folder of images.")
    if not Path(folder).is_dir():
        # A name with a slash is meant as a path: a similar data set would be no help.
        if "/" in str(folder) or "\\" in str(folder):
            raise DataError(f"The folder '{folder}' does not exist; check its name.")
        raise unknown_name("data set or folder", str(folder), named_sets())
    layout = find_layout(Path(folder), target="clean", pairs=pairs, notify=notify)
    if not layout.scenes:
        raise DataError(f"The folder '{folder}' holds no images to evaluate; choose another one.")
    return layout


def _reader(channels: int) -> Callable[[Path], StoredImage]:
    """Return a function that decodes a file, and keeps the last pair for its other pages."""
    return lru_cache(2)(partial(decode, channels=channels))


def _open_scenes(layout: Layout, read: Callable[[Path], StoredImage]) -> ImagePairs:
    def count_pages(path: Path) -> int:
        # Pages of another size than the first do not count, so stacks are decoded.
        return read(path).page_count if measure_size(path).pages > 1 else 1

    pages = [(paths, page) for paths in layout.scenes for page in range(count_pages(paths[0]))]

    def load(index: int) -> tuple[Image, Image | None]:
        paths, page = pages[index]
        stored = [read(path) for path in paths]
        shapes = [(each.page_count, *each.size) for each in stored]
        if len(set(shapes)) > 1:
            raise DataError(
                f"'{paths[0]}' and '{paths[1]}' are not a pair because they differ in size; got "
                f"{shapes[0]} and {shapes[1]} pages, rows and columns. Remove one of them."
            )
        images = [each.part(0, 0, *each.size, page=page) for each in stored]
        return images[-1], images[0] if len(images) > 1 else None

    names = [paths[0].name + (f" page {page + 1}" if page else "") for paths, page in pages]
    return ImagePairs(len(pages), load, names)


def _open_photographs(channels: int) -> ImagePairs:
    quarters = []
    for name in PHOTOGRAPHS:
        pixels = getattr(load_scikit_image("data"), name)()
        # A gray photograph of scikit-image has no axis of channels.
        image = to_channels(pixels.reshape(*pixels.shape[:2], -1), channels)
        # Quarters: twelve patches of more kinds of texture than three centres have.
        rows, columns = (length // 2 for length in image.shape[:2])
        quarters += [
            image[top : top + rows, left : left + columns].astype(np.float32) / np.float32(255)
            for top in (0, rows)
            for left in (0, columns)
        ]
    return ImagePairs.from_arrays(quarters)


def _refuse_tuning() -> ImagePairs:
    raise ArgumentError(
        "`tuning` must name a folder of other pairs, because a classical method is tuned for the "
        "noise at hand, and never on the images of the evaluation; give one, or omit the method."
    )
