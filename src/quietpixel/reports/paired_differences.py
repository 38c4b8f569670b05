"""The difference of each image between methods, as dots that say which image they are."""

import html
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from quietpixel.evaluation.benchmark import NOISY
from quietpixel.evaluation.comparison import Row, Table
from quietpixel.evaluation.trials import describe_noise
from quietpixel.reports.figures import DIGIT_COLOURS

NameOf = Callable[[int], str]

WIDTH, HEIGHT, LEFT, EDGE = 960, 400, 60, 20
MOST = 500
"""So many dots a method gets; of more images every so-manyth is shown."""


def is_apart(table: Table) -> bool:
    """Return whether there is a second method, and every image has a finite PSNR with all."""
    return bool(_others(table)) and all(np.isfinite(row.psnr).all() for row in table.rows)


def build_apart(table: Table, name_of: NameOf) -> str:
    """Return a section of a page: the PSNR of each image less that of the first method, sorted.

    Parameters
    ----------
    table
        One for which `is_apart` holds.
    name_of
        From the number of an image to what it is called; shown where a pointer rests on a dot.
    """
    first, others = table.rows[0], _others(table)
    apart = [np.subtract(row.psnr, first.psnr) for row in others]
    low, high = (float(f([f(each) for each in apart] + [0.0])) for f in (np.min, np.max))
    pad = 0.06 * max(high - low, 0.1)
    frame = _Frame(low - pad, high + pad, len(first.psnr))
    dots = "".join(
        frame.dots(row, each, colour, name_of)
        for row, each, colour in zip(others, apart, _colours(), strict=False)
    )
    title = html.escape(f"Image by image, {describe_noise(table.noise)}")
    return (
        f'<section><h2>{title}</h2><figure><div class="scroll">'
        f'<svg class="apart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"{frame.rules()}{dots}</svg></div>{_legend(others, apart)}"
        f"<figcaption>{_caption(first.name, len(first.psnr))}</figcaption></figure></section>"
    )


class _Frame:
    """Where dB and places in the order lie on the drawing."""

    def __init__(self, low: float, high: float, count: int) -> None:
        self._low, self._high, self._count = low, high, count

    def _x(self, place: int) -> float:
        return LEFT + (WIDTH - LEFT - EDGE) * (place + 0.5) / self._count

    def _y(self, value: float) -> float:
        return EDGE + (HEIGHT - 2 * EDGE) * (self._high - value) / (self._high - self._low)

    def rules(self) -> str:
        """Return lines at round numbers, that at 0 the strongest."""
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(6).tick_values(self._low, self._high)
        return (
            "".join(
                f'<line class="{"zero" if abs(tick) < 1e-9 else "rule"}" x1="{LEFT}" '
                f'x2="{WIDTH - EDGE}" y1="{self._y(tick):.1f}" y2="{self._y(tick):.1f}"/>'
                f'<text x="{LEFT - 8}" y="{self._y(tick) + 4:.1f}">{_sign(tick)}</text>'
                for tick in ticks
                if self._low <= tick <= self._high
            )
            + f'<text x="{LEFT - 8}" y="12">dB</text>'
        )

    def dots(self, row: Row, apart: NDArray[np.float64], colour: str, name_of: NameOf) -> str:
        """Return a dot for each image, in the order of this method."""
        order = np.argsort(apart, kind="stable").tolist()
        step = -(-len(order) // MOST)
        return "".join(
            f'<circle cx="{self._x(place):.1f}" cy="{self._y(apart[number]):.1f}" r="4" '
            f'fill="{colour}"><title>{html.escape(name_of(number))}, {html.escape(row.name)}: '
            f"{apart[number]:+.2f} dB</title></circle>"
            for place, number in enumerate(order)
            if place % step == 0 or place == len(order) - 1
        )


def _sign(tick: float) -> str:
    return f"{tick:+.4g}" if abs(tick) > 1e-9 else "0"


def _others(table: Table) -> list[Row]:
    return [row for row in table.rows[1:] if row.name != NOISY]


def _colours() -> Sequence[str]:
    """Return colours; the first is that of the method which the others are compared to."""
    return DIGIT_COLOURS[1:] * 10


def _legend(rows: Sequence[Row], apart: Sequence[NDArray[np.float64]]) -> str:
    words = (
        f'<span><i style="background:{colour}"></i>{html.escape(row.name)}: '
        f"better on {int((each > 0).sum()):,} of {len(each):,}</span>"
        for row, each, colour in zip(rows, apart, _colours(), strict=False)
    )
    return f'<p class="legend">{"".join(words)}</p>'


def _caption(first: str, count: int) -> str:
    step = -(-count // MOST)
    shown = "Each dot is an image" if step == 1 else f"Each dot is one of {step} images"
    return html.escape(
        f"{shown}, in the order of each method: its PSNR less that of {first}. "
        "A dot says which image it is."
    )
