"""Clean images with their noisy versions, the same for every method."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from quietpixel.array_types import Image, Images
from quietpixel.errors import ArgumentError
from quietpixel.noise.laws import NoiseLaw
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng

DenoiseBatch = Callable[[Images], Images]
"""From noisy images, float32 (N, H, W, C), to denoised ones of the same shape."""
Batch = tuple[Images, Images]
"""Clean and noisy images of one size, each float32 (N, H, W, C)."""

MAX_PIXELS, MAX_IMAGES = 2**20, 250
"""Limits of a batch: large images are denoised one by one."""


@dataclass(frozen=True)
class ImagePairs:
    """Clean images, with noisy versions or without, loaded on demand.

    Parameters
    ----------
    count
        Number of images.
    load
        From an index to the clean image, float32 (H, W, C) in [0, 1], and the noisy one; None
        instead of a noisy image means that noise is to be added.
    names
        Names of the images, such as their file names; if empty, images are counted from 1.

    Examples
    --------
    >>> from quietpixel.noise.laws import Gaussian
    >>> pairs = ImagePairs(3, lambda index: (np.full((4, 4 + index // 2, 1), 0.5), None))
    >>> [clean.shape for clean, noisy in pairs.batches(Gaussian(0.1), seed=0)]
    [(2, 4, 4, 1), (1, 4, 5, 1)]
    """

    count: int
    load: Callable[[int], tuple[Image, Image | None]]
    names: Sequence[str] = ()

    @classmethod
    def from_arrays(
        cls, clean: Sequence[Image] | Images, noisy: Sequence[Image] | Images | None = None
    ) -> Self:
        """Return the pairs of two sequences of images, such as batches (N, H, W, C).

        Raises
        ------
        ArgumentError
            If `noisy` has other images than `clean`.
        """
        if noisy is not None and list(map(np.shape, noisy)) != list(map(np.shape, clean)):
            raise ArgumentError(
                "`noisy` must hold as many images as `clean`, with the shapes of `clean`, because "
                f"they are compared pixel by pixel; got {len(noisy)} noisy and {len(clean)} clean "
                "ones."
            )
        return cls(len(clean), lambda i: (clean[i], None if noisy is None else noisy[i]))

    def name(self, index: int) -> str:
        """Return the name of an image."""
        return self.names[index] if self.names else f"image {index + 1}"

    def batches(self, law: NoiseLaw | None, *, seed: int) -> Iterator[Batch]:
        """Yield all images in order; neighbours of the same size share a batch.

        Parameters
        ----------
        law
            Noise that is added where an image has none of its own.
        seed
            Seed of the noise. The noise of an image depends on the seed and its index only.
        """
        waiting: list[tuple[Image, Image]] = []
        for index in range(self.count):
            pair = self.pair(index, law, seed)
            # One megapixel for all: a model needs hundreds of bytes for each pixel of a batch.
            most = min(MAX_IMAGES, MAX_PIXELS // pair[0][..., 0].size)
            if waiting and (len(waiting) >= most or pair[0].shape != waiting[0][0].shape):
                yield _stack(waiting)
                waiting = []
            waiting.append(pair)
        if waiting:
            yield _stack(waiting)

    def pair(self, index: int, law: NoiseLaw | None, seed: int) -> tuple[Image, Image]:
        """Return the clean and the noisy image of an index."""
        clean, noisy = self.load(index)
        if noisy is None:
            assert law is not None
            # By the index alone, so that neither batches nor `count` change the noise of an image.
            noisy = law(clean, image_rng(seed, FROZEN_EPOCH, index)).astype(np.float32)
        return clean, noisy


def cut_patches(
    pairs: ImagePairs, law: NoiseLaw | None, *, seed: int, side: int, count: int
) -> Batch:
    """Return the centres of some images, evenly spread over all, for tuning.

    Parameters
    ----------
    pairs
        Images that are not evaluated.
    law, seed
        As for `ImagePairs.batches`.
    side
        Height and width in pixels; less if the smallest image is smaller.
    count
        Number of patches; less if there are fewer images.
    """
    # With fewer images than patches, each image gives one patch and no more.
    chosen = np.unique(np.linspace(0, pairs.count - 1, min(count, pairs.count)).astype(int))
    loaded = [pairs.pair(int(index), law, seed) for index in chosen]
    side = min(side, *(length for clean, _ in loaded for length in clean.shape[:2]))

    def centre(image: Image) -> Image:
        top, left = ((length - side) // 2 for length in image.shape[:2])
        return image[top : top + side, left : left + side]

    return _stack([(centre(clean), centre(noisy)) for clean, noisy in loaded])


def describe_noise(law: str) -> str:
    """Return the text of a law, with numbers such as 25/255 or 37.5/255 where they are exact.

    An empty text stands for pairs, whose noise is their own.

    Examples
    --------
    >>> describe_noise("gaussian:0.09803921568627451,clip=no")
    'gaussian:25/255,clip=no'
    >>> describe_noise("gaussian:0..0.29411764705882354")
    'gaussian:0..75/255'
    >>> describe_noise("gaussian:0.5")
    'gaussian:0.5'
    """

    def fraction(found: re.Match[str]) -> str:
        levels = 255 * float(found[0])
        # Every short decimal has few decimals out of 255 too, and 0.5 reads better than 127.5/255.
        decimals = 1 if len(found[0]) > 6 else 0
        simple = abs(levels - round(levels, decimals)) < 1e-6
        return f"{round(levels, decimals):g}/255" if simple else found[0]

    return re.sub(r"(?<=[:.])\d\.\d+(?:e-\d+)?", fraction, law) or "noise of the pairs"


def _stack(pairs: list[tuple[Image, Image]]) -> Batch:
    clean, noisy = zip(*pairs, strict=True)
    return np.stack(clean), np.stack(noisy)
