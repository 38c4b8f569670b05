"""The chart of measured noise: sigma by brightness, one panel for each image."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

from quietpixel.errors import ArgumentError
from quietpixel.noise.measure import NoiseMeasure
from quietpixel.reports.figures import BLUE, INK, MUTED, ORANGE, RULE, new_figure, quiet, to_png

PANEL = 760, 460
"""Width and height of a panel in pixels."""
ACROSS, MOST = 2, 60
NAME = 46
"""Characters of a name that fit above a panel."""


def noise_chart(measures: Mapping[str, NoiseMeasure]) -> bytes:
    """Return the noise by brightness of each image, and the law through it, as a PNG.

    Parameters
    ----------
    measures
        What `quietpixel.measure_noise` found, by the name shown above its panel; 1 to 60.

    Raises
    ------
    ArgumentError
        If there is none, or more than fit.
    """
    if not 1 <= len(measures) <= MOST:
        raise ArgumentError(
            f"A plot has room for 1 to {MOST} images; got {len(measures)}. Plot fewer, or write "
            "the numbers with --json."
        )
    across = min(len(measures), ACROSS)
    rows = ceil(len(measures) / across)
    width, height = across * PANEL[0], rows * PANEL[1]
    figure = new_figure(width, height)
    for at, (name, measure) in enumerate(measures.items()):
        row, column = divmod(at, across)
        left, bottom = column * PANEL[0] + 84, height - (row + 1) * PANEL[1] + 76
        box = (left / width, bottom / height, (PANEL[0] - 116) / width, (PANEL[1] - 182) / height)
        _draw(figure.add_axes(box), name, measure)
    return to_png(figure)


def _draw(axes: Any, name: str, measure: NoiseMeasure) -> None:
    levels, clean = measure.levels, np.linspace(0, 1, 201)
    axes.plot(255 * levels.brightness, 255 * levels.sigma, "o", color=BLUE, markersize=4.5)
    axes.plot(255 * clean, 255 * measure.model.sigma(clean), color=ORANGE, linewidth=1.6)
    if measure.clipped:
        seen = measure.model.clipped(clean)
        axes.plot(255 * clean, 255 * seen, "--", color=ORANGE, linewidth=1.1)
    _frame(axes, measure)
    short = name if len(name) <= NAME else f"…{name[1 - NAME :]}"
    _above(axes, short, 58, color=INK, weight="bold", fontsize=9.5)
    _above(axes, f"{measure.kind}, {measure.law}", 34, color=ORANGE)
    _above(axes, "sigma, of 255: measured (dots), the law, the law as clipped (dashed)", 12)


def _frame(axes: Any, measure: NoiseMeasure) -> None:
    axes.set_xlim(0, 255)
    top = max(float(measure.levels.sigma.max()), float(measure.model.sigma(1.0)))
    axes.set_ylim(0, 1.15 * 255 * top or 1)
    axes.set_xlabel("brightness, of 255", color=MUTED, fontsize=8.5, labelpad=4)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    quiet(axes)


def _above(axes: Any, text: str, pixels: int, **style: Any) -> None:
    axes.annotate(
        text, (0, 1), (-52, pixels), xycoords="axes fraction", textcoords="offset pixels",
        **({"color": MUTED, "fontsize": 8.5} | style),
    )  # fmt: skip
