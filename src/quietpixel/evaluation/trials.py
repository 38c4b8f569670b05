"""Trials: clean images and their noisy versions, which every method gets alike."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietpixel.noise.parser import FROZEN_EPOCH, NoiseLaw, image_rng

Image = NDArray[np.float32]
Images = NDArray[np.float32]
Batch = tuple[Images, Images]
"""Clean and noisy images of one size, each float32 (N, H, W, C)."""

MOST_PIXELS = 2**20
MOST_IMAGES = 250
"""What a batch holds at most, so that large images go one by one."""


@dataclass(frozen=True)
class Trials:
    """Images to judge by, opened when they are needed.

    Parameters
    ----------
    count
        How many there are.
    open
        Returns the clean image of a number, float32 (H, W, C) in [0, 1], and the noisy one, or None
        where noise is to be added.
    names
        How the images are called, such as the names of their files; empty counts them from 1.

    Examples
    --------
    >>> from quietpixel.noise.parser import Gaussian
    >>> trials = Trials(3, lambda index: (np.full((4, 4 + index // 2, 1), 0.5, np.float32), None))
    >>> [clean.shape for clean, noisy in trials.batches(Gaussian(0.1), seed=0)]
    [(2, 4, 4, 1), (1, 4, 5, 1)]
    """

    count: int
    open: Callable[[int], tuple[Image, Image | None]]
    names: Sequence[str] = ()

    def name(self, index: int) -> str:
        """Return how an image is called."""
        return self.names[index] if self.names else count_image(index)

    def batches(self, law: NoiseLaw | None, *, seed: int) -> Iterator[Batch]:
        """Yield all images in order, with neighbours of one size together.

        Parameters
        ----------
        law
            The noise that is added; each image's own, by its number.
        seed
            Decides the noise.
        """
        waiting: list[tuple[Image, Image]] = []
        for index in range(self.count):
            pair = self.pair(index, law, seed)
            if waiting and not _fits(waiting, pair[0]):
                yield _stack(waiting)
                waiting = []
            waiting.append(pair)
        if waiting:
            yield _stack(waiting)

    def pair(self, index: int, law: NoiseLaw | None, seed: int) -> tuple[Image, Image]:
        """Return the clean and the noisy image of a number."""
        clean, noisy = self.open(index)
        if noisy is None:
            assert law is not None
            noisy = law(clean, image_rng(seed, FROZEN_EPOCH, index)).astype(np.float32)
        return clean, noisy


def cut_patches(trials: Trials, law: NoiseLaw | None, *, seed: int, side: int, count: int) -> Batch:
    """Return the middles of some images, spread over all, to tune methods by.

    Parameters
    ----------
    trials
        Never those that are judged.
    law, seed
        As for `Trials.batches`.
    side
        Height and width at most, in pixels; that of the smallest image where that is less.
    count
        How many at most.
    """
    chosen = np.unique(np.linspace(0, trials.count - 1, min(count, trials.count)).astype(int))
    pairs = [trials.pair(int(index), law, seed) for index in chosen]
    side = min(side, *(length for clean, _ in pairs for length in clean.shape[:2]))
    return _stack([(_middle(clean, side), _middle(noisy, side)) for clean, noisy in pairs])


def count_image(index: int) -> str:
    """Return what an image without a name is called."""
    return f"image {index + 1}"


def describe_noise(law: str) -> str:
    """Return a law as text with a sigma out of 255 where that is a whole number; empty for pairs.

    Examples
    --------
    >>> describe_noise("gaussian:0.09803921568627451,clip=no")
    'gaussian:25/255,clip=no'
    """
    found = re.match(r"gaussian:([0-9.e-]+)", law)
    if found is None:
        return law or "noise of their own"
    levels = 255 * float(found[1])
    whole = abs(levels - round(levels)) < 1e-6
    return f"gaussian:{round(levels)}/255{law[found.end() :]}" if whole else law


def _middle(image: Image, side: int) -> Image:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _fits(waiting: list[tuple[Image, Image]], image: Image) -> bool:
    first = waiting[0][0]
    pixels = (len(waiting) + 1) * first.shape[0] * first.shape[1]
    return image.shape == first.shape and pixels <= MOST_PIXELS and len(waiting) < MOST_IMAGES


def _stack(pairs: list[tuple[Image, Image]]) -> Batch:
    clean, noisy = zip(*pairs, strict=True)
    return np.stack(clean), np.stack(noisy)
