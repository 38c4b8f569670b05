"""Takes the noise out of a picture as a file holds it: all pages, any range."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.files import Picture, turn_page, turn_upright, write_picture
from quietpixel.files.formats import find_format
from quietpixel.files.picture import Pixels, white_of
from quietpixel.imaging.strength import check_strength
from quietpixel.inference.arrays import Layout, Range, check_range, is_neutral, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import measure_half_width, read_calibration
from quietpixel.inference.noise_level import Sigma, check_level
from quietpixel.inference.tiled_run import OnProgress


@dataclass(frozen=True)
class Settings:
    """How pictures are read, treated and written.

    Parameters
    ----------
    sigma, strength, range
        As for calling a `Denoiser`; a map lies upright, as the picture is shown.
    format
        Name of the format to write; None keeps that of the name or the source.
    quality
        JPEG, WebP or AVIF quality to write, 1 to 100; None keeps that of the source.
    overwrite
        Whether files that are there are replaced.
    max_pixels
        The most pixels that a file may declare.
    compare
        Where before, after and the difference are shown side by side; None for nowhere.
    uncertainty
        Where the error bars are written; None for nowhere.
    """

    sigma: Sigma = "auto"
    strength: float = 1.0
    range: Range | None = field(default=None)
    format: str | None = None
    quality: int | None = None
    overwrite: bool = False
    max_pixels: int = 500_000_000
    compare: Path | None = None
    uncertainty: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what no picture could be treated with, before any is read."""
        check_level(self.sigma)
        check_strength(self.strength)
        if self.range is not None:
            check_range(self.range)
        if self.format is not None:
            find_format(self.format)


def denoise_picture(
    denoiser: Denoiser,
    picture: Picture,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    reuse: bool = False,
) -> tuple[Picture, tuple[str, ...]]:
    """Return the picture without its noise, and notes on the range and the noise level used.

    `on_progress` is called with the share of all pages that is done; what it raises ends the work.
    With `reuse` the result takes the memory of the picture's pages, which are lost.
    """
    notes: list[str] = []
    count = len(picture.pages)
    reuse = reuse and settings.uncertainty is None
    pages = [
        _page(denoiser, page, (picture, settings, reuse), notes, _part(on_progress, number, count))
        for number, page in enumerate(picture.pages)
    ]
    result = picture.with_pixels(pages)
    if settings.uncertainty is not None:
        path = settings.uncertainty
        notes.append(write_error_bars(denoiser, picture, result, settings, path))
    return result, tuple(dict.fromkeys(notes))


def _part(on_progress: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """Return what a page tells its progress to, as a part of the whole."""
    if on_progress is None:
        return None
    return lambda share: on_progress((number + share) / count)


def _page(
    denoiser: Denoiser,
    page: Pixels,
    given: tuple[Picture, Settings, bool],
    notes: list[str],
    on_progress: OnProgress | None,
) -> Pixels:
    picture, settings, reuse = given
    wanted = settings.range or declared_range(picture)
    layout = read_layout(page, wanted)
    low, high = layout.range
    if (low, high) != (0, white_of(page.dtype)):
        notes.append(f"Black is {low:g} and white is {high:g}.")
    sigma = settings.sigma
    if isinstance(sigma, np.ndarray):
        sigma = turn_page(sigma, picture.metadata.orientation, back=True)
    elif sigma == "auto" and settings.strength > 0 and _takes_level(denoiser, page, layout):
        sigma = denoiser.estimate_sigma(page, range=(low, high))
        notes.append(f"The noise level is estimated as {sigma:.4f} ({sigma * 255:.1f}/255).")
    options: dict[str, Any] = {"strength": settings.strength, "on_progress": on_progress}
    out = page if reuse and page.flags.writeable else None
    return np.asarray(denoiser(page, sigma=sigma, range=wanted, out=out, **options))


def _takes_level(denoiser: Denoiser, page: Pixels, layout: Layout) -> bool:
    colours = 1 if is_neutral(page, layout) else layout.colours
    card = denoiser.card_for(colours)
    return card.sigma_input and not card.blind


def declared_range(picture: Picture) -> Range | None:
    """Return the range that the file declares, where it is not its type's own."""
    white = float(picture.maximum)
    return None if white == white_of(picture.dtype) else (0.0, white)


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
