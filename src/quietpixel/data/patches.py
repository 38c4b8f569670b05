"""Batches of patches from images of different sizes, opened when they are needed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import UNKNOWN_SIGMA
from quietpixel.data.image_cache import SkippedFiles
from quietpixel.data.image_source import Source
from quietpixel.data.tasks import Task
from quietpixel.errors import DataError
from quietpixel.noise.parser import Array, image_rng

PATIENCE = 200
"""After so many scenes in a row that cannot be used, none is believed to be left."""
CHOICE_INDEX = 2**31
"""The index of the generator that chooses the scenes of an epoch."""
LOCAL, LOCAL_WIDTHS = 0.5, (6.0, 20.0)
"""Share of the patches whose level is a map, and the widths of the Gaussian it is measured with."""
UPRIGHT = (0, 2, 4, 6)
"""The ways of `turn` that leave rows rows."""


@dataclass(frozen=True, kw_only=True)
class PatchSampling:
    """How patches are drawn.

    Parameters
    ----------
    patch
        Height and width of a patch in pixels.
    batch, steps
        Patches in a batch and batches in an epoch.
    seed
        Decides which patches, how they are turned, and what the task draws.
    scenes
        How many scenes an epoch draws from at most, chosen anew for each; so many are opened at a
        time at most.
    upright
        Whether rows must stay rows: patches are then only flipped.
    level_fraction
        For a model that takes the noise level: how often it is told it, from 0 to 1.
    downscale_fraction
        How often, from 0 to 1, more of the scene is cut, up to twice the sides, and made smaller
        (`shrink`), so that 1 pixel holds more detail.
    """

    patch: int
    batch: int
    steps: int
    seed: int
    scenes: int = 10**9
    upright: bool = False
    level_fraction: float | None = None
    downscale_fraction: float = 0.0


class PatchSampler:
    """Batches of (input, target) patches, drawn by (seed, epoch, index).

    Parameters
    ----------
    source
        The scenes; large ones are drawn from more often, in proportion to their area.
    task
        Makes input and target from the patches of a scene.
    draw
        How they are drawn.
    """

    def __init__(self, source: Source, task: Task, draw: PatchSampling) -> None:
        self.source, self.task, self.draw = source, task, draw
        self._kept: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    @property
    def skipped(self) -> SkippedFiles | None:
        """The files that could not be used, if the scenes are files."""
        return getattr(self.source, "skipped", None)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.draw.steps

    def make(self, epoch: int, index: int) -> tuple[Any, Array]:
        """Return batch number `index` of `epoch`: (input, target) or ((input, level), target)."""
        numbers = range(index * self.draw.batch, (index + 1) * self.draw.batch)
        rngs = [image_rng(self.draw.seed, epoch, number) for number in numbers]
        pairs = [self.task(self._cut(epoch, rng), rng) for rng in rngs]
        inputs, targets = (np.stack(part) for part in zip(*pairs, strict=True))
        if self.draw.level_fraction is None:
            return inputs, targets
        levels = [self._level(*pair, rng) for pair, rng in zip(pairs, rngs, strict=True)]
        return (inputs, np.stack(levels)), targets

    def _level(self, noisy: Array, clean: Array, rng: np.random.Generator) -> Array:
        """Return the map that tells the noise level of a patch, or that nobody knows it."""
        if not rng.random() < (self.draw.level_fraction or 0):
            return np.full((*noisy.shape[:2], 1), UNKNOWN_SIGMA, np.float32)
        squared = np.mean(np.square(noisy - clean), axis=-1, keepdims=True)
        if rng.random() < LOCAL:
            from scipy import ndimage  # only training measures levels so; denoising needs no scipy

            width = rng.uniform(*LOCAL_WIDTHS)
            squared = ndimage.gaussian_filter(squared, (width, width, 0), mode="mirror")
            local: Array = np.sqrt(squared)
            return local
        return np.full(squared.shape, np.sqrt(squared.mean()), np.float32)

    def _cut(self, epoch: int, rng: np.random.Generator) -> tuple[Array, ...]:
        """Return the patches of one place of one scene, all turned the same way.

        A scene that cannot be used, or is smaller than it promised, is left for the next one that
        the same generator draws, so that every batch stays the same whenever it is made.
        """
        chosen, shares = self._scenes(epoch)
        side = self.draw.patch
        for _ in range(PATIENCE):
            place = rng.integers(shares[-1])
            images = self.source.open(int(chosen[np.searchsorted(shares, place, side="right")]))
            if images is None or min(images[0].size) < side:
                continue
            wide = self._side(min(images[0].size), rng)
            top, left = (int(rng.integers(length - wide + 1)) for length in images[0].size)
            way = int(rng.choice(UPRIGHT)) if self.draw.upright else int(rng.integers(8))
            parts = (shrink(image.part(top, left, wide, wide), side) for image in images)
            return tuple(np.ascontiguousarray(turn(part, way)) for part in parts)
        raise DataError(
            f"{PATIENCE} pictures in a row could not be used, so that there is nothing left to "
            "train on; look at what was left out above."
        )

    def _side(self, longest: int, rng: np.random.Generator) -> int:
        """Return the side of what is cut for a patch, at most `longest`."""
        side = self.draw.patch
        if self.draw.downscale_fraction and rng.random() < self.draw.downscale_fraction:
            return int(rng.integers(side, min(2 * side, longest) + 1))
        return side

    def _scenes(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the scenes of an epoch, and the running sum of their areas."""
        if self._kept is None or self._kept[0] != epoch:
            count = len(self.source.areas)
            chosen = np.arange(count)
            if count > self.draw.scenes:
                rng = image_rng(self.draw.seed, epoch, CHOICE_INDEX)
                chosen = np.sort(rng.choice(count, self.draw.scenes, replace=False))
            self._kept = epoch, chosen, np.cumsum(self.source.areas[chosen])
        return self._kept[1:]


def shrink(part: Array, side: int) -> Array:
    """Return `part` (H, H, C) with values in [0, 1] as a patch (side, side, C), by Lanczos."""
    if len(part) == side:
        return part
    from PIL import Image  # only training shrinks

    planes = (Image.fromarray(part[..., channel]) for channel in range(part.shape[2]))
    smaller = (plane.resize((side, side), Image.Resampling.LANCZOS) for plane in planes)
    patch: Array = np.clip(np.stack([np.asarray(plane) for plane in smaller], axis=-1), 0, 1)
    return patch


def turn(patch: NDArray[Any], way: int) -> NDArray[Any]:
    """Return `patch` (H, W, C) in one of its 8 flips and turns, `way` from 0 to 7.

    Examples
    --------
    >>> turn(np.array([[[1], [2]], [[3], [4]]]), 4).ravel().tolist()
    [2, 1, 4, 3]
    """
    turned = np.rot90(patch, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
