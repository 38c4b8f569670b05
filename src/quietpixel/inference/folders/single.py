"""Denoises one picture between files and streams, and shows what was taken away."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from quietpixel.files import (
    Picture,
    check_writable,
    read_picture,
    remove_leftovers,
    turn_upright,
    write_picture,
)
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.folders.treat import Settings, denoise_picture


def denoise_one(
    denoiser: Denoiser,
    source: Path | bytes,
    target: Path | BinaryIO,
    settings: Settings,
    *,
    compare: str | None = None,
) -> tuple[str, ...]:
    """Denoise a picture into a file or a stream; return sentences on what to know."""
    picture = read_picture(source, max_pixels=settings.max_pixels)
    options = {"format": settings.format, "overwrite": settings.overwrite}
    check_writable(picture, target, format=settings.format, overwrite=settings.overwrite)
    clean, notes = denoise_picture(denoiser, picture, settings)
    sentences = (*picture.notes, *notes)
    if compare is not None:
        sentences += write_comparison(picture, clean, Path(compare), settings.overwrite)
    like = source if isinstance(source, Path) else None
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent)
    return (*sentences, *write_picture(clean, target, like=like, **options))  # type: ignore[arg-type]


def write_comparison(before: Picture, after: Picture, path: Path, overwrite: bool) -> tuple[str]:
    """Write before, after and the difference side by side; return how much it is amplified."""
    first, second = _view(before), _view(after)
    taken = first - second
    size = float(np.percentile(np.abs(taken), 99.5))
    gain = max(1, min(100, round(0.4 / size))) if size > 0 else 1
    gap = np.ones((first.shape[0], 8, first.shape[2]), np.float32)
    row = np.concatenate([first, gap, second, gap, taken * gain + 0.5], axis=1)
    pixels = np.rint(np.clip(row, 0, 1) * 255).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), path, overwrite=overwrite)
    return (f"'{path}' shows before, after, and what was taken away {gain} times as strong.",)


def _view(picture: Picture) -> Any:
    page = turn_upright(picture).pages[0].astype(np.float32) / picture.maximum
    return page[..., :-1] if picture.alpha else page
