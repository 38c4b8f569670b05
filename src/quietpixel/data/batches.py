"""Batches for training: clean images and their noisy versions, drawn by (seed, epoch, index)."""

from typing import Any

import keras
import numpy as np

from quietpixel.noise.parser import FROZEN_EPOCH, Array, NoiseLaw, image_rng

SHUFFLE_INDEX = 2**31


def to_float(images: np.ndarray[Any, Any]) -> Array:
    """Return `images` as float32 in [0, 1]; uint8 is divided by 255."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


class EpochBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of (input, target) that know which epoch it is; any of them can be made again.

    Parameters
    ----------
    batch
        Images in a batch.
    seed
        Decides all that is drawn.
    first_epoch
        The epoch that the first pass is.
    """

    def __init__(self, *, batch: int, seed: int, first_epoch: int = 0) -> None:
        super().__init__()
        self.batch, self.seed = batch, seed
        self.epoch, self.begun = first_epoch, False

    def on_epoch_begin(self) -> None:
        """Go on to the next epoch; Keras looks at a batch before it begins the first."""
        self.epoch, self.begun = self.epoch + self.begun, True

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Return batch number `index` of the present epoch."""
        return self.make(self.epoch, index)

    def make(self, epoch: int, index: int) -> tuple[Array, Array]:
        """Return batch number `index` of `epoch` as (input, target)."""
        raise NotImplementedError


class NoisyBatches(EpochBatches):
    """Batches of (noisy, clean) from images of one size, shuffled anew in each epoch.

    Parameters
    ----------
    images
        Clean images, uint8 or float32, (N, H, W, C).
    law
        The noise.
    batch
        Images in a batch; what is left over at the end of an epoch waits for another epoch.
    seed
        Decides order and noise.
    fresh
        Whether each epoch draws new noise.
    first_epoch
        The epoch that the first pass is.
    """

    def __init__(
        self,
        images: np.ndarray[Any, Any],
        law: NoiseLaw,
        *,
        batch: int,
        seed: int,
        fresh: bool = True,
        first_epoch: int = 0,
    ) -> None:
        super().__init__(batch=batch, seed=seed, first_epoch=first_epoch)
        self.images, self.law, self.fresh = images, law, fresh
        self._kept: tuple[int, np.ndarray[Any, Any]] = -1, np.empty(0, int)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self.images) // self.batch)

    def make(self, epoch: int, index: int) -> tuple[Array, Array]:
        """Return batch number `index` of `epoch` as (noisy, clean)."""
        chosen = self._order(epoch)[index * self.batch : (index + 1) * self.batch]
        clean = to_float(self.images[chosen])
        noise_epoch = epoch + 1 if self.fresh else FROZEN_EPOCH
        rngs = (image_rng(self.seed, noise_epoch, int(i)) for i in chosen)
        noisy = [self.law(image, rng) for image, rng in zip(clean, rngs, strict=True)]
        return np.stack(noisy), clean

    def _order(self, epoch: int) -> np.ndarray[Any, Any]:
        if self._kept[0] != epoch:
            rng = image_rng(self.seed, epoch, SHUFFLE_INDEX)
            self._kept = epoch, rng.permutation(len(self.images))
        return self._kept[1]
