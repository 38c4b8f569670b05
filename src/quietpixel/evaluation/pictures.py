"""The pictures of a report. Each function takes arrays and returns the bytes of a PNG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ArgumentError, MissingDependencyError
from quietpixel.evaluation.figures import (
    BLUE,
    DIGIT_COLOURS,
    INK,
    MUTED,
    ORANGE,
    Mosaic,
    check_count,
    new_chart,
    new_figure,
    quiet,
    to_png,
)
from quietpixel.imaging.metrics import bootstrap_interval

Images = NDArray[np.float32]

ROWS = ("original", "noisy", "reconstructed")
"""The rows of `samples` and `extremes`."""

MAP_POINTS = 1500
"""How many codes `code_map` shows at most; the first ones are taken."""


def first_of_each(labels: ArrayLike, count: int = 10) -> NDArray[np.int64]:
    """Return the positions of the first image of each label, in the order of the labels.

    So the images shown are never chosen by hand.

    Parameters
    ----------
    labels
        Integers (N,).
    count
        At most so many positions.

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
        (N, H, W, C) in [0, 1]; the first ten are shown. `first_of_each` says which to take.
    labels
        Integers (N,), written above the columns.
    title
        Above the picture.

    Raises
    ------
    ArgumentError
        If the batches differ in length or are empty.
    """
    block = _block(clean, noisy, denoised)[:, :10]
    names = [] if labels is None else [str(label) for label in np.asarray(labels)[:10]]
    return Mosaic(
        title=title, blocks=[block], row_labels=[ROWS], column_labels=[names], headings=[""]
    ).draw()


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
        How many of the best and how many of the worst.

    Raises
    ------
    ArgumentError
        If the lengths differ or are 0.
    """
    values, block = np.asarray(errors, np.float64), _block(clean, noisy, denoised)
    check_count("errors", len(clean), len(values))
    order = np.argsort(values, kind="stable")
    chosen = [order[:count], order[::-1][:count]]
    return Mosaic(
        title=f"The best and the worst of {len(values):,} images",
        blocks=[block[:, some] for some in chosen],
        row_labels=[ROWS, ROWS],
        column_labels=[[f"{values[one]:.4f}" for one in some] for some in chosen],
        headings=["Least error", "Most error"],
    ).draw()


def code_walk(frames: Images, *, names: Sequence[str] = ()) -> bytes:
    """Return walks between two codes, decoded step by step: one row for each walk.

    Parameters
    ----------
    frames
        (R, S, H, W, C) in [0, 1]: R walks of S steps. `walk_codes` makes the codes to decode.
    names
        One for each walk, such as ``"3 to 8"``.
    """
    if np.ndim(frames) != 5 or len(frames) == 0:
        raise ArgumentError(
            "`frames` must be (R, S, H, W, C), walks of several steps each; "
            f"got shape {np.shape(frames)}."
        )
    return Mosaic(
        title="Walking from one code to another",
        blocks=[frames],
        row_labels=[names],
        column_labels=[[]],
        headings=[""],
    ).draw()


def walk_codes(first: ArrayLike, last: ArrayLike, *, steps: int = 10) -> NDArray[np.float32]:
    """Return codes on the straight line from one code to another, both included.

    Parameters
    ----------
    first, last
        Codes (D,).
    steps
        How many codes.

    Examples
    --------
    >>> walk_codes([0.0, 1.0], [1.0, 1.0], steps=3).tolist()
    [[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]
    """
    return np.linspace(np.asarray(first), np.asarray(last), steps, dtype=np.float32)


def learning_curves(
    history: Sequence[Mapping[str, Any]],
    *,
    training: str = "loss",
    validation: str = "validation_loss",
    rate: str = "learning_rate",
) -> bytes:
    """Return the training and validation error by epoch, and the learning rate at the right.

    Parameters
    ----------
    history
        One mapping for each epoch, with ``epoch`` and the columns named below.
    training, validation, rate
        The names of the columns; one that is missing is left out.

    Raises
    ------
    ArgumentError
        If there is no epoch.
    """
    if not history:
        raise ArgumentError("`history` must hold at least one epoch to draw; got none.")
    epochs = _column(history, "epoch")
    axes = new_chart("Error by epoch", across="epoch", up="loss (log scale)")
    axes.set_yscale("log")
    _draw_rate(axes, epochs, _column(history, rate))
    axes.plot(epochs, _column(history, training), color=BLUE, label="training", linewidth=1.8)
    errors = _column(history, validation)
    axes.plot(epochs, errors, color=ORANGE, label="validation", linewidth=1.8)
    _mark_best(axes, epochs, errors)
    _number_axes(axes)
    return to_png(axes.figure)


