"""The work on one image, in a thread: bytes in, bytes out, nothing on disk."""

import io
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np

from quietpixel.batch.denoise import Settings, choose_channels, denoise_picture, write_result
from quietpixel.files import FORMATS, Metadata, Picture, read_picture, turn_upright
from quietpixel.files.write import check_writable, write_picture
from quietpixel.inference.arrays import read_layout, with_channels
from quietpixel.inference.job import OnProgress
from quietpixel.inference.level import sample_image
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.photon_law import write_law
from quietpixel.inference.photons import may_have_photons, middle_noise
from quietpixel.inference.planes import split_page
from quietpixel.inference.repair import find_repair
from quietpixel.noise.level import measure_level
from quietpixel.web.models import Models

LARGE = 4_000_000
"""Pixels above which a view is a JPEG: encoding it as a PNG would take seconds."""


@dataclass(frozen=True)
class Result:
    """A denoised image file, its facts, and the `seconds` that each step took."""

    content: bytes
    format: str
    model: str
    sigma: float | None
    pixels: int
    notes: tuple[str, ...]
    picture: dict[str, Any]
    seconds: dict[str, float]


class Upload(io.BytesIO):
    """An uploaded file with the client's name for it, which error messages show."""

    def __init__(self, content: bytes, name: str = "") -> None:
        super().__init__(content)
        # 255 is the longest file name of common file systems.
        self.name = "".join(letter for letter in name if letter.isprintable())[:255]


def read(upload: Upload, max_pixels: int) -> Picture:
    """Return the image in an uploaded file."""
    return read_picture(upload if upload.name else upload.getvalue(), max_pixels=max_pixels)


def denoise(models: Models, upload: Upload, settings: Settings, on_progress: OnProgress) -> Result:
    """Return a denoised image file with everything else that the upload contained.

    Raises
    ------
    QuietpixelError
        With the message that the library gives for the same file and options.
    """
    times = [time.perf_counter()]
    picture = read(upload, settings.max_pixels)
    on_progress(0.0)  # ends the work of a client that is gone before the noise level is sought
    format = check_writable(picture, io.BytesIO(), format=settings.format)
    model = models.choose(settings.options.model)
    denoiser = models.open(model)
    times.append(time.perf_counter())
    clean, found = denoise_picture(denoiser, picture, settings, on_progress=on_progress)
    times.append(time.perf_counter())
    file = io.BytesIO()
    lost, _ = write_result(clean, upload.getvalue(), file, settings)
    times.append(time.perf_counter())
    # `Server-Timing` shows these in the developer tools of browsers.
    seconds = (end - start for start, end in pairwise(times))
    return Result(
        file.getvalue(),
        format,
        model,
        sigma=found.sigma,
        pixels=sum(page.shape[0] * page.shape[1] for page in picture.pages),
        notes=(*picture.notes, *found.notes, *lost),
        picture=describe(clean),
        seconds=dict(zip(("read", "denoise", "write"), seconds, strict=True)),
    )


def estimate(
    models: Models, upload: Upload, max_pixels: int, on_progress: OnProgress
) -> dict[str, Any]:
    """Return level, kinds and law of the noise of the first page, and a description of the file."""
    picture = read(upload, max_pixels)
    on_progress(0.0)
    page = picture.pages[0]
    options = choose_channels(picture, DenoiseOptions(range=picture.declared_range))
    parts = split_page(page, page, options.channels)
    planes = [with_channels(plane.image) for plane in parts]
    levels = []
    for plane in planes:
        layout = read_layout(plane, picture.declared_range)
        # As for a result, whose level is that of the repaired image.
        sample = sample_image(layout, plane, find_repair(plane, layout))
        levels.append(measure_level(sample))
        on_progress(len(levels) / len(planes))
    sigma = fmean(each.level for each in levels)
    kinds = list(dict.fromkeys(kind for each in levels for kind in each.kinds))
    law = None
    if len(planes) == 1 and models.default is not None and may_have_photons(planes[0], options):
        profile = picture.metadata.icc is not None
        scale = models.open(models.default).find_scale(planes, options, profile=profile)
        if scale.photons is not None:
            sigma = middle_noise(scale.photons, scale.range, scale.unit).sigma or 0.0
            law = write_law(scale.photons, scale)
    return {
        "sigma": sigma,
        "sigma_255": sigma * 255,
        "kinds": kinds,
        "coarse": "coarse" in kinds,
        "channels": options.channels,
        "law": law,
        "camera": max(each.camera for each in levels),
        **describe(picture),
    }


def describe(picture: Picture) -> dict[str, Any]:
    """Return the facts of an image file that a user wants to see."""
    width, height = picture.size
    if picture.metadata.orientation >= 5:  # stored lying on its side
        width, height = height, width
    return {
        "format": picture.format,
        "width": width,
        "height": height,
        "pages": len(picture.pages),
        "colour": picture.colour,
        "alpha": picture.alpha,
        "type": picture.dtype.name,
        "profile": picture.metadata.icc is not None,
        "notes": list(picture.notes),
    }


def view(
    upload: Upload, max_pixels: int, range: tuple[float, float] | None = None
) -> tuple[bytes, str, tuple[float, float]]:
    """Return the first page of an image file for a screen, its media type, and black and white.

    It has 8 bits, is upright, and in a format that browsers show.

    Parameters
    ----------
    upload
        The file.
    max_pixels
        Most pixels that the file may declare.
    range
        Values shown as black and white; None finds them.
    """
    picture = turn_upright(read(upload, max_pixels))
    page = picture.pages[0]
    low, high = range or read_layout(page, picture.declared_range).range
    colours = page[..., :-1] if picture.alpha else page
    shown = _to_bytes(colours, low, high)
    if picture.alpha:
        shown = np.concatenate([shown, _to_bytes(page[..., -1:], 0, picture.maximum)], axis=2)
    screen = Picture.from_pixels(shown)
    screen = replace(screen, format="", metadata=Metadata(icc=picture.metadata.icc))
    large = shown.shape[0] * shown.shape[1] > LARGE and not picture.alpha
    format, file = "jpeg" if large else "png", io.BytesIO()
    write_picture(screen, file, format=format)
    return file.getvalue(), FORMATS[format].media_type, (low, high)


def _to_bytes(values: Any, low: float, high: float) -> Any:
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
