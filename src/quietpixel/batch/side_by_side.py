"""Shows before, after and what was taken away side by side."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.files import Picture, turn_upright

_GAP = 8
"""White pixels between the three."""
_STRIP = 256
"""Rows treated at once, so that large pictures need little memory beside the result."""


def compare_pictures(before: Picture, after: Picture, path: Path) -> tuple[Picture, str]:
    """Return the picture for `path`, in 8 bits, and a sentence on what it shows.

    Of a stack the first page is shown. The difference is amplified around middle gray, so that
    its strong parts are easy to see.
    """
    first, second = turn_upright(before), turn_upright(after)
    gain = _gain(first, second)
    height, width = first.pages[0].shape[:2]
    shown = np.full(
        (height, 3 * width + 2 * _GAP, 3 if first.colour == "rgb" else 1), 255, np.uint8
    )
    for top in range(0, height, _STRIP):
        rows = slice(top, top + _STRIP)
        old, new = _view(first, rows), _view(second, rows)
        for place, part in enumerate((old, new, (old - new) * gain + 0.5)):
            left = place * (width + _GAP)
            shown[rows, left : left + width] = np.rint(np.clip(part, 0, 1) * 255)
    strength = f" {gain} times as strong" if gain > 1 else ""
    note = f"'{path}' shows before, after, and what was taken away{strength}."
    return Picture.from_pixels(shown), note


def _gain(first: Picture, second: Picture) -> int:
    step = max(first.pages[0].shape[0] // _STRIP, 1)
    rows = slice(None, None, step)
    size = float(np.percentile(np.abs(_view(first, rows) - _view(second, rows)), 99.5))
    return max(1, min(100, round(0.4 / size))) if size > 0 else 1


def _view(picture: Picture, rows: slice) -> NDArray[np.float32]:
    page = picture.pages[0][rows].astype(np.float32) / np.float32(picture.maximum)
    return page[..., :-1] if picture.alpha else page