def error_by_digit(errors: ArrayLike, labels: ArrayLike) -> bytes:
    """Return the mean error for each label with its 95 % interval, and the mean of all.

    Parameters
    ----------
    errors
        Mean squared error of each image, (N,).
    labels
        Integers (N,).

    Raises
    ------
    ArgumentError
        If the lengths differ or are 0.
    """
    values, kinds = np.asarray(errors, np.float64), np.asarray(labels)
    check_count("labels", len(values), len(kinds))
    axes = new_chart("Error by digit", across="digit", up="mean squared error, 95 % interval")
    names = np.unique(kinds)
    for at, name in enumerate(names):
        _draw_bar(axes, at, values[kinds == name])
    axes.axhline(values.mean(), color=ORANGE, linewidth=1.2)
    axes.annotate(
        f"all: {values.mean():.4f}", (1, values.mean()), (8, 0), va="center", color=ORANGE,
        xycoords=("axes fraction", "data"), textcoords="offset pixels", fontsize=9,
    )  # fmt: skip
    axes.set_xticks(range(len(names)), [str(name) for name in names])
    axes.set_ylim(bottom=0)
    return to_png(axes.figure)


def code_map(codes: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> bytes:
    """Return a flat map of the codes, coloured by label: neighbours on it have similar codes.

    t-SNE from the first two principal components. Van der Maaten and Hinton, "Visualizing data
    using t-SNE", JMLR 9, 2008. Distances between far groups mean nothing.

    Parameters
    ----------
    codes
        (N, D); at most the first 1,500 are shown.
    labels
        Integers (N,).
    seed
        Seed of the map.

    Raises
    ------
    ArgumentError
        If the lengths differ or are 0.
    MissingDependencyError
        If scikit-learn is not installed.
    """
    points, kinds = np.asarray(codes, np.float64), np.asarray(labels)
    check_count("labels", len(points), len(kinds))
    flat, kinds = _flatten(points[:MAP_POINTS], seed), kinds[:MAP_POINTS]
    figure = new_figure(1100, 1040)
    axes = figure.add_axes((0.03, 0.03, 0.94, 0.87))
    title = f"Map of {len(flat):,} codes of {points.shape[1]} numbers, coloured by digit"
    figure.text(24 / 1100, 1 - 38 / 1040, title, size=11, weight="bold", color=INK, va="center")
    for at, name in enumerate(np.unique(kinds)):
        _draw_group(axes, flat[kinds == name], str(name), DIGIT_COLOURS[at % len(DIGIT_COLOURS)])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    return to_png(figure)


def _block(clean: Images, noisy: Images, denoised: Images) -> NDArray[Any]:
    check_count("noisy", len(clean), len(noisy))
    check_count("denoised", len(clean), len(denoised))
    return np.stack([clean, noisy, denoised])


def _column(history: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([float(row.get(name, np.nan)) for row in history], np.float64)


def _draw_rate(axes: Any, epochs: NDArray[np.float64], rates: NDArray[np.float64]) -> None:
    if np.isnan(rates).all():
        return
    right = axes.twinx()
    right.plot(epochs, rates, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
    right.set_ylim(0, 1.08 * float(np.nanmax(rates)) or 1)
    right.annotate(
        "learning rate", (1, 1), (60, 12), xycoords="axes fraction", textcoords="offset pixels",
        ha="right", color=MUTED, fontsize=9,
    )  # fmt: skip
    quiet(right)
    axes.plot([], [], color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="learning rate")


def _mark_best(axes: Any, epochs: NDArray[np.float64], errors: NDArray[np.float64]) -> None:
    if np.isnan(errors).all():
        return
    best = int(np.nanargmin(errors))
    axes.plot(epochs[best], errors[best], "o", color=ORANGE, markersize=5)
    axes.annotate(
        f"best {errors[best]:.5f}, epoch {epochs[best]:.0f}", (epochs[best], errors[best]),
        (0, -14), textcoords="offset pixels", ha="right", va="top", color=ORANGE, fontsize=9,
    )  # fmt: skip
    axes.margins(y=0.16)


def _number_axes(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper right", ncols=3)


def _draw_bar(axes: Any, at: int, values: NDArray[np.float64]) -> None:
    low, high = bootstrap_interval(values)
    axes.bar(at, values.mean(), width=0.62, color=BLUE)
    axes.vlines(at, low, high, color=INK, linewidth=1.6)
    axes.annotate(
        f"{values.mean():.4f}", (at, high), (0, 6), textcoords="offset pixels",
        ha="center", va="bottom", color=INK, fontsize=8.5,
    )  # fmt: skip


def _draw_group(axes: Any, points: NDArray[np.float64], name: str, colour: str) -> None:
    from matplotlib.patheffects import withStroke

    axes.scatter(*points.T, s=11, color=colour, linewidths=0, alpha=0.75)
    axes.annotate(
        name, np.median(points, axis=0), ha="center", va="center", fontsize=16, weight="bold",
        color=colour, path_effects=[withStroke(linewidth=4, foreground="white")],
    )  # fmt: skip


def _flatten(points: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the points in two dimensions: t-SNE, or the principal axes of very few points."""
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingDependencyError(
            "The map of codes needs scikit-learn, which is not installed; "
            "install it with: pip install 'quietpixel[train]'."
        ) from error
    padded = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
    if len(padded) < 10 or padded.std() == 0:
        centred = padded - padded.mean(axis=0)
        return np.asarray(centred @ np.linalg.svd(centred, full_matrices=True)[2][:2].T)
    perplexity = min(30.0, (len(padded) - 1) / 3)
    tsne = TSNE(init="pca", random_state=seed, perplexity=perplexity)
    return np.asarray(tsne.fit_transform(padded), np.float64)
