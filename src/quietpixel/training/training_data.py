"""What a recipe trains on: a sampler of batches, and validation images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.data import Split
from quietpixel.data.patches import PatchSampler, PatchSampling
from quietpixel.data.samplers import NoisySampler, Sampler
from quietpixel.data.self_supervised import HidePixels, Recorrupt, SplitNeighbours, Structure
from quietpixel.data.tasks import AddNoise, SwapPair, TakePair, Task
from quietpixel.errors import ArgumentError
from quietpixel.imaging.intensity_scale import Range
from quietpixel.noise.parser import add_noise, parse_noise
from quietpixel.training.folder_data import Folder
from quietpixel.training.losses import WEIGHTED
from quietpixel.training.recipe import Recipe

VALIDATION_SEED_OFFSET = 1_000_003
"""Added to the seed, so that validation images never get noise that was trained on."""
VALIDATION_PATCHES, VALIDATION_PATCH = 40, 96
"""Number of validation patches of a folder, and their largest height and width."""
LOSS_NAMES = {
    "hidden": "squared error at hidden pixels against their noisy values",
    "neighbours": "squared error against noisy neighbours",
    "recorrupted": "squared error against images recorrupted with their own noise law",
}
"""The validation loss in words, for each method that learns from noisy images."""


@dataclass(frozen=True)
class TrainingData:
    """The data of a run.

    Parameters
    ----------
    sampler
        Makes the training batches.
    validation
        Inputs and targets, float32 (N, H, W, C), the same in every epoch.
    channels
        1 or 3.
    size
        Height and width of the images if all are alike, else None.
    loss
        Compares outputs with targets, if the loss of the recipe cannot.
    loss_name
        The validation loss in words, for the card.
    range
        Black and white of the images of a folder; None where their type or file says it.
    """

    sampler: Sampler
    validation: tuple[Any, FloatArray]
    channels: int
    size: int | None = None
    loss: Callable[[Any, Any], Any] | None = None
    loss_name: str = ""
    range: Range | None = None


def from_splits(recipe: Recipe, train: Split, validation: Split) -> TrainingData:
    """Return the training data of a named set.

    Parameters
    ----------
    recipe
        The recipe.
    train, validation
        Parts of the set.
    """
    law, images = parse_noise(recipe.noise), train.images
    clean = validation.as_float()
    noisy = add_noise(clean, law, seed=recipe.seed + VALIDATION_SEED_OFFSET)
    sampler = NoisySampler(
        images, law, batch=recipe.batch, seed=recipe.seed, fresh=recipe.fresh_noise
    )
    return TrainingData(sampler, (noisy, clean), images.shape[-1], images.shape[1])


def from_folder(recipe: Recipe, folder: Folder) -> TrainingData:
    """Return the training data of a folder.

    Parameters
    ----------
    recipe
        The recipe.
    folder
        Its scenes.

    Raises
    ------
    ArgumentError
        If the method of the recipe needs a noise law and the recipe has none.
    DataError
        If no scene can be used.
    """
    level_fraction = None
    if recipe.options.get("sigma"):  # only a clean target shows the noise level
        level_fraction = 0.0 if recipe.method else 1.0
    least, step = int(np.min(folder.validation_sides)), max(recipe.patch // 2, 1)
    drawing = PatchSampling(
        patch=recipe.patch,
        batch=recipe.batch,
        steps=recipe.steps,
        seed=recipe.seed,
        scenes=folder.scenes_at_a_time,
        upright=bool(recipe.structure),  # a quarter turn would turn rows into columns
        level_fraction=level_fraction,
        level_excess=recipe.level_excess,
        downscale_fraction=0.0 if recipe.method else recipe.downscale_fraction,
    )
    # The same noise for all epochs, so that their losses can be compared.
    validating = replace(
        drawing,
        # A multiple of half a patch, so that the model of the patches also takes it.
        patch=max(recipe.patch, min(VALIDATION_PATCH, least) // step * step),
        batch=VALIDATION_PATCHES,
        steps=1,
        seed=recipe.seed + VALIDATION_SEED_OFFSET,
        downscale_fraction=0.0,
    )
    task = make_task(recipe.without_modified_patches())
    return TrainingData(
        PatchSampler(folder.train, make_task(recipe), drawing),
        PatchSampler(folder.validation, task, validating).make(0, 0),
        recipe.channels,
        loss=WEIGHTED[recipe.loss] if recipe.masks or recipe.method == "hidden" else None,
        loss_name=LOSS_NAMES.get(recipe.method, ""),
        range=folder.range,
    )


def make_task(recipe: Recipe) -> Task:
    """Return the function that makes input and target from the scenes of a folder.

    Parameters
    ----------
    recipe
        The recipe.

    Raises
    ------
    ArgumentError
        If the method of the recipe needs a noise law and the recipe has none.
    """
    if recipe.method == "pairs":
        return SwapPair() if recipe.target == "noisy" else TakePair()
    if recipe.method == "hidden":
        return HidePixels(Structure(recipe.structure))
    if recipe.method == "neighbours":
        return SplitNeighbours()
    if recipe.method == "recorrupted" and not recipe.noise:
        raise ArgumentError(
            "`method` recorrupted needs the law of the noise in the images; give it as `noise`, "
            "such as 'gaussian:25/255', or omit `method` for one that needs none."
        )
    law = parse_noise(recipe.noise)
    if recipe.method == "recorrupted":
        return Recorrupt(law)
    return AddNoise(
        law,
        clean_fraction=recipe.clean_fraction,
        blur_fraction=recipe.blur_fraction,
        pattern_fraction=recipe.pattern_fraction,
        contrast_fraction=recipe.contrast_fraction,
        gray_fraction=recipe.gray_fraction,
    )
