"""Batches of patches from images of any size, decoded when needed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.card import UNKNOWN_SIGMA
from quietpixel.data.image_cache import ImageCache, Mask
from quietpixel.data.tasks import Task
from quietpixel.errors import DataError
from quietpixel.noise.parser import image_rng

PATIENCE = 200
"""Number of unusable scenes in a row after which a run ends."""
CHOICE_INDEX = 2**31
"""Index of the generator that chooses the scenes of an epoch."""
LOCAL, LOCAL_WIDTHS = 0.25, (6.0, 20.0)
"""Fraction of patches whose noise level is a map, and the range of widths of its Gaussian."""
CORRELATED = 0.05
"""Least correlation of neighbouring pixels of noise that is not white; of white noise on a patch of
96 pixels it is below 0.03."""
UPRIGHT = (0, 2, 4, 6)
"""The orientations of `turn` that keep rows horizontal."""


@dataclass(frozen=True, kw_only=True)
class PatchSampling:
    """How patches are drawn.

    Parameters
    ----------
    patch
        Height and width of a patch in pixels.
    batch, steps
        Patches in a batch, and batches in an epoch.
    seed
        Seed of the patches, their orientation, and the task.
    scenes
        Largest number of scenes in an epoch, which are drawn anew for each epoch; also limits the
        number that are open at a time.
    upright
        Whether rows must stay horizontal: patches are then only flipped.
    level_fraction
        For a model that takes the noise level: the fraction of patches for which it is given, where
        the level of the image is not known. None for other models.
    level_excess
        The level given for noise that is not white is up to this many times the true one.
    downscale_fraction
        Fraction of patches downscaled (`shrink`) from up to twice their size, so that they have
        finer detail.
    """

    patch: int
    batch: int
    steps: int
    seed: int
    scenes: int = 10**9
    upright: bool = False
    level_fraction: float | None = None
    level_excess: float = 1.0
    downscale_fraction: float = 0.0


class PatchSampler:
    """Batches of (input, target) patches, drawn by (seed, epoch, index).

    Parameters
    ----------
    source
        The scenes; they are drawn in proportion to their area.
    task
        Makes input and target from the patches of a scene.
    draw
        How they are drawn.
    """

    def __init__(self, source: ImageCache, task: Task, draw: PatchSampling) -> None:
        self.source, self.task, self.draw = source, task, draw
        self.skipped = source.skipped
        self._scenes: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.draw.steps

    def make(self, epoch: int, index: int) -> tuple[Any, FloatArray]:
        """Return batch number `index` of `epoch`: (input, target) or ((input, level), target)."""
        numbers = range(index * self.draw.batch, (index + 1) * self.draw.batch)
        rngs = [image_rng(self.draw.seed, epoch, number) for number in numbers]
        cuts = [self._cut(epoch, rng) for rng in rngs]
        pairs = [self.task(parts, rng) for (parts, *_), rng in zip(cuts, rngs, strict=True)]
        inputs, targets = (np.stack(part) for part in zip(*pairs, strict=True))
        if self.source.masks:
            masks = [mask for _, mask, _ in cuts]
            weighted = zip(targets, masks, strict=True)
            targets = np.stack([add_weights(*each, inputs.shape[-1]) for each in weighted])
        if self.draw.level_fraction is None:
            return inputs, targets
        levels = [
            self._level(*pair, known, rng)
            for pair, (*_, known), rng in zip(pairs, cuts, rngs, strict=True)
        ]
        return (inputs, np.stack(levels)), targets

    def _level(
        self, noisy: FloatArray, clean: FloatArray, known: float | None, rng: np.random.Generator
    ) -> FloatArray:
        """Return the noise level of a patch as a map, (H, W, 1), or the value for "unknown"."""
        if known is not None:
            return np.full((*noisy.shape[:2], 1), known, np.float32)
        if not rng.random() < (self.draw.level_fraction or 0):
            return np.full((*noisy.shape[:2], 1), UNKNOWN_SIGMA, np.float32)
        # Measured, because a law may draw its strength anew for each image.
        noise = noisy - clean
        squared = np.mean(np.square(noise), axis=-1, keepdims=True)
        if self.draw.level_excess > 1 and is_correlated(noise):
            squared = squared * np.float32(self.draw.level_excess ** (2 * rng.random()))
        if rng.random() < LOCAL:
            from scipy import ndimage  # denoising needs no scipy

            width = rng.uniform(*LOCAL_WIDTHS)
            squared = ndimage.gaussian_filter(squared, (width, width, 0), mode="mirror")
            return np.sqrt(squared)
        return np.full(squared.shape, np.sqrt(squared.mean()), np.float32)

    def _cut(
        self, epoch: int, rng: np.random.Generator
    ) -> tuple[tuple[FloatArray, ...], Mask | None, float | None]:
        """Return the patches at a random place of a random scene, which pixels count, the level."""
        chosen, areas = self._choose_scenes(epoch)
        draw, side = self.draw, self.draw.patch
        # A scene that cannot be used is replaced by the next that the same generator draws, so
        # that a batch does not depend on those made before it.
        for _ in range(PATIENCE):
            # By area, so that every pixel of the folder is as likely as any other.
            place = rng.integers(areas[-1])
            images = self.source.open(int(chosen[np.searchsorted(areas, place, side="right")]))
            if images is None or min(images[0].size) < side:
                continue
            wide = side
            if draw.downscale_fraction and rng.random() < draw.downscale_fraction:
                wide = int(rng.integers(side, min(2 * side, *images[0].size) + 1))
            top, left = (int(rng.integers(length - wide + 1)) for length in images[0].size)
            way = int(rng.choice(UPRIGHT)) if draw.upright else int(rng.integers(8))
            pages = images[0].pages
            # A single page draws no number, so that runs on images stay reproducible.
            page = pages[int(rng.integers(len(pages))) if len(pages) > 1 else 0]
            mask = images[0].mask(page)
            if mask is not None:
                top, left = place_in_mask(mask, wide, rng)
                inside = mask[top : top + wide, left : left + wide, np.newaxis].astype(np.float32)
                # Only pixels that show nothing from outside the mask.
                mask = turn(np.asarray(shrink(inside, side)[..., 0] > 0.99), way)
            cut = (image.part(top, left, wide, wide, page=page) for image in images)
            parts = (shrink(part, side) for part in cut)
            level = images[0].levels[page] if images[0].levels else None
            return tuple(np.ascontiguousarray(turn(part, way)) for part in parts), mask, level
        raise DataError(
            f"{PATIENCE} images in a row could not be used, so there is nothing left to train on; "
            "see the skipped files above."
        )

    def _choose_scenes(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the scenes of an epoch, and the cumulative sum of their areas."""
        if self._scenes is None or self._scenes[0] != epoch:
            count = len(self.source.areas)
            chosen = np.arange(count)
            if count > self.draw.scenes:
                rng = image_rng(self.draw.seed, epoch, CHOICE_INDEX)
                chosen = np.sort(rng.choice(count, self.draw.scenes, replace=False))
            self._scenes = epoch, chosen, np.cumsum(self.source.areas[chosen])
        return self._scenes[1:]


