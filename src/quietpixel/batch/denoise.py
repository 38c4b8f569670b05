"""Denoises a picture as a file holds it: all pages, any scale."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from quietpixel.files import Picture, turn_page, turn_upright, write_picture
from quietpixel.files.formats import find_format
from quietpixel.imaging.intensity_scale import Range
from quietpixel.inference.arrays import read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import measure_half_width, read_calibration
from quietpixel.inference.job import OnProgress
from quietpixel.inference.level import Noise
from quietpixel.inference.options import DenoiseOptions


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How pictures are read, denoised and written.

    Parameters
    ----------
    options
        How an image is treated; a map of noise levels lies upright, as the picture is shown.
    format
        Name of the format to write; None keeps that of the name or the source.
    quality
        JPEG, WebP or AVIF quality to write, 1 to 100; None keeps that of the source.
    overwrite
        Whether existing files are replaced.
    max_pixels
        The most pixels that a file may declare.
    compare
        Where before, after and the difference are shown side by side; None for nowhere.
    uncertainty
        Where the error bars are written; None for nowhere.
    """

    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    format: str | None = None
    quality: int | None = None
    overwrite: bool = False
    max_pixels: int = 500_000_000
    compare: Path | None = None
    uncertainty: Path | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown format before any picture is read."""
        if self.format is not None:
            find_format(self.format)


@dataclass(frozen=True)
class Findings:
    """What was found in a picture, one entry for each page.

    Parameters
    ----------
    noise
        Level and kinds of the noise.
    scale
        The values that stand for black and white.
    notes
        Sentences on what a user should know, of all pages.
    """

    noise: tuple[Noise, ...] = ()
    scale: tuple[Range, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sigma(self) -> float | None:
        """The noise level, where it is known and the same for all pages."""
        levels = {page.sigma for page in self.noise}
        return levels.pop() if len(levels) == 1 else None


def denoise_picture(
    denoiser: Denoiser,
    picture: Picture,
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    reuse: bool = False,
) -> tuple[Picture, Findings]:
    """Return the picture without its noise, and what was found in it.

    Parameters
    ----------
    denoiser
        Takes each page.
    picture, settings
        What is denoised and how.
    on_progress
        Called with the share of all pages that is done; what it raises ends the work.
    reuse
        Whether the result takes the memory of the picture's pages, which are then lost.
    """
    options, results = settings.options, []
    if options.range is None:
        options = replace(options, range=picture.declared_range)
    if isinstance(options.sigma, np.ndarray):
        level = turn_page(options.sigma, picture.metadata.orientation, back=True)
        options = replace(options, sigma=level)
    reuse = reuse and settings.uncertainty is None
    for number, page in enumerate(picture.pages):
        progress = on_progress and partial(_report_page, on_progress, number, len(picture.pages))
        out = page if reuse and page.flags.writeable else None
        results.append(denoiser.denoise(page, options, on_progress=progress, out=out))
    clean = picture.with_pixels([result.image for result in results])
    notes = [note for result in results for note in result.notes]
    if settings.uncertainty is not None:
        notes.append(write_error_bars(denoiser, picture, clean, settings, settings.uncertainty))
    return clean, Findings(
        noise=tuple(result.noise for result in results),
        scale=tuple(result.scale for result in results),
        notes=tuple(dict.fromkeys(notes)),
    )


def _report_page(on_progress: OnProgress, number: int, count: int, share: float) -> None:
    on_progress((number + share) / count)


def write_error_bars(
    denoiser: Denoiser, before: Picture, after: Picture, settings: Settings, path: Path
) -> str:
    """Write how far the truth may lie from each pixel as a float picture; return a sentence on it.

    Black is 0 and white is 1. The pages lie upright, one for each page of the picture, without
    transparency.
    """
    first, second = turn_upright(before), turn_upright(after)
    range = settings.options.range or before.declared_range
    pages = []
    share = 0.0
    for noisy, denoised in zip(first.pages, second.pages, strict=True):
        layout = read_layout(noisy, range)
        card = denoiser.card_for(layout.model_colours)
        share = read_calibration(card).share
        pages.append(measure_half_width(card, noisy, denoised, layout))
    bars = Picture(tuple(pages), format="tiff", colour=before.colour, maximum=1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(bars, path, overwrite=settings.overwrite)
    return f"'{path}' holds half widths of {share:.0%} intervals; white minus black is 1."
