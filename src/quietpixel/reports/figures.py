"""The look that all pictures share, and the two ways to draw: a chart and a mosaic of images.

Uses matplotlib's objects directly, never pyplot: no window, no global state, safe in any thread.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, MissingDependencyError

DPI = 160
INK, MUTED, RULE = "#1f2933", "#66727f", "#e2e6ea"
BLUE, ORANGE = "#2b6ca3", "#c9702b"
DIGIT_COLOURS = (
    *("#2b6ca3", "#e08a2e", "#3d9a5b", "#c8443f", "#8464ad"),
    *("#8a5a44", "#d678b0", "#6f7782", "#a8a22a", "#2aa5b8"),
)


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """Rows of equally large images, in blocks, with words around them.

    Parameters
    ----------
    title
        Above all.
    blocks
        Each float (R, K, H, W, C) in [0, 1]: R rows of K images.
    row_labels
        For each block, one word for each row, or none.
    column_labels
        For each block, one word for each column, put above it, or none.
    headings
        For each block, the words above it; empty for none.
    """

    title: str
    blocks: Sequence[NDArray[Any]]
    row_labels: Sequence[Sequence[str]]
    column_labels: Sequence[Sequence[str]]
    headings: Sequence[str]

    CELL, GAP, MARGIN = 112, 8, 24
    """Pixels: about the width of an image, between images, around all."""

    def draw(self) -> bytes:
        """Return the mosaic as a PNG."""
        width, height = self._size()
        figure = new_figure(width, height)
        write_text(figure, self.MARGIN, self.MARGIN + 14, self.title, size=11, weight="bold")
        top = self.MARGIN + 44
        for index in range(len(self.blocks)):
            top = self._draw_block(figure, index, top)
        return to_png(figure)

    def _cell(self) -> tuple[int, int]:
        """Return the (height, width) of a cell: a whole multiple of small images, for crispness."""
        height, width = self.blocks[0].shape[2:4]
        scale = self.CELL / max(height, width)
        scale = max(1.0, round(scale)) if scale >= 0.8 else scale
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _left(self) -> int:
        longest = max((len(label) for labels in self.row_labels for label in labels), default=0)
        return self.MARGIN + (13 * longest + 12 if longest else 0)

    def _header(self, index: int) -> int:
        return 34 * bool(self.headings[index]) + 26 * bool(self.column_labels[index])

    def _size(self) -> tuple[int, int]:
        cell_height, cell_width = self._cell()
        columns = max(block.shape[1] for block in self.blocks)
        width = self._left() + columns * (cell_width + self.GAP) - self.GAP + self.MARGIN
        rows = sum(block.shape[0] for block in self.blocks)
        headers = sum(self._header(index) for index in range(len(self.blocks)))
        space = 18 * (len(self.blocks) - 1)
        height = self.MARGIN + 44 + rows * (cell_height + self.GAP) + headers + space
        title = 2 * self.MARGIN + 14 * len(self.title)
        return max(width, title), height + self.MARGIN - self.GAP

    def _draw_block(self, figure: Any, index: int, top: int) -> int:
        block, (cell_height, cell_width) = self.blocks[index], self._cell()
        left = self._left()
        if self.headings[index]:
            write_text(figure, self.MARGIN, top + 12, self.headings[index], size=9.5, color=INK)
        top += self._header(index)
        for column, label in enumerate(self.column_labels[index]):
            centre = left + column * (cell_width + self.GAP) + cell_width / 2
            write_text(figure, centre, top - 14, label, ha="center")
        for row, images in enumerate(block):
            if self.row_labels[index]:
                write_text(
                    figure, left - 12, top + cell_height / 2, self.row_labels[index][row], "right"
                )
            for column, image in enumerate(images):
                box = (left + column * (cell_width + self.GAP), top, cell_width, cell_height)
                place_image(figure, image, box)
            top += cell_height + self.GAP
        return top + 18


def new_figure(width: int, height: int) -> Any:
    """Return an empty white matplotlib figure of so many pixels."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "Pictures need matplotlib, which is not installed; "
            "install it with: pip install 'quietpixel[train]'."
        ) from error
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_chart(title: str, *, across: str, up: str, width: int = 1200, height: int = 640) -> Any:
    """Return the axes of a plain chart: title at the left, no box, quiet horizontal rules."""
    figure = new_figure(width, height)
    axes = figure.add_axes(
        (96 / width, 88 / height, (width - 200) / width, (height - 178) / height)
    )
    write_text(figure, 24, 38, title, size=11, weight="bold")
    axes.set_xlabel(across, color=MUTED, fontsize=9, labelpad=7)
    axes.annotate(
        up, (0, 1), (-72, 12), textcoords="offset pixels", xycoords="axes fraction",
        color=MUTED, fontsize=9,
    )  # fmt: skip
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    quiet(axes)
    return axes


def quiet(axes: Any) -> None:
    """Take the box away from axes and mute their numbers."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0, which="both")


def to_png(figure: Any) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def check_count(name: str, count: int, other: int) -> None:
    """Refuse arrays of different lengths.

    Raises
    ------
    ArgumentError
        If the lengths differ or are 0.
    """
    if count != other or count == 0:
        raise ArgumentError(
            f"`{name}` must hold one entry for each image, and at least one; "
            f"got {other} for {count} images."
        )


def write_text(figure: Any, x: float, y: float, text: str, ha: str = "left", **style: Any) -> None:
    """Write text at so many pixels from the left and the top."""
    width, height = figure.get_size_inches() * DPI
    style = {"size": 9, "color": INK if "weight" in style else MUTED, "va": "center"} | style
    figure.text(x / width, 1 - y / height, text, ha=ha, **style)


def place_image(figure: Any, image: NDArray[Any], box: tuple[int, int, int, int]) -> None:
    """Show an image in a box (left, top, width, height) of pixels."""
    total_width, total_height = figure.get_size_inches() * DPI
    left, top, width, height = box
    axes = figure.add_axes(
        (
            left / total_width,
            1 - (top + height) / total_height,
            width / total_width,
            height / total_height,
        )
    )
    shown = np.clip(image, 0, 1)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
