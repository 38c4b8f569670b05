"""The charts of a report: curves, bars, the map of codes, the noise; each a PNG as bytes."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.errors import ArgumentError, import_optional
from quietpixel.imaging.metrics import bootstrap_interval
from quietpixel.noise.measure import NoiseMeasure
from quietpixel.reports.figures import (
    BLUE,
    DIGIT_COLOURS,
    INK,
    MUTED,
    ORANGE,
    RULE,
    annotate,
    new_chart,
    new_figure,
    quiet,
    to_png,
)

MAP_POINTS = 1000
"""Codes that `code_map` shows at most: the first ones."""
PANEL = 760, 460
"""Width and height in pixels of a panel of `noise_chart`."""
COLUMNS, MAX_PANELS = 2, 60
NAME_LENGTH = 46
"""Letters of a name that fit above a panel."""


def learning_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the training and validation error by epoch, and the learning rate at the right.

    Parameters
    ----------
    history
        One mapping for each epoch, with ``epoch`` and, as far as known, ``loss``,
        ``validation_loss`` and ``learning_rate``.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    epochs, losses, errors, rates = (
        np.array([float(row.get(name, np.nan)) for row in history])
        for name in ("epoch", "loss", "validation_loss", "learning_rate")
    )
    logarithmic = not (errors <= 0).any()  # a loss in dB is negative
    up = "loss (log scale)" if logarithmic else "loss"
    axes = new_chart(across="epoch", up=up)
    axes.set_yscale("log" if logarithmic else "linear")
    if not np.isnan(rates).all():
        right = axes.twinx()
        marker = "o" if len(epochs) == 1 else None
        right.plot(epochs, rates, "--", marker=marker, color=MUTED, linewidth=1.1, markersize=3)
        right.set_ylim(0, 1.08 * float(np.nanmax(rates)) or 1)
        right.ticklabel_format(axis="y", style="plain", useOffset=False)
        annotate(right, "learning rate, dashed", (1, 1), (84, 12), ha="right")
        quiet(right)
    for name, values, colour in (("training", losses, BLUE), ("validation", errors, ORANGE)):
        if np.isnan(values).all():
            continue
        best = int(np.nanargmin(values))
        note = f", best {values[best]:.5f} in epoch {epochs[best]:.0f}"
        label = name + note * (name == "validation")
        axes.plot(epochs, values, color=colour, linewidth=1.8, label=label)
        axes.plot(epochs[best], values[best], "o", color=colour, markersize=5)
    axes.margins(y=0.1)
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if logarithmic:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    # Narrow, between the names of both axes.
    place = {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0), "borderaxespad": 0.1}
    look = {"handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 1.2}
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, ncols=2, **place, **look)
    return to_png(axes.figure)


def error_by_digit(errors: ArrayLike, labels: ArrayLike) -> bytes:
    """Return the mean error for each label with its 95 % interval, and the mean of all.

    Parameters
    ----------
    errors
        Mean squared error of each image, (N,).
    labels
        Integers (N,).
    """
    values, kinds = np.asarray(errors, np.float64), np.asarray(labels)
    axes = new_chart(across="digit", up="mean squared error, 95 % interval")
    names = np.unique(kinds)
    for at, name in enumerate(names):
        mean, (low, high) = values[kinds == name].mean(), bootstrap_interval(values[kinds == name])
        axes.bar(at, mean, width=0.62, color=BLUE)
        axes.vlines(at, low, high, color=INK, linewidth=1.6)
        annotate(
            axes, f"{mean:.4f}", (at, high), (0, 6), xycoords="data", ha="center", va="bottom",
            color=INK, fontsize=8.5,
        )  # fmt: skip
    mean = values.mean()
    axes.axhline(mean, color=ORANGE, linewidth=1.2)
    place = {"xycoords": ("axes fraction", "data"), "va": "center"}
    annotate(axes, f"all\n{mean:.4f}", (1, mean), (8, 0), color=ORANGE, **place)
    axes.set_xticks(range(len(names)), [str(name) for name in names])
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)  # bars are compared by their length
    return to_png(axes.figure)


def code_map(codes: ArrayLike, labels: ArrayLike) -> bytes:
    """Return a flat map of the codes, coloured by label: neighbours on it have similar codes.

    t-SNE from the first two principal components. Van der Maaten and Hinton, "Visualizing data
    using t-SNE", JMLR 9, 2008. Distances between far groups mean nothing.

    Parameters
    ----------
    codes
        (N, D); at most the first 1,000 are shown.
    labels
        Integers (N,).

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    from matplotlib.patheffects import withStroke

    points, kinds = np.asarray(codes, np.float64), np.asarray(labels)
    flat, kinds = _project(points[:MAP_POINTS]), kinds[:MAP_POINTS]
    wide, high = np.ptp(flat, axis=0)
    height = 60 + round(840 * float(np.clip(high / wide if wide > 0 else 1, 0.5, 1)))
    figure = new_figure(900, height)
    axes = figure.add_axes((0.03, 30 / height, 0.94, 1 - 60 / height))
    outline = withStroke(linewidth=4, foreground="white")
    for at, name in enumerate(np.unique(kinds)):
        group, colour = flat[kinds == name], DIGIT_COLOURS[at % len(DIGIT_COLOURS)]
        axes.scatter(*group.T, s=13, color=colour, linewidths=0, alpha=0.75, zorder=2)
        axes.annotate(
            # The median, because t-SNE places some codes far from their group.
            str(name), np.median(group, axis=0), ha="center", va="center", fontsize=17,
            weight="bold", color=colour, path_effects=[outline], zorder=5,
        )  # fmt: skip
    axes.margins(0.02)
    # The axes of t-SNE have one scale and no meaning.
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    return to_png(figure)


