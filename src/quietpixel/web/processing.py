"""What is done with a picture in a thread: bytes in, bytes out, nothing on a disk."""

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from quietpixel.batch.denoise import Settings, denoise_picture
from quietpixel.files import Metadata, Picture, read_picture, turn_upright
from quietpixel.files.write import check_writable, choose_format, write_picture
from quietpixel.inference.arrays import read_layout
from quietpixel.inference.level import estimate_level
from quietpixel.inference.options import DenoiseOptions
from quietpixel.web.models import Models

MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "pnm": "image/x-portable-anymap",
}

LARGE = 4_000_000
"""Pixels from which a view is a JPEG: as a PNG it would take seconds."""

OnProgress = Callable[[float], None]
"""Gets the share done; what it raises ends the work."""


@dataclass(frozen=True)
class DenoiseRequest:
    """What a client asks for."""

    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    format: str | None = None


@dataclass
class Result:
    """A picture file, and what to know of it; `seconds` of each step."""

    content: bytes
    format: str
    model: str = ""
    sigma: float | None = None
    pixels: int = 0
    notes: tuple[str, ...] = ()
    picture: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how long the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start


class NamedBytes(io.BytesIO):
    """The bytes of a file that a client has named; errors say the name."""

    def __init__(self, content: bytes, name: str = "") -> None:
        super().__init__(content)
        self.name = "".join(letter for letter in name if letter.isprintable())[:200]


def read(file: NamedBytes, max_pixels: int) -> Picture:
    """Return the picture in an upload."""
    return read_picture(file if file.name else file.getvalue(), max_pixels=max_pixels)


def denoise(
    models: Models,
    file: NamedBytes,
    wanted: DenoiseRequest,
    max_pixels: int,
    on_progress: OnProgress,
) -> Result:
    """Return a picture file without its noise, with all that it carried.

    Raises
    ------
    QuietpixelError
        With the sentence that the command line would say.
    """
    result = Result(b"", "")
    with result.step("read"):
        picture = read(file, max_pixels)
    result.format = check_writable(picture, io.BytesIO(), format=wanted.format)
    name = None if wanted.options.model is None else str(wanted.options.model)
    result.model = models.choose(name, 1 if picture.colour == "gray" else 3)
    denoiser = models.open(result.model)
    with result.step("denoise"):
        settings = Settings(options=wanted.options)
        clean, found = denoise_picture(denoiser, picture, settings, on_progress=on_progress)
    with result.step("write"):
        result.content, lost = encode(clean, wanted.format)
    result.sigma = found.sigma
    result.notes = (*picture.notes, *found.notes, *lost)
    result.picture = describe(clean)
    result.pixels = sum(page.shape[0] * page.shape[1] for page in picture.pages)
    return result


def encode(picture: Picture, format: str | None) -> tuple[bytes, tuple[str, ...]]:
    """Return a picture as the bytes of a file, and notes on what the format could not hold."""
    kind = choose_format(picture, io.BytesIO(), format=format)
    with memory_file() if kind == "tiff" else io.BytesIO() as file:
        notes = write_picture(picture, file, format=kind)
        file.seek(0)
        return file.read(), notes


def estimate(file: NamedBytes, max_pixels: int) -> dict[str, Any]:
    """Return the estimated noise level of a picture file's first page, and what the file is."""
    picture = read(file, max_pixels)
    page = picture.pages[0]
    sigma = estimate_level(read_layout(page, picture.declared_range), page)
    return {"sigma": sigma, "sigma_255": sigma * 255, **describe(picture)}


def describe(picture: Picture) -> dict[str, Any]:
    """Return what a person wants to know of a picture file."""
    width, height = turned_size(picture)
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


def turned_size(picture: Picture) -> tuple[int, int]:
    """Return width and height as people see the picture."""
    width, height = picture.size
    return (height, width) if picture.metadata.orientation >= 5 else (width, height)


@dataclass(frozen=True)
class View:
    """A picture for a screen: 8 bits, upright, in a format that browsers show."""

    content: bytes
    media_type: str
    range: tuple[float, float]


def view(file: NamedBytes, max_pixels: int, range: tuple[float, float] | None = None) -> View:
    """Return the first page of a picture file for a screen.

    Parameters
    ----------
    file
        The upload.
    max_pixels
        The most pixels that it may declare.
    range
        The values shown as black and white; None finds them.
    """
    picture = turn_upright(read(file, max_pixels))
    page = picture.pages[0]
    low, high = range or read_layout(page, picture.declared_range).range
    colours = page[..., :-1] if picture.alpha else page
    shown = _to_bytes(colours, low, high)
    if picture.alpha:
        shown = np.concatenate([shown, _to_bytes(page[..., -1:], 0, picture.maximum)], axis=2)
    screen = Picture.from_pixels(shown)
    screen = replace(screen, format="", metadata=Metadata(icc=picture.metadata.icc))
    large = shown.shape[0] * shown.shape[1] > LARGE and not picture.alpha
    coded, _ = encode(screen, "jpeg" if large else "png")
    return View(coded, MEDIA_TYPES["jpeg" if large else "png"], (low, high))


def _to_bytes(values: Any, low: float, high: float) -> Any:
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def memory_file() -> BinaryIO:
    """Return an empty binary file in memory; under Linux one that the system knows too.

    A TIFF is written through a file of the system. Linux has such files in memory; elsewhere the
    writer of TIFF takes an unnamed temporary file between.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("quietpixel"), "w+b")
    return io.BytesIO()
