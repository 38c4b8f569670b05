"""Keeps the plots of benchmarks, and shows them in the page that the benchmarks print."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from quietpixel.reports.figures import DIGIT_COLOURS, INK, new_chart, to_png


def keep(png: bytes, plots: Path, name: str, caption: str) -> None:
    """Write ``NAME.png`` into `plots` and print the Markdown that shows it."""
    plots.mkdir(parents=True, exist_ok=True)
    (plots / f"{name}.png").write_bytes(png)
    print(f"\n![{caption}](plots/{name}.png)\n")


def draw_lines(title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple]]) -> bytes:
    """Return a chart of lines through (x, y), both from zero on, as a PNG."""
    axes = new_chart(title, across=across, up=up)
    for (name, points), colour in zip(lines.items(), DIGIT_COLOURS, strict=False):
        axes.plot(*zip(*points, strict=True), "o-", color=colour, label=name)
    axes.margins(y=0.15)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", frameon=False, fontsize=8.5, labelcolor=INK)
    return to_png(axes.figure)


def draw_bars(title: str, up: str, values: Mapping[str, float]) -> bytes:
    """Return a chart of one bar for each name, as a PNG."""
    axes = new_chart(title, across="", up=up)
    bars = axes.bar(range(len(values)), list(values.values()), 0.6, color=DIGIT_COLOURS[0])
    axes.bar_label(bars, fmt="%.3g", padding=3, color=INK, fontsize=8.5)
    axes.margins(y=0.15)
    axes.set_xticks(range(len(values)), list(values))
    return to_png(axes.figure)


def draw_gains(title: str, measured: Mapping[str, Mapping[str, Sequence[float]]]) -> bytes:
    """Return what each method gains over ``noisy``, a row for each kind of noise, as a PNG."""
    axes = new_chart(title, across="dB over the noisy file", up="")
    axes.figure.set_figheight(1.4 + 0.28 * len(measured))
    axes.figure.subplots_adjust(left=0.34, right=0.97, top=0.9, bottom=0.12)  # room for the names
    names = dict.fromkeys(name for scores in measured.values() for name in scores)
    for name, colour in zip(
        [each for each in names if each != "noisy"], DIGIT_COLOURS, strict=False
    ):
        points = [
            (np.mean(np.subtract(scores[name], scores["noisy"])), row)
            for row, scores in enumerate(measured.values())
            if name in scores
        ]
        size, above = (64, 3) if name == "file" else (26, 2)
        axes.scatter(*zip(*points, strict=True), size, color=colour, label=name, zorder=above)
    axes.set_yticks(range(len(measured)), list(measured))
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=4, frameon=False, fontsize=8.5,
        labelcolor=INK,
    )  # fmt: skip
    return to_png(axes.figure)
