"""Pictures of many small images; each function takes arrays and returns a PNG as bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ArgumentError
from quietpixel.imaging.metrics import mean_squared_error
from quietpixel.reports.charts import error_by_digit
from quietpixel.reports.figures import Block, check_count, draw_mosaic
from quietpixel.reports.page import Picture

Images = NDArray[np.float32]

ROWS = ("original", "noisy", "reconstructed")
"""Names of the rows of `samples` and `extremes`."""


def show_images(
    clean: Images, noisy: Images, denoised: Images, *, labels: NDArray[Any] | None
) -> list[Picture]:
    """Return samples, the best and worst images, and the error by label, with their captions.

    Parameters
    ----------
    clean, noisy, denoised
        (N, H, W, C); `denoised` is clipped to [0, 1].
    labels
        Integers (N,), if there are any.
    """
    denoised = np.clip(denoised, 0, 1)
    errors = [mean_squared_error(a, b) for a, b in zip(clean, denoised, strict=True)]
    first = np.arange(len(clean))[:10] if labels is None else first_of_each(labels)
    names = None if labels is None else labels[first]
    shown = [
        (
            "Samples",
            "The first images, one of each label; not chosen by hand.",
            samples(clean[first], noisy[first], denoised[first], labels=names),
        ),
        (
            "Best and worst",
            "The images with the least and the most error left.",
            extremes(clean, noisy, denoised, errors),
        ),
    ]
    if labels is not None:
        by_label = error_by_digit(errors, labels)
        shown.append(("Error by label", "Mean squared error, with 95 % intervals.", by_label))
    return shown


def first_of_each(labels: ArrayLike, count: int = 10) -> NDArray[np.int64]:
    """Return the positions of the first image of each label, in the order of the labels.

    Parameters
    ----------
    labels
        Integers (N,).
    count
        Largest number of positions.

    Examples
    --------
    >>> first_of_each([2, 0, 1, 0, 2]).tolist()
    [1, 2, 0]
    """
    return np.unique(np.asarray(labels), return_index=True)[1][:count].astype(np.int64)


def samples(
    clean: Images,
    noisy: Images,
    denoised: Images,
    *,
    labels: ArrayLike | None = None,
    title: str = "Original, noisy, reconstructed",
) -> bytes:
    """Return three rows of images: original, noisy and reconstructed.

    Parameters
    ----------
    clean, noisy, denoised
        (N, H, W, C) in [0, 1]; the first ten are shown.
    labels
        Integers (N,), written above the columns.
    title
        Above the picture.

    Raises
    ------
    ArgumentError
        If the batches differ in length or are empty.
    """
    names = [] if labels is None else [str(label) for label in np.asarray(labels)[:10]]
    return draw_mosaic(title, [Block(_stack(clean, noisy, denoised)[:, :10], ROWS, names)])


def extremes(
    clean: Images, noisy: Images, denoised: Images, errors: ArrayLike, *, count: int = 10
) -> bytes:
    """Return the images with the least and the most error left, the error above each.

    Parameters
    ----------
    clean, noisy, denoised
        (N, H, W, C) in [0, 1].
    errors
        Mean squared error of each image, (N,).
    count
        Number of images of each kind.

    Raises
    ------
    ArgumentError
        If the lengths differ or are 0.
    """
    values, images = np.asarray(errors, np.float64), _stack(clean, noisy, denoised)
    check_count("errors", len(clean), len(values))
    order = np.argsort(values, kind="stable")
    blocks = [
        Block(images[:, chosen], ROWS, [f"{values[index]:.4f}" for index in chosen], heading)
        for heading, chosen in (
            ("Least error", order[:count]),
            ("Most error", order[::-1][:count]),
        )
    ]
    return draw_mosaic(f"The best and the worst of {len(values):,} images", blocks)


def code_walk(frames: Images, *, names: Sequence[str] = ()) -> bytes:
    """Return walks between two codes, decoded step by step: one row for each walk.

    Parameters
    ----------
    frames
        (R, S, H, W, C) in [0, 1]: R walks of S steps, decoded from the codes of `walk_codes`.
    names
        One for each walk, such as ``"3 to 8"``.

    Raises
    ------
    ArgumentError
        If `frames` has another shape.
    """
    if np.ndim(frames) != 5 or len(frames) == 0:
        raise ArgumentError(
            "`frames` must be (R, S, H, W, C), walks of several steps each; "
            f"got shape {np.shape(frames)}."
        )
    return draw_mosaic("Walking from one code to another", [Block(frames, names)])


def walk_codes(first: ArrayLike, last: ArrayLike, *, steps: int = 10) -> NDArray[np.float32]:
    """Return codes on the straight line from one code to another, both included.

    Parameters
    ----------
    first, last
        Codes (D,).
    steps
        Number of codes.

    Examples
    --------
    >>> walk_codes([0.0, 1.0], [1.0, 1.0], steps=3).tolist()
    [[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]
    """
    return np.linspace(np.asarray(first), np.asarray(last), steps, dtype=np.float32)


def _stack(clean: Images, noisy: Images, denoised: Images) -> NDArray[Any]:
    check_count("noisy", len(clean), len(noisy))
    check_count("denoised", len(clean), len(denoised))
    return np.stack([clean, noisy, denoised])
