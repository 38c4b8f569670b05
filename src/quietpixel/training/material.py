"""What a recipe trains on: batches, and images to validate by."""

from dataclasses import dataclass
from pathlib import Path

from quietpixel.data import Split
from quietpixel.data.batches import EpochBatches, NoisyBatches
from quietpixel.data.patches import PatchBatches
from quietpixel.imaging.noise import Array, add_noise, parse_noise
from quietpixel.training.images import PhotoSet
from quietpixel.training.recipe import Recipe

VALIDATION_SEED_OFFSET = 1_000_003
VALIDATION_PATCHES, VALIDATION_PATCH = 40, 96
"""How many patches of a folder's validation images judge an epoch, and how large they are."""


@dataclass(frozen=True)
class Material:
    """What one run trains on and is validated by.

    Parameters
    ----------
    batches
        Where the steps come from.
    validation
        Noisy and clean images, float32 (N, H, W, C), the same in every epoch.
    channels
        1 or 3.
    size
        Height of the images where all are alike, else ``None``.
    """

    batches: EpochBatches
    validation: tuple[Array, Array]
    channels: int
    size: int | None = None


def is_folder(data: str) -> bool:
    """Tell whether `data` is the path of a folder and not the name of a set."""
    return Path(data).is_dir()


def from_splits(recipe: Recipe, train: Split, validation: Split) -> Material:
    """Return the material of a named set."""
    law = parse_noise(recipe.noise)
    clean = validation.as_float()
    noisy = add_noise(clean, law, seed=recipe.seed + VALIDATION_SEED_OFFSET)
    batches = NoisyBatches(
        train.images, law, batch=recipe.batch, seed=recipe.seed, fresh=recipe.fresh_noise
    )
    return Material(batches, (noisy, clean), train.images.shape[-1], train.images.shape[1])


def from_photos(recipe: Recipe, photos: PhotoSet) -> Material:
    """Return the material of a folder of photographs."""
    law = parse_noise(recipe.noise)
    batches = PatchBatches(
        photos.train,
        law,
        patch=recipe.patch,
        batch=recipe.batch,
        steps=recipe.steps,
        seed=recipe.seed,
    )
    judges = PatchBatches(
        photos.validation,
        law,
        patch=least_side(recipe),
        batch=VALIDATION_PATCHES,
        steps=1,
        seed=recipe.seed + VALIDATION_SEED_OFFSET,
    )
    return Material(batches, judges.make(0, 0), recipe.channels)


def least_side(recipe: Recipe) -> int:
    """Return the height and width that a photograph must have, in pixels."""
    return max(recipe.patch, VALIDATION_PATCH)