def _project(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points in two dimensions."""
    manifold = import_optional("sklearn.manifold", "The map of codes needs scikit-learn")
    padded = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
    if len(padded) < 10 or padded.std() == 0:  # too few or too equal for t-SNE: principal axes
        centred = padded - padded.mean(axis=0)
        return np.asarray(centred @ np.linalg.svd(centred, full_matrices=True)[2][:2].T)
    # t-SNE needs a perplexity below the number of points.
    perplexity = min(30.0, (len(padded) - 1) / 3)
    tsne = manifold.TSNE(init="pca", random_state=0, perplexity=perplexity, max_iter=500)
    # Its threads wait for one another: 3 s with one, 22 s with two on a busy machine.
    with import_module("threadpoolctl").threadpool_limits(1):
        return np.asarray(tsne.fit_transform(padded), np.float64)


def noise_chart(measures: Mapping[str, NoiseMeasure]) -> bytes:
    """Return the noise by brightness of each image, and the law fitted to it, as a PNG.

    Parameters
    ----------
    measures
        Results of `quietpixel.measure_noise` by the name shown above the panel; 1 to 60.

    Raises
    ------
    ArgumentError
        If there is none, or more than fit.
    """
    if not 1 <= len(measures) <= MAX_PANELS:
        raise ArgumentError(
            f"A plot has room for 1 to {MAX_PANELS} images; got {len(measures)}. Plot fewer of "
            "them, or save the numbers as JSON."
        )
    width = min(len(measures), COLUMNS) * PANEL[0]
    height = ceil(len(measures) / COLUMNS) * PANEL[1]
    figure = new_figure(width, height)
    for at, (name, measure) in enumerate(measures.items()):
        row, column = divmod(at, COLUMNS)
        left, bottom = column * PANEL[0] + 84, height - (row + 1) * PANEL[1] + 76
        box = (left / width, bottom / height, (PANEL[0] - 116) / width, (PANEL[1] - 182) / height)
        axes = figure.add_axes(box, facecolor="none")
        levels, clean = measure.levels, np.linspace(0, 1, 201)
        axes.plot(255 * levels.brightness, 255 * levels.sigma, "o", color=BLUE, markersize=4.5)
        axes.plot(255 * clean, 255 * measure.model.sigma(clean), color=ORANGE, linewidth=1.6)
        if measure.clipped:
            clipped = 255 * measure.model.clipped(clean)
            axes.plot(255 * clean, clipped, "--", color=ORANGE, linewidth=1.1)
        axes.set_xlim(0, 255)
        highest = max(float(levels.sigma.max()), float(measure.model.sigma(1.0)))
        axes.set_ylim(0, 1.15 * 255 * highest or 1)
        axes.set_xlabel("brightness, of 255", color=MUTED, fontsize=8.5, labelpad=4)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        quiet(axes)
        short = name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}"
        annotate(axes, short, (0, 1), (-52, 58), color=INK, weight="bold", fontsize=9.5)
        law = f"{measure.kind}, {measure.law}"
        annotate(axes, law, (0, 1), (-52, 34), color=ORANGE, fontsize=8.5)
        key = "sigma, of 255: measured (dots), the law, the law as clipped (dashed)"
        annotate(axes, key, (0, 1), (-52, 12), fontsize=8.5)
    return to_png(figure)
