"""Tasks made of noisy images alone: their noise is what they have, and is never drawn again."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from quietpixel.data.tasks import Patches
from quietpixel.errors import ArgumentError
from quietpixel.noise.parser import Array, NoiseLaw

PERIOD = 8
"""Of about PERIOD x PERIOD pixels one is asked for, its neighbourhood hidden."""
STRENGTH = 0.5
"""How strong the noise added by `Recorrupt` is, relative to the noise that is there."""


@dataclass(frozen=True)
class Structure:
    """How far noise hangs together.

    Parameters
    ----------
    text
        Empty for noise that is each pixel's own; ``"h:5"``, ``"v:5"`` or ``"s:2"`` for noise that
        is shared over so many pixels to both sides along rows, along columns, or both ways.

    Raises
    ------
    ArgumentError
        If it is none of these.

    Examples
    --------
    >>> Structure("v:2").reach, Structure("s:1").reach
    ((2, 0), (1, 1))
    """

    text: str = ""
    reach: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        match = re.fullmatch(r"([hvs]):([1-9]\d?)", self.text or "h:1")
        if match is None:
            raise ArgumentError(
                "`structure` must be h (along rows), v (along columns) or s (both) with the pixels "
                f"to both sides that share their noise, such as h:5; got '{self.text}'."
            )
        long = int(match[2]) if self.text else 0
        reach = (long * (match[1] != "h"), long * (match[1] != "v"))
        object.__setattr__(self, "reach", reach)


@dataclass(frozen=True)
class HidePixels:
    """From one noisy patch: some pixels are hidden from the model and asked of it.

    A hidden pixel is given the value of a neighbour drawn by chance, as noisy as itself, so that
    the model learns that a pixel says nothing of its own noise. The target is the noisy patch with
    the places that count after it, (H, W, 2 C).

    Parameters
    ----------
    structure
        What is hidden around each pixel that is asked for.

    References
    ----------
    A. Krull et al., "Noise2Void", CVPR 2019; C. Broaddus et al., "Removing structured noise with
    self-supervised blind-spot networks", ISBI 2020.
    """

    structure: Structure = Structure()

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        noisy = patches[0]
        asked = _choose_places(noisy.shape[:2], rng)
        hidden = _spread(asked, self.structure.reach)
        shown = np.where(hidden[..., None], _borrow(noisy, self.structure, rng), noisy)
        share = np.float32(1 / max(asked.mean(), 1e-6))
        counts = np.broadcast_to(asked[..., None] * share, noisy.shape)
        target = np.concatenate([noisy, counts.astype(np.float32)], axis=-1)
        return shown.astype(np.float32), target


@dataclass(frozen=True)
class Recorrupt:
    """From one noisy patch whose law is known: two that differ in all their noise.

    With noise z drawn as strong as the law says for each pixel, ``noisy + a z`` and
    ``noisy - z / a`` have noise without correlation, so that the one teaches what the other hides.

    Parameters
    ----------
    law
        The noise that is in the images.

    References
    ----------
    T. Pang et al., "Recorrupted-to-Recorrupted: Unsupervised deep learning for image denoising",
    CVPR 2021.
    """

    law: NoiseLaw

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        noisy = patches[0]
        mean, variance = self.law.propagate(np.clip(noisy, 0, 1), np.zeros_like(noisy))
        deviation = np.sqrt(np.maximum(variance, 0))
        noise = rng.standard_normal(noisy.shape, np.float32) * deviation.astype(np.float32)
        offset = (mean - np.clip(noisy, 0, 1)).astype(np.float32)
        strength = np.float32(STRENGTH)
        return noisy + strength * noise, noisy - noise / strength - offset


@dataclass(frozen=True)
class SplitNeighbours:
    """From one noisy patch: two of half the size, each of one pixel of every square of four.

    Neighbours show nearly the same and have noise of their own.

    References
    ----------
    T. Huang et al., "Neighbor2Neighbor: Self-supervised denoising from single noisy images",
    CVPR 2021.
    """

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return input and target."""
        height, width = (length // 2 for length in patches[0].shape[:2])
        noisy = patches[0][: 2 * height, : 2 * width]
        squares = noisy.reshape(height, 2, width, 2, -1).transpose(0, 2, 1, 3, 4)
        squares = squares.reshape(height, width, 4, -1)
        chosen = NEIGHBOURS[rng.integers(len(NEIGHBOURS), size=(height, width))]
        parts = [
            np.take_along_axis(squares, chosen[..., k, None, None], 2)[:, :, 0] for k in (0, 1)
        ]
        return parts[0], parts[1]


NEIGHBOURS = np.array([[0, 1], [1, 3], [3, 2], [2, 0], [1, 0], [3, 1], [2, 3], [0, 2]])
"""The pairs of pixels of a square that touch by a side, in both orders."""


def _choose_places(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return where the model is asked: one place by chance in each square of PERIOD x PERIOD."""
    places = np.zeros(shape, bool)
    tops, lefts = (np.arange(0, length, PERIOD) for length in shape)
    down, right = rng.integers(PERIOD, size=(2, len(tops), len(lefts)))
    rows = np.minimum(tops[:, None] + down, shape[0] - 1)
    columns = np.minimum(lefts[None] + right, shape[1] - 1)
    places[rows, columns] = True
    return places


def _spread(places: NDArray[Any], reach: tuple[int, int]) -> NDArray[Any]:
    """Return `places` with all that lies within `reach` of them, down and right."""
    padded = np.pad(places, [(length, length) for length in reach])
    windows = sliding_window_view(padded, [2 * length + 1 for length in reach])
    return np.asarray(windows.any(axis=(-1, -2)))


def _borrow(noisy: Array, structure: Structure, rng: np.random.Generator) -> Array:
    """Return for each pixel the value of one near it, drawn by chance, outside its structure."""
    height, width = noisy.shape[:2]
    far, near = (rng.integers(low, 3, (height, width)) for low in (1, 0))
    far, near = (step * rng.choice([-1, 1], (height, width)) for step in (far, near))
    across = bool(structure.reach[1]) or (not structure.text and bool(rng.integers(2)))
    far = far + np.sign(far) * structure.reach[0 if across else 1]
    down, right = (far, near) if across else (near, far)
    rows = _step(np.arange(height)[:, None], down, height)
    columns = _step(np.arange(width)[None], right, width)
    return np.asarray(noisy[rows, columns])


def _step(places: NDArray[Any], by: NDArray[Any], length: int) -> NDArray[Any]:
    """Return `places` moved, the other way where they would leave the image."""
    there = places + by
    back = np.where((there < 0) | (there >= length), places - by, there)
    return np.asarray(np.clip(back, 0, length - 1))
