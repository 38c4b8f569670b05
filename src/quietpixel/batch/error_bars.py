"""Writes the error bars of a denoised picture."""

from pathlib import Path

from quietpixel.batch.denoise import Settings, declared_range
from quietpixel.files import Picture, turn_upright, write_picture
from quietpixel.inference.arrays import is_neutral, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import measure_half_width, read_calibration


def write_error_bars(
    denoiser: Denoiser, before: Picture, after: Picture, settings: Settings, path: Path
) -> str:
    """Write how far the truth may lie from each pixel as a float picture; return a sentence on it.

    Black is 0 and white is 1. The pages lie upright, one for each page of the picture, without
    transparency.
    """
    first, second = turn_upright(before), turn_upright(after)
    pages = []
    share = 0.0
    for noisy, denoised in zip(first.pages, second.pages, strict=True):
        layout = read_layout(noisy, settings.range or declared_range(before))
        card = denoiser.card_for(1 if is_neutral(noisy, layout) else layout.colours)
        share = read_calibration(card).share
        pages.append(measure_half_width(card, noisy, denoised, layout))
    bars = Picture(tuple(pages), format="tiff", colour=before.colour, maximum=1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(bars, path, overwrite=settings.overwrite)
    return f"'{path}' holds half widths of {share:.0%} intervals; white minus black is 1."
