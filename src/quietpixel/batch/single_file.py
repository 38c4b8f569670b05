"""Denoises one picture between files and streams."""

import time
from pathlib import Path
from typing import BinaryIO

from quietpixel.batch.denoise import Settings, denoise_picture
from quietpixel.batch.pipeline import Outcome, make_folder
from quietpixel.batch.side_by_side import compare_pictures
from quietpixel.files import Job, check_writable, read_picture, remove_leftovers, write_picture
from quietpixel.inference.denoiser import Denoiser


def denoise_one(
    denoiser: Denoiser,
    source: Path | bytes,
    target: Path | BinaryIO,
    settings: Settings,
) -> Outcome:
    """Denoise a picture into a file or a stream; the job of the outcome calls a stream ``-``."""
    start = time.perf_counter()
    picture = read_picture(source, max_pixels=settings.max_pixels)
    check_writable(picture, target, format=settings.format, overwrite=settings.overwrite)
    ready = time.perf_counter()
    clean, findings = denoise_picture(denoiser, picture, settings, reuse=settings.compare is None)
    computed = time.perf_counter()
    notes = (*picture.notes, *findings.notes)
    if settings.compare is not None:
        comparison, note = compare_pictures(picture, clean, settings.compare)
        write_picture(comparison, settings.compare, overwrite=settings.overwrite)
        notes += (note,)
    if isinstance(target, Path):
        make_folder(target.parent)
        remove_leftovers(target.parent)
    notes += write_picture(
        clean,
        target,
        format=settings.format,
        quality=settings.quality,
        overwrite=settings.overwrite,
        like=source if isinstance(source, Path) else None,
    )
    return Outcome(
        Job(*(each if isinstance(each, Path) else Path("-") for each in (source, target))),
        notes=notes,
        findings=findings,
        megapixels=sum(page.shape[0] * page.shape[1] for page in clean.pages) / 1e6,
        read_seconds=ready - start,
        compute_seconds=computed - ready,
        write_seconds=time.perf_counter() - computed,
    )
