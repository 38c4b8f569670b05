"""What a recipe trains on: batches, and images to validate by."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.data import Split
from quietpixel.data.batches import EpochBatches, NoisyBatches
from quietpixel.data.patches import PatchBatches, PatchSampling
from quietpixel.data.self_supervised import HidePixels, Recorrupt, SplitNeighbours, Structure
from quietpixel.data.tasks import AddNoise, SwapPair, TakePair, Task
from quietpixel.errors import ArgumentError
from quietpixel.noise.parser import Array, add_noise, parse_noise
from quietpixel.training.folder_data import Folder
from quietpixel.training.losses import hidden_squared_error
from quietpixel.training.recipe import Recipe

VALIDATION_SEED_OFFSET = 1_000_003
TOLD = 1.0
"""How often a model that takes the noise level is told it in training."""
VALIDATION_PATCHES, VALIDATION_PATCH = 40, 96
"""How many patches of a folder's validation images judge an epoch, and how large they are."""


@dataclass(frozen=True)
class TrainingData:
    """What one run trains on and is validated by.

    Parameters
    ----------
    batches
        Where the steps come from.
    validation
        Inputs and targets, float32 (N, H, W, C), the same in every epoch.
    channels
        1 or 3.
    size
        Height of the images where all are alike, else ``None``.
    loss
        What compares outputs with targets, where the recipe's does not.
    loss_name
        What the validation loss is, in words for the card.
    """

    batches: EpochBatches
    validation: tuple[Array, Array]
    channels: int
    size: int | None = None
    loss: Callable[[Any, Any], Any] | None = None
    loss_name: str = ""


def is_folder(data: str) -> bool:
    """Tell whether `data` is the path of a folder and not the name of a set."""
    return Path(data).is_dir()


def from_splits(recipe: Recipe, train: Split, validation: Split) -> TrainingData:
    """Return the material of a named set."""
    law = parse_noise(recipe.noise)
    clean = validation.as_float()
    noisy = add_noise(clean, law, seed=recipe.seed + VALIDATION_SEED_OFFSET)
    batches = NoisyBatches(
        train.images, law, batch=recipe.batch, seed=recipe.seed, fresh=recipe.fresh_noise
    )
    return TrainingData(batches, (noisy, clean), train.images.shape[-1], train.images.shape[1])


def from_folder(recipe: Recipe, folder: Folder) -> TrainingData:
    """Return the material of a folder."""
    draw = _how_to_draw(recipe, folder)
    as_they_are = recipe.leaving_patches()
    judge = replace(
        _how_to_draw(as_they_are, folder),
        patch=_judging_patch(recipe, folder),
        batch=VALIDATION_PATCHES,
        steps=1,
        seed=recipe.seed + VALIDATION_SEED_OFFSET,
        told=draw.told,
    )
    return TrainingData(
        PatchBatches(folder.train, make_task(recipe), draw),
        PatchBatches(folder.validation, make_task(as_they_are), judge).make(0, 0),
        recipe.channels,
        loss=hidden_squared_error if recipe.method == "hidden" else None,
        loss_name=LOSS_NAMES.get(recipe.method, ""),
    )


def _how_to_draw(recipe: Recipe, folder: Folder) -> PatchSampling:
    return PatchSampling(
        patch=recipe.patch,
        batch=recipe.batch,
        steps=recipe.steps,
        seed=recipe.seed,
        scenes=folder.scenes_at_a_time,
        upright=bool(recipe.structure),
        told=_how_often_told(recipe),
        shrunk=0.0 if recipe.method else recipe.shrunk,
    )


LOSS_NAMES = {
    "hidden": "squared error at hidden pixels against their noisy values",
    "neighbours": "squared error against noisy neighbours",
    "recorrupted": "squared error against images recorrupted with their own noise law",
}
"""What the validation loss of each way to learn from noisy images is."""


def make_task(recipe: Recipe) -> Task:
    """Return what makes examples of the scenes of a folder.

    Raises
    ------
    ArgumentError
        If the noise law that the method needs was not given.
    """
    if recipe.method == "pairs":
        return SwapPair() if recipe.target == "noisy" else TakePair()
    if recipe.method == "hidden":
        return HidePixels(Structure(recipe.structure))
    if recipe.method == "neighbours":
        return SplitNeighbours()
    if recipe.method == "recorrupted" and not recipe.noise:
        raise ArgumentError(
            "`method` recorrupted needs the law of the noise in the images; give it by --noise, "
            "such as --noise gaussian:25/255, or leave it out for a method that needs none."
        )
    law = parse_noise(recipe.noise)
    if recipe.method == "recorrupted":
        return Recorrupt(law)
    return AddNoise(law, recipe.plain, recipe.soft, recipe.woven, recipe.gray)


def _how_often_told(recipe: Recipe) -> float | None:
    """Only where the clean patch is known, so is the level of the noise on it."""
    if not recipe.options.get("sigma"):
        return None
    return 0.0 if recipe.method else TOLD


def _judging_patch(recipe: Recipe, folder: Folder) -> int:
    """Return the largest square, up to a limit, that all validation images have.

    It is a multiple of a patch's half, so that a model that takes the patches takes it too.
    """
    least, step = int(np.min(folder.validation_sides)), max(recipe.patch // 2, 1)
    return max(recipe.patch, min(VALIDATION_PATCH, least) // step * step)
