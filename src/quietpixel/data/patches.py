"""Batches of patches from photographs of different sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.batches import EpochBatches, to_float
from quietpixel.imaging.noise import Array, NoiseLaw, image_rng

Pixels = NDArray[np.uint8]


class PatchBatches(EpochBatches):
    """Batches of (noisy, clean) patches, drawn by (seed, epoch, index).

    Parameters
    ----------
    images
        Clean images, uint8 (H, W, C), none smaller than a patch; large ones are drawn from more
        often, in proportion to their area.
    law
        The noise, drawn anew for each patch.
    patch
        Height and width of a patch in pixels.
    batch, steps
        Patches in a batch and batches in an epoch.
    seed
        Decides which patches, how they are turned, and their noise.
    first_epoch
        The epoch that the first pass is.
    """

    def __init__(
        self,
        images: Sequence[Pixels],
        law: NoiseLaw,
        *,
        patch: int,
        batch: int,
        steps: int,
        seed: int,
        first_epoch: int = 0,
    ) -> None:
        super().__init__(law, batch=batch, seed=seed, first_epoch=first_epoch)
        self.images, self.patch, self.steps = images, patch, steps
        self.shares = np.cumsum([image.shape[0] * image.shape[1] for image in images])

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.steps

    def make(self, epoch: int, index: int) -> tuple[Array, Array]:
        """Return batch number `index` of `epoch` as (noisy, clean)."""
        numbers = range(index * self.batch, (index + 1) * self.batch)
        rngs = [image_rng(self.seed, epoch, number) for number in numbers]
        clean = [self._draw(rng) for rng in rngs]
        noisy = [self.law(patch, rng) for patch, rng in zip(clean, rngs, strict=True)]
        return np.stack(noisy), np.stack(clean)

    def _draw(self, rng: np.random.Generator) -> Array:
        place = rng.integers(self.shares[-1])
        image = self.images[int(np.searchsorted(self.shares, place, side="right"))]
        top, left = (int(rng.integers(side - self.patch + 1)) for side in image.shape[:2])
        patch = image[top : top + self.patch, left : left + self.patch]
        return to_float(turn(patch, int(rng.integers(8))))


def turn(patch: NDArray[Any], way: int) -> NDArray[Any]:
    """Return `patch` (H, W, C) in one of its 8 flips and turns, `way` from 0 to 7.

    Examples
    --------
    >>> turn(np.array([[[1], [2]], [[3], [4]]]), 4).ravel().tolist()
    [2, 1, 4, 3]
    """
    turned = np.rot90(patch, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
