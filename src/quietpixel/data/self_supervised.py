"""Training tasks for noisy images alone; the noise that an image has is never drawn again."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.data.tasks import Patches
from quietpixel.errors import ArgumentError
from quietpixel.noise.laws import NoiseLaw

PERIOD = 8
"""One of about PERIOD x PERIOD pixels is hidden and predicted."""
STRENGTH = 0.5
"""Strength of the noise that `Recorrupt` adds, relative to the noise of the image."""
NEIGHBOURS = np.array([[0, 1], [1, 3], [3, 2], [2, 0], [1, 0], [3, 1], [2, 3], [0, 2]])
"""The pairs of adjacent pixels of a square, in both orders."""


@dataclass(frozen=True)
class Structure:
    """The pixels that share noise.

    Parameters
    ----------
    text
        Empty for noise that is independent in each pixel; ``"h:5"``, ``"v:5"`` or ``"s:2"`` for
        noise that pixels share up to this distance along rows, along columns, or in both.

    Attributes
    ----------
    reach
        The distance in rows and in columns.

    Raises
    ------
    ArgumentError
        If `text` is none of these.

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
                "`structure` must be h (along rows), v (along columns) or s (both) and the "
                f"distance at which pixels share noise, such as h:5; got '{self.text}'."
            )
        long = int(match[2]) if self.text else 0
        reach = (long * (match[1] != "h"), long * (match[1] != "v"))
        object.__setattr__(self, "reach", reach)


@dataclass(frozen=True)
class HidePixels:
    """From one noisy patch: some pixels are hidden from the model, which predicts them.

    A hidden pixel gets the value of a random neighbour, which is as noisy, so the model cannot
    learn the noise of a pixel from the pixel itself. The target, (H, W, 2 C), is the noisy patch
    followed by the weight of each pixel in the loss.

    Parameters
    ----------
    structure
        The pixels that are hidden around each predicted pixel.

    References
    ----------
    A. Krull et al., "Noise2Void", CVPR 2019; C. Broaddus et al., "Removing structured noise with
    self-supervised blind-spot networks", ISBI 2020.
    """

    structure: Structure = Structure()

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""
        noisy = patches[0]
        predicted = _choose_pixels(noisy.shape[:2], rng)
        reach = self.structure.reach
        padded = np.pad(predicted, [(length, length) for length in reach])
        windows = sliding_window_view(padded, [2 * length + 1 for length in reach])
        hidden = np.asarray(windows.any(axis=(-1, -2)))
        shown = np.where(hidden[..., None], _replace(noisy, self.structure, rng), noisy)
        # 1 on average, so that the loss does not depend on how many pixels are predicted.
        weight = np.float32(1 / max(predicted.mean(), 1e-6))
        weights = np.broadcast_to(predicted[..., None] * weight, noisy.shape)
        target = np.concatenate([noisy, weights.astype(np.float32)], axis=-1)
        return shown.astype(np.float32), target


@dataclass(frozen=True)
class Recorrupt:
    """From one noisy patch with a known law: two with independent noise.

    With noise z of the variance that the law gives for each pixel, ``noisy + a z`` and
    ``noisy - z / a`` have uncorrelated noise, so one can be the target of the other.

    Parameters
    ----------
    law
        The noise of the images.

    References
    ----------
    T. Pang et al., "Recorrupted-to-Recorrupted: Unsupervised deep learning for image denoising",
    CVPR 2021.
    """

    law: NoiseLaw

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""
        noisy = patches[0]
        # The law is wanted at the clean values, which the noisy ones stand for.
        mean, variance = self.law.propagate(np.clip(noisy, 0, 1), np.zeros_like(noisy))
        deviation = np.sqrt(np.maximum(variance, 0))
        noise = rng.standard_normal(noisy.shape, np.float32) * deviation.astype(np.float32)
        offset = (mean - np.clip(noisy, 0, 1)).astype(np.float32)
        strength = np.float32(STRENGTH)
        return noisy + strength * noise, noisy - noise / strength - offset


@dataclass(frozen=True)
class SplitNeighbours:
    """From one noisy patch: two of half the size, each with one pixel of every square of four.

    Adjacent pixels show nearly the same and have independent noise.

    References
    ----------
    T. Huang et al., "Neighbor2Neighbor: Self-supervised denoising from single noisy images",
    CVPR 2021.
    """

    def __call__(self, patches: Patches, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return input and target."""
        height, width = (length // 2 for length in patches[0].shape[:2])
        noisy = patches[0][: 2 * height, : 2 * width]
        squares = noisy.reshape(height, 2, width, 2, -1).transpose(0, 2, 1, 3, 4)
        squares = squares.reshape(height, width, 4, -1)
        # Another pair in each square, or the model would learn a shift of half a pixel.
        chosen = NEIGHBOURS[rng.integers(len(NEIGHBOURS), size=(height, width))]
        parts = [
            np.take_along_axis(squares, chosen[..., k, None, None], 2)[:, :, 0] for k in (0, 1)
        ]
        return parts[0], parts[1]


def _choose_pixels(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return a mask with one random pixel of each square of PERIOD x PERIOD."""
    chosen = np.zeros(shape, bool)
    tops, lefts = (np.arange(0, length, PERIOD) for length in shape)
    down, right = rng.integers(PERIOD, size=(2, len(tops), len(lefts)))
    rows = np.minimum(tops[:, None] + down, shape[0] - 1)
    columns = np.minimum(lefts[None] + right, shape[1] - 1)
    chosen[rows, columns] = True
    return chosen


def _replace(noisy: FloatArray, structure: Structure, rng: np.random.Generator) -> FloatArray:
    """Return for each pixel the value of a random one near it, outside its structure."""
    height, width = noisy.shape[:2]
    # At least one step, because no pixel may stand for itself.
    far, near = (rng.integers(low, 3, (height, width)) for low in (1, 0))
    far, near = (step * rng.choice([-1, 1], (height, width)) for step in (far, near))
    across = bool(structure.reach[1]) or (not structure.text and bool(rng.integers(2)))
    # Further than the noise is shared.
    far = far + np.sign(far) * structure.reach[0 if across else 1]
    down, right = (far, near) if across else (near, far)

    def move(places: NDArray[Any], by: NDArray[Any], length: int) -> NDArray[Any]:
        moved = places + by
        # To the other side at a border; clipping could choose the hidden pixel itself.
        outside = (moved < 0) | (moved >= length)
        return np.asarray(np.clip(np.where(outside, places - by, moved), 0, length - 1))

    rows = move(np.arange(height)[:, None], down, height)
    columns = move(np.arange(width)[None], right, width)
    return np.asarray(noisy[rows, columns])
