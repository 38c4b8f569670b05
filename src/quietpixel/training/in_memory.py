"""Training on one array of images, without a run folder: what an estimator needs."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from quietpixel.data.batches import NoisyBatches
from quietpixel.models import build
from quietpixel.models.bottleneck import decoder, encoder
from quietpixel.noise.parser import Array, parse_noise
from quietpixel.training.callbacks import StopOnNaN
from quietpixel.training.compiled_model import make_optimizer
from quietpixel.training.losses import find_loss
from quietpixel.training.recipe import Recipe

BATCH = 250
"""Images that are denoised at once."""
SMALL = 64
"""Up to so many images, running step by step takes less time than compiling."""


@dataclass
class ImageModel:
    """A trained model as its name, its options and its weights; it can be copied and pickled.

    Parameters
    ----------
    name, options
        The registered model and what its builder took.
    weights
        As Keras orders them.
    """

    name: str
    options: Mapping[str, Any]
    weights: list[NDArray[Any]]
    _open: dict[str, keras.Model] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was opened; it is made again from the rest."""
        return {**self.__dict__, "_open": {}}

    def denoise(self, images: Array) -> Array:
        """Return float32 images (N, H, W, C) in [0, 1] without their noise."""
        return self._run("whole", images)

    def encode(self, images: Array) -> Array:
        """Return the codes (N, code) of a bottleneck's images."""
        return self._run("encoder", images)

    def decode(self, codes: Array) -> Array:
        """Return the images of a bottleneck's codes (N, code)."""
        return self._run("decoder", codes)

    def _run(self, half: str, batch: Array) -> Array:
        model = self._half(half)
        parts = [
            keras.ops.convert_to_numpy(model(batch[start : start + BATCH], training=False))
            for start in range(0, len(batch), BATCH)
        ]
        return np.concatenate(parts)

    def _half(self, half: str) -> keras.Model:
        if not self._open:
            with _own_randomness(0):
                model = build(self.name, **self.options)
            model.set_weights(self.weights)
            self._open["whole"] = model
            if self.name == "bottleneck":
                self._open |= {"encoder": encoder(model), "decoder": decoder(model)}
        return self._open[half]


def fit_images(images: Array, recipe: Recipe) -> ImageModel:
    """Return a model trained on clean images as `recipe` says, by epochs.

    The random states of Python and NumPy are left as they were.

    Parameters
    ----------
    images
        float32 (N, H, W, C) in [0, 1], all of one size.
    recipe
        Its data, minutes and patches do not count.

    Raises
    ------
    TrainingError
        If the loss is not finite.
    """
    batches = NoisyBatches(
        images,
        parse_noise(recipe.noise),
        batch=recipe.batch,
        seed=recipe.seed,
        fresh=recipe.fresh_noise,
    )
    with _own_randomness(recipe.seed):
        model = build(recipe.model, **recipe.options)
        model.compile(
            optimizer=make_optimizer(recipe, len(batches)),
            loss=find_loss(recipe.loss),
            jit_compile=False,
            run_eagerly=len(images) * recipe.epochs <= SMALL,
        )
        model.fit(batches, epochs=recipe.epochs, callbacks=[StopOnNaN()], shuffle=False, verbose=0)
    return ImageModel(recipe.model, dict(recipe.options), model.get_weights())


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Let Keras be seeded, and give Python and NumPy their random states back."""
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
