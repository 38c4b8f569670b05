"""Training on one array of images, without a run folder: what an estimator needs."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.data.batches import Batches
from quietpixel.data.samplers import NoisySampler
from quietpixel.models import build
from quietpixel.models.bottleneck import decoder, encoder
from quietpixel.noise.parser import parse_noise
from quietpixel.training.callbacks import StopOnNaN
from quietpixel.training.compiled_model import make_optimizer
from quietpixel.training.losses import find_loss
from quietpixel.training.recipe import Recipe

BATCH = 250
"""Images denoised at once."""
SMALL = 64
"""Up to this many images in all epochs, eager execution takes less time than compiling."""


@dataclass
class ImageModel:
    """A trained model as its name, its options and its weights; it can be copied and pickled.

    Parameters
    ----------
    name, options
        The registered model and the options it was built with.
    weights
        As Keras orders them.
    """

    name: str
    options: Mapping[str, Any]
    weights: list[NDArray[Any]]
    _open: dict[str, keras.Model] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Drop the Keras models, which are built again from the rest."""
        return {**self.__dict__, "_open": {}}

    def denoise(self, images: FloatArray) -> FloatArray:
        """Return float32 images (N, H, W, C) in [0, 1] without their noise."""
        return self._run("whole", images)

    def encode(self, images: FloatArray) -> FloatArray:
        """Return the codes (N, code) of images (N, H, W, C), for a model with a code."""
        return self._run("encoder", images)

    def decode(self, codes: FloatArray) -> FloatArray:
        """Return the images of codes (N, code), for a model with a code."""
        return self._run("decoder", codes)

    def _run(self, half: str, batch: FloatArray) -> FloatArray:
        model = self._half(half)
        parts = [
            keras.ops.convert_to_numpy(model(batch[start : start + BATCH], training=False))
            for start in range(0, len(batch), BATCH)
        ]
        return np.concatenate(parts)

    def _half(self, half: str) -> keras.Model:
        if not self._open:
            # Building draws weights that are replaced at once, and must not move the generators of
            # the user.
            with _own_randomness(0):
                model = build(self.name, **self.options)
            model.set_weights(self.weights)
            self._open["whole"] = model
        if half not in self._open:
            self._open[half] = {"encoder": encoder, "decoder": decoder}[half](self._open["whole"])
        return self._open[half]


def fit_images(images: FloatArray, recipe: Recipe) -> ImageModel:
    """Return a model trained on clean images with `recipe`.

    The random states of Python and NumPy stay unchanged.

    Parameters
    ----------
    images
        float32 (N, H, W, C) in [0, 1], all of one size.
    recipe
        Its data, minutes and patches are ignored.

    Raises
    ------
    TrainingError
        If the loss becomes non-finite.
    """
    sampler = NoisySampler(
        images,
        parse_noise(recipe.noise),
        batch=recipe.batch,
        seed=recipe.seed,
        fresh=recipe.fresh_noise,
    )
    with _own_randomness(recipe.seed):
        model = build(recipe.model, **recipe.options)
        model.compile(
            optimizer=make_optimizer(recipe, len(sampler)),
            loss=find_loss(recipe.loss),
            jit_compile=False,
            run_eagerly=len(images) * recipe.epochs <= SMALL,
        )
        model.fit(
            Batches(sampler),
            epochs=recipe.epochs,
            callbacks=[StopOnNaN()],
            # The sampler shuffles, by seed and epoch.
            shuffle=False,
            verbose=0,
        )
    return ImageModel(recipe.model, dict(recipe.options), model.get_weights())


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed Keras in the block, and restore the random states of Python and NumPy after it."""
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
