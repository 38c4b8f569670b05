"""What methods are judged on, and what the classical ones are tuned on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data import load_split, named_sets
from quietpixel.data.image_cache import decode, to_channels
from quietpixel.data.image_folder import find_layout
from quietpixel.errors import ArgumentError, DataError, UnknownNameError, unknown_name
from quietpixel.evaluation.classical import load_scikit_image
from quietpixel.evaluation.trials import Trials
from quietpixel.training.folder_data import find_channels

Image = NDArray[np.float32]

PHOTOGRAPHS = ("camera", "chelsea", "coffee")
"""Pictures of scikit-image by which methods are tuned for a folder where none other is named."""


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """What is judged on and what methods are tuned on.

    Parameters
    ----------
    trials
        Of the judged images.
    channels
        1 or 3.
    own_noise
        Whether the noisy images have noise of their own, so that none is added.
    tuning
        Opens the images that methods are tuned on, or says why there are none.
    tuned_on
        How these are called.
    """

    trials: Trials
    channels: int
    own_noise: bool
    tuning: Callable[[], Trials]
    tuned_on: str


def open_material(
    data: str | Path,
    channels: int | None,
    *,
    pairs: str,
    tuning: str | Path | None,
    data_dir: str | Path | None,
) -> ComparisonData:
    """Return what is judged on: a named set, a folder of clean pictures, or one of pairs.

    Parameters
    ----------
    data, pairs, tuning, data_dir
        As for `quietpixel.compare`.
    channels
        1 or 3; None takes what the folder holds.

    Raises
    ------
    QuietpixelError
        If there are no such data, or `pairs` does not fit them.
    """
    if str(data) in named_sets():
        if pairs:
            raise ArgumentError(f"`pairs` is for a folder of pictures, and '{data}' is none.")
        load = partial(_open_split, str(data), data_dir=data_dir)
        return ComparisonData(
            trials=load("test"),
            channels=1,
            own_noise=False,
            tuning=partial(load, "validation") if tuning is None else _later(tuning, 1),
            tuned_on=str(tuning or f"{data} (validation)"),
        )
    folder = Path(data)
    if not folder.is_dir():
        raise _no_data(str(data))
    kind = find_layout(folder, target="clean", pairs=pairs, notify=_ignore).kind
    wanted = channels or find_channels(str(folder), target="clean", pairs=pairs)
    return ComparisonData(
        trials=open_folder(folder, wanted, pairs=pairs),
        channels=wanted,
        own_noise=kind == "pairs",
        tuning=_choose_tuning(tuning, wanted, kind, pairs),
        tuned_on=str(tuning or f"{', '.join(PHOTOGRAPHS)} of scikit-image"),
    )


def _choose_tuning(
    tuning: str | Path | None, channels: int, kind: str, pairs: str
) -> Callable[[], Trials]:
    if tuning is not None:
        return _later(tuning, channels, pairs)
    return _refuse_untuned if kind == "pairs" else partial(_open_photographs, channels)


def _later(folder: str | Path, channels: int, pairs: str = "") -> Callable[[], Trials]:
    return partial(open_folder, Path(folder), channels, pairs=pairs)


def _refuse_untuned() -> Trials:
    raise ArgumentError(
        "`tuning` must name a folder of other pairs, because a classical method needs to be tuned "
        "for this noise on images that are not judged; give --tuning FOLDER, or leave the method "
        "out."
    )


def open_folder(folder: Path, channels: int, *, pairs: str = "") -> Trials:
    """Return the pictures of a folder as trials: clean ones, or pairs.

    Raises
    ------
    DataError
        If there are none.
    """
    scenes = find_layout(folder, target="clean", pairs=pairs, notify=_ignore).scenes
    if not scenes:
        raise DataError(f"The folder '{folder}' holds no pictures to judge by; name another one.")

    def open_scene(index: int) -> tuple[Image, Image | None]:
        images = [decode(path, channels).whole() for path in scenes[index]]
        if len(images) == 1:
            return images[0], None
        noisy, clean = images
        if noisy.shape != clean.shape:
            raise DataError(
                f"'{scenes[index][0]}' and '{scenes[index][1]}' are no pair, because they differ "
                f"in size; got {noisy.shape[:2]} and {clean.shape[:2]}. Take one away."
            )
        return clean, noisy

    return Trials(len(scenes), open_scene, [paths[0].name for paths in scenes])


def _open_split(name: str, split: str, *, data_dir: str | Path | None) -> Trials:
    images = load_split(name, split, data_dir=data_dir).as_float()
    return Trials(len(images), lambda index: (images[index], None))


def _open_photographs(channels: int) -> Trials:
    pictures: list[Any] = [getattr(load_scikit_image("data"), name)() for name in PHOTOGRAPHS]
    ready = [each.reshape(*each.shape[:2], -1) for each in pictures]
    images = [to_channels(each, channels).astype(np.float32) / np.float32(255) for each in ready]
    middles = [part for image in images for part in _quarters(image)]
    return Trials(len(middles), lambda index: (middles[index], None))


def _quarters(image: Image) -> list[Image]:
    height, width = (length // 2 for length in image.shape[:2])
    return [
        image[top : top + height, left : left + width] for top in (0, height) for left in (0, width)
    ]


def _no_data(name: str) -> DataError | UnknownNameError:
    if "/" in name or "\\" in name:
        return DataError(f"The folder '{name}' does not exist; give its right name.")
    return unknown_name("data set or folder", name, named_sets())


def _ignore(text: str) -> None:
    pass
