"""Samplers make the batches of a run; without Keras, so that worker processes can use them."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.image_cache import SkippedFiles
from quietpixel.noise.parser import FROZEN_EPOCH, Array, NoiseLaw, image_rng

SHUFFLE_INDEX = 2**31
"""Index of the generator that shuffles an epoch."""

Batch = tuple[Any, Any]


class Sampler(Protocol):
    """Makes any batch of a run from its epoch and index alone."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def make(self, epoch: int, index: int) -> Batch:
        """Return batch number `index` of `epoch` as (input, target)."""

    @property
    def skipped(self) -> SkippedFiles | None:
        """The files that could not be used, if the samples come from files."""


class NoisySampler:
    """Batches of (noisy, clean) from images of one size, shuffled anew in each epoch.

    Parameters
    ----------
    images
        Clean images (N, H, W, C), uint8 or float32 in [0, 1].
    law
        The noise.
    batch
        Images in a batch; a remainder at the end of an epoch is not used.
    seed
        Seed of order and noise.
    fresh
        Whether each epoch draws new noise.
    """

    skipped = None

    def __init__(
        self, images: NDArray[Any], law: NoiseLaw, *, batch: int, seed: int, fresh: bool = True
    ) -> None:
        self.images, self.law = images, law
        self.batch, self.seed, self.fresh = batch, seed, fresh
        self._order: tuple[int, NDArray[Any]] = -1, np.empty(0, int)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self.images) // self.batch)

    def make(self, epoch: int, index: int) -> tuple[Array, Array]:
        """Return batch number `index` of `epoch` as (noisy, clean)."""
        if self._order[0] != epoch:
            rng = image_rng(self.seed, epoch, SHUFFLE_INDEX)
            self._order = epoch, rng.permutation(len(self.images))
        chosen = self._order[1][index * self.batch : (index + 1) * self.batch]
        clean = self.images[chosen].astype(np.float32, copy=False)
        if self.images.dtype == np.uint8:
            clean = clean / np.float32(255)
        noise_epoch = epoch + 1 if self.fresh else FROZEN_EPOCH
        rngs = (image_rng(self.seed, noise_epoch, int(i)) for i in chosen)
        noisy = [self.law(image, rng) for image, rng in zip(clean, rngs, strict=True)]
        return np.stack(noisy), clean