def place_in_mask(mask: Mask, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return top and left of a square (side, side) that holds a random pixel of a mask (H, W)."""
    inside = np.flatnonzero(mask)
    row, column = divmod(int(inside[rng.integers(len(inside))]), mask.shape[1])
    top = np.clip(row - rng.integers(side), 0, mask.shape[0] - side)
    left = np.clip(column - rng.integers(side), 0, mask.shape[1] - side)
    return int(top), int(left)


def add_weights(target: FloatArray, mask: Mask | None, channels: int) -> FloatArray:
    """Return a target followed by the weights of its pixels, 1 on average.

    Parameters
    ----------
    target
        (H, W, channels), or with weights already (H, W, 2 channels).
    mask
        Which pixels of the patch count, of this height or twice this height; None for all.
    channels
        Of the image.

    Examples
    --------
    >>> mask = np.array([[True, False]])
    >>> add_weights(np.full((1, 2, 1), 0.5, np.float32), mask, 1).tolist()
    [[[0.5, 2.0], [0.5, 0.0]]]
    """
    values, weights = target[..., :channels], target[..., channels:]
    weights = weights if weights.size else np.ones_like(values)
    if mask is not None:
        height, width = values.shape[:2]
        step = len(mask) // height  # 2 where a target has every second pixel
        cells = mask[: height * step, : width * step].reshape(height, step, width, step)
        weights = weights * np.asarray(cells.all(axis=(1, 3)))[..., np.newaxis]
        weights = weights / max(float(weights.mean()), 1e-6)
    return np.concatenate([values, weights.astype(np.float32)], axis=-1)


def is_correlated(noise: FloatArray) -> bool:
    """Return whether neighbouring pixels of noise (H, W, C) have something in common.

    Examples
    --------
    >>> white = np.random.default_rng(0).standard_normal((96, 96, 3), np.float32)
    >>> is_correlated(white), is_correlated(white[1:] + white[:-1])
    (False, True)
    """
    products = noise[1:] * noise[:-1], noise[:, 1:] * noise[:, :-1]
    largest = max(abs(float(each.mean())) for each in products)
    return largest > CORRELATED * float(np.mean(np.square(noise)))


def shrink(part: FloatArray, side: int) -> FloatArray:
    """Return a square image downscaled by a Lanczos filter.

    Parameters
    ----------
    part
        (H, H, C) in [0, 1].
    side
        New height and width.
    """
    if len(part) == side:
        return part
    from PIL import Image  # denoising does not load it

    planes = (Image.fromarray(part[..., channel]) for channel in range(part.shape[2]))
    smaller = (plane.resize((side, side), Image.Resampling.LANCZOS) for plane in planes)
    # Lanczos overshoots at edges.
    return np.clip(np.stack([np.asarray(plane) for plane in smaller], axis=-1), 0, 1)


def turn(patch: NDArray[Any], way: int) -> NDArray[Any]:
    """Return an image in one of its 8 orientations.

    Parameters
    ----------
    patch
        (H, W, C).
    way
        Quarter turns, plus 4 to flip it after that; 0 to 7.

    Examples
    --------
    >>> turn(np.array([[[1], [2]], [[3], [4]]]), 4).ravel().tolist()
    [2, 1, 4, 3]
    """
    turned = np.rot90(patch, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
