"""The common look of all pictures, and two ways to draw: a chart, and a mosaic of images.

Uses matplotlib's objects directly, never pyplot: no window, no global state, safe in any thread.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import import_optional

DPI = 160
# On white and on the dark cards of a report alike, since the background is transparent: text has a
# contrast of 4 to both.
INK, MUTED, RULE = "#6c7884", "#75818d", "#8a949e55"
BLUE, ORANGE = "#3b82c4", "#d0752c"
DIGIT_COLOURS = (
    *("#2b6ca3", "#e08a2e", "#3d9a5b", "#c8443f", "#8464ad"),
    *("#8a5a44", "#d678b0", "#6f7782", "#a8a22a", "#2aa5b8"),
)
CELL, GAP, MARGIN = 112, 8, 24
"""Of a mosaic, in pixels: about the width of an image, between images, around all."""


@dataclass(frozen=True)
class Block:
    """Rows of images of one size in a mosaic.

    Parameters
    ----------
    images
        Float (R, K, H, W, C) in [0, 1]: R rows of K images.
    rows, columns
        A name for each row and each column, or none.
    heading
        Text above the block, or empty.
    """

    images: NDArray[Any]
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    heading: str = ""

    @property
    def header(self) -> int:
        """Height of the heading and the names of the columns, in pixels."""
        return 34 * bool(self.heading) + 26 * bool(len(self.columns))


def draw_mosaic(*blocks: Block, title: str = "", cell: int = CELL) -> bytes:
    """Return blocks of images, one below the other, as a PNG.

    Parameters
    ----------
    blocks
        The images of all have the size of the first.
    title
        Above all, or empty.
    cell
        About the width of an image in the picture, in pixels.
    """
    size = blocks[0].images.shape[2:4]
    scale = cell / max(size)
    # Small images are enlarged by a whole number, so that their pixels stay sharp squares.
    scale = max(1.0, round(scale)) if scale >= 0.8 else scale
    height, width = (max(1, round(side * scale)) for side in size)
    longest = max((len(name) for block in blocks for name in block.rows), default=0)
    left = MARGIN + (13 * longest + 12 if longest else 0)
    columns = max(block.images.shape[1] for block in blocks)
    rows = sum(block.images.shape[0] for block in blocks)
    heads = sum(block.header for block in blocks) + 18 * (len(blocks) - 1)
    top = MARGIN + 44 * bool(title)
    across = max(left + columns * (width + GAP) - GAP, MARGIN + 14 * len(title))
    figure = new_figure(across + MARGIN, top + rows * (height + GAP) - GAP + heads + MARGIN)
    write_text(figure, MARGIN, MARGIN + 14, title, size=11, weight="bold")
    for block in blocks:
        if block.heading:
            write_text(figure, MARGIN, top + 12, block.heading, size=9.5, color=INK)
        top += block.header
        for column, name in enumerate(block.columns):
            write_text(figure, left + column * (width + GAP) + width / 2, top - 14, name, "center")
        for row, images in enumerate(block.images):
            if len(block.rows):
                write_text(figure, left - 12, top + height / 2, block.rows[row], "right")
            for column, image in enumerate(images):
                place_image(figure, image, (left + column * (width + GAP), top, width, height))
            top += height + GAP
        top += 18
    return to_png(figure)


def new_figure(width: int, height: int) -> Any:
    """Return an empty transparent matplotlib figure of a size in pixels."""
    matplotlib = import_optional("matplotlib.figure", "Pictures need matplotlib")
    size = (width / DPI, height / DPI)
    return matplotlib.Figure(figsize=size, dpi=DPI, facecolor=(1, 1, 1, 0))


def new_chart(title: str = "", *, across: str, up: str) -> Any:
    """Return the axes of a plain chart: title at the left, no box, light horizontal rules."""
    width, height, head = 960, 520, 50 + 40 * bool(title)
    figure = new_figure(width, height)
    box = (96 / width, 88 / height, (width - 200) / width, (height - 88 - head) / height)
    axes = figure.add_axes(box, facecolor="none")
    write_text(figure, 24, 38, title, size=11, weight="bold")
    axes.set_xlabel(across, color=MUTED, fontsize=9, labelpad=7)
    annotate(axes, up, (0, 1), (-72, 12))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    quiet(axes)
    return axes


def quiet(axes: Any) -> None:
    """Remove the box around axes and mute their numbers."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0, which="both")


def annotate(
    axes: Any, text: str, point: tuple[float, float], shift: tuple[float, float], **style: Any
) -> None:
    """Write text at a point, in fractions of the axes by default, shifted by pixels."""
    look = {"xycoords": "axes fraction", "color": MUTED, "fontsize": 9} | style
    axes.annotate(text, point, shift, textcoords="offset pixels", **look)


def to_png(figure: Any) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # By default the name of the software has the version of matplotlib in it. By this one a later
    # chart knows that it may replace this one.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "quietpixel"})
    return buffer.getvalue()


def write_text(figure: Any, x: float, y: float, text: str, ha: str = "left", **style: Any) -> None:
    """Write text at a distance in pixels from the left and the top."""
    width, height = figure.get_size_inches() * DPI
    look = {"size": 9, "color": INK if "weight" in style else MUTED, "va": "center"} | style
    figure.text(x / width, 1 - y / height, text, ha=ha, **look)


def place_image(figure: Any, image: NDArray[Any], box: tuple[int, int, int, int]) -> None:
    """Show an image in a box (left, top, width, height) of pixels."""
    from matplotlib.image import BboxImage
    from matplotlib.transforms import Bbox

    left, top, width, height = box
    below = figure.bbox.height - top - height
    shown = np.clip(image, 0, 1)
    # Of exactly as many pixels as the image has, or a multiple, nothing is interpolated. Without
    # axes, of which a report had 140 and which took a third of its time.
    smooth = "hanning" if width < shown.shape[1] else "nearest"
    place = Bbox.from_bounds(left, below, width, height)
    artist = BboxImage(place, cmap="gray", origin="upper", interpolation=smooth, resample=True)
    artist.set_data(shown[..., 0] if shown.shape[-1] == 1 else shown)
    artist.set_clim(0, 1)  # matplotlib would stretch an image without black or white
    figure.add_artist(artist)


def find_square(values: NDArray[Any], side: int) -> tuple[slice, slice]:
    """Return the square, at most `side` pixels high and wide, with the largest sum of `values`.

    Parameters
    ----------
    values
        (H, W).
    side
        In pixels. Squares are tried at steps of a quarter of it.
    """
    side = min(side, *values.shape)
    tops, lefts = (
        np.unique([*range(0, length - side + 1, max(side // 4, 1)), length - side])
        for length in values.shape
    )
    bottoms, rights = tops + side, lefts + side
    # The sum over a square from four cumulated sums, however large it is.
    sums = np.pad(values, [(1, 0), (1, 0)]).cumsum(axis=0).cumsum(axis=1)
    inside = sums[np.ix_(bottoms, rights)] - sums[np.ix_(tops, rights)]
    inside += sums[np.ix_(tops, lefts)] - sums[np.ix_(bottoms, lefts)]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    top, left = int(tops[row]), int(lefts[column])
    return slice(top, top + side), slice(left, left + side)
