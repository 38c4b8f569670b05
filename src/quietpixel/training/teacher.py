"""Distillation: the results of a model are the targets of a run.

Without Keras, because the processes that make batches never import it.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from quietpixel.data.samplers import Batch, Sampler
from quietpixel.errors import ArgumentError
from quietpixel.inference.engine import Engine, open_engine, run_views
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import find_model
from quietpixel.training.recipe import Recipe


class TeacherSampler:
    """Batches of a sampler, with the results of a model as targets.

    Parameters
    ----------
    sampler
        Its batches.
    path
        Model file.
    """

    def __init__(self, sampler: Sampler, path: Path) -> None:
        self.sampler, self.path, self.skipped = sampler, path, sampler.skipped

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.sampler)

    @cached_property
    def engine(self) -> Engine:
        """The model, opened by the process that makes the batches."""
        return open_engine(self.path, threads=1)

    def make(self, epoch: int, index: int) -> Batch:
        """Return batch number `index` of `epoch` as (input, target)."""
        inputs, _ = self.sampler.make(epoch, index)
        noisy, levels = inputs if isinstance(inputs, tuple) else (inputs, None)
        sigma = None if levels is None else np.moveaxis(levels[..., 0], 0, 2)
        return inputs, np.moveaxis(run_views(self.engine, np.moveaxis(noisy, 0, 2), sigma), 2, 0)


def add_teacher(sampler: Sampler, recipe: Recipe, *, takes_level: bool) -> TeacherSampler:
    """Return the batches of a sampler with the results of the recipe's teacher as targets.

    Parameters
    ----------
    sampler
        Its batches.
    recipe
        The recipe.
    takes_level
        Whether the inputs of the batches have a noise level.

    Raises
    ------
    ArgumentError
        If the images are not clean, or the teacher takes a level and the model does not.
    """
    if recipe.method:
        raise ArgumentError(
            f"`teacher` is for clean images, which get noise in training; got {recipe.teacher} for "
            "noisy ones or pairs. Omit it."
        )
    path = find_model(recipe.teacher)
    if read_card(path).sigma_input and not takes_level:
        raise ArgumentError(
            f"The `teacher` {recipe.teacher} takes a noise level, and so must the model that is "
            "trained; start from one that does, such as photo, or name a teacher that takes none."
        )
    return TeacherSampler(sampler, path)
