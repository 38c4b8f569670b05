"""Pictures of whole images and of details, and of what was taken away, each as a PNG."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.imaging.residual import LAGS, Residual
from quietpixel.reports.figures import (
    BLUE,
    MUTED,
    RULE,
    _place,
    _write,
    new_figure,
    quiet,
    to_png,
)

Image = NDArray[Any]

WHOLE = 640
"""Most pixels of height and width that a whole image takes."""
DETAIL, ENLARGED = 240, 2
"""Side of a detail in pixels, and how many times it is enlarged."""
GAP, MARGIN, HEAD = 10, 24, 30


def draw_scene(images: Sequence[tuple[str, Image]], *, title: str) -> bytes:
    """Return an image in several states side by side: the whole, and below it one detail.

    The detail is the place where the second state, the denoised one, has the strongest contrasts,
    so that no one chose it.

    Parameters
    ----------
    images
        Names and images (H, W, C) in [0, 1], all of one size.
    title
        Above the picture.
    """
    wholes = [_fit(image) for _, image in images]
    details = [_enlarge(image[_detail_of(images[1][1])]) for _, image in images]
    cell = max(wholes[0].shape[1], details[0].shape[1])
    width = 2 * MARGIN + len(images) * (cell + GAP) - GAP
    rows = [wholes[0].shape[0], details[0].shape[0]]
    figure = new_figure(width, 2 * MARGIN + HEAD + sum(row + HEAD for row in rows))
    _write(figure, MARGIN, MARGIN + 6, title, size=11, weight="bold")
    for column, (name, _) in enumerate(images):
        left, top = MARGIN + column * (cell + GAP), MARGIN + HEAD
        for part, label in ((wholes[column], name), (details[column], "detail")):
            _write(figure, left, top + 14, label)
            _place(figure, part, (left, top + HEAD, part.shape[1], part.shape[0]))
            top += part.shape[0] + HEAD
    return to_png(figure)


def show_taken(noisy: Image, denoised: Image) -> Image:
    """Return what was taken away: gray is nothing, black to white 4 times its strength."""
    taken = np.asarray(noisy, np.float32) - denoised
    strength = max(float(np.sqrt(np.mean(taken**2))), 1e-6)
    return np.asarray(np.clip(0.5 + taken / (4 * strength), 0, 1))


def draw_residual(residual: Residual) -> bytes:
    """Return the map of the likeness of neighbouring pixels of what was taken away."""
    figure = new_figure(620, 560)
    _write(figure, MARGIN, MARGIN + 6, "Likeness of pixels so far apart", size=11, weight="bold")
    axes = figure.add_axes((0.12, 0.12, 0.67, 0.74))
    shown = residual.autocorrelation.copy()
    shown[LAGS, LAGS] = np.nan
    limit = max(0.1, float(np.nanmax(np.abs(shown))))
    extent = (-LAGS - 0.5, LAGS + 0.5, LAGS + 0.5, -LAGS - 0.5)
    axes.set_facecolor(RULE)
    drawn = axes.imshow(shown, cmap="PuOr", vmin=-limit, vmax=limit, extent=extent)
    axes.set_xlabel("pixels to the right", color=MUTED, fontsize=9)
    axes.set_ylabel("pixels down", color=MUTED, fontsize=9)
    quiet(axes)
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.82, 0.12, 0.03, 0.74)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8.5, length=0)
    axes.plot([0], [0], marker="+", color=BLUE)
    return to_png(figure)


def _fit(image: Image) -> Image:
    """Return `image` no larger than a whole may be, by taking every n-th block's mean."""
    step = -(-max(image.shape[:2]) // WHOLE)
    height, width = (length // step * step for length in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _enlarge(image: Image) -> Image:
    return image.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)


def _detail_of(image: Image) -> tuple[slice, slice]:
    """Return the square of the image that has the strongest contrasts."""
    height, width = (min(DETAIL, length) for length in image.shape[:2])
    slopes = np.hypot(*np.gradient(np.asarray(image, np.float64).mean(axis=-1)))
    tops = range(0, image.shape[0] - height + 1, max(1, height // 2))
    lefts = range(0, image.shape[1] - width + 1, max(1, width // 2))
    places = [(top, left) for top in tops for left in lefts]
    squares = [(slice(top, top + height), slice(left, left + width)) for top, left in places]
    return max(squares, key=lambda square: float(slopes[square].sum()))
