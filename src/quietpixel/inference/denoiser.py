"""Denoises arrays: the array becomes a model image, tile by tile, and comes back as it was."""

import threading
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ImageError, unknown_name
from quietpixel.imaging.strength import check_strength
from quietpixel.inference.arrays import (
    Layout,
    Range,
    all_channels,
    copy_into,
    is_neutral,
    one_channel,
    read_layout,
    type_ceiling,
    with_channels,
)
from quietpixel.inference.engine import Engine, check_engine, open_engine, read_card
from quietpixel.inference.memory_limits import bytes_per_pixel, check_batch, check_out, parse_memory
from quietpixel.inference.model_store import cache_of, default_model, find_model
from quietpixel.inference.noise_level import Sigma, check_sigma, estimate_level, levels_for
from quietpixel.inference.tiled_run import OnProgress, Run, choose_grid

Array = NDArray[Any]
Source = str | Path | bytes | BinaryIO

QUALITIES = {"normal": 1, "best": 8}
"""How many flips and turns of an image are denoised and averaged, by name."""


class Denoiser:
    """A model kept open, called on one image after the other.

    Parameters
    ----------
    model
        A name, a run folder or an .onnx file; None takes the bundled ``photo`` model for colour
        and ``photo-gray`` for gray images, those with three equal channels included.
    engine
        ``"openvino"`` or ``"onnxruntime"``.
    precision
        ``"auto"``, ``"f32"`` or ``"bf16"``; what ``auto`` chose is in `precision`.
    threads
        Number of threads, None for all cores.
    memory
        What a tile may take while it is computed, beside the image and its result: bytes, or
        text such as ``"512MB"``.
    streams
        How many threads may call it at once without waiting for each other; they share the cores
        and the weights.
    quality
        ``"normal"``, or ``"best"`` for the mean over the eight flips and turns of the image, in
        eight times the time.

    Examples
    --------
    >>> denoiser = Denoiser("mnist-unet")  # doctest: +SKIP
    >>> denoised = denoiser(noisy, strength=0.8)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        engine: str = "openvino",
        precision: str = "auto",
        threads: int | None = None,
        memory: int | str = "512MB",
        streams: int = 1,
        quality: str = "normal",
    ) -> None:
        if quality not in QUALITIES:
            raise unknown_name("quality", quality, QUALITIES)
        check_engine(engine, precision, threads, streams)
        self._views = QUALITIES[quality]
        self._open = partial(
            open_engine, name=engine, precision=precision, threads=threads, streams=streams
        )
        self._engines: dict[Path, Engine] = {}
        self._lock = threading.Lock()
        self.memory = parse_memory(memory)
        self._model = None if model is None else find_model(model)
        if model is not None:
            self._engine(3)  # a wrong model or option is told here, not at the first image

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is open, so that it can go to another process; it is opened anew there."""
        return {**self.__dict__, "_engines": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what `__getstate__` left."""
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def card(self) -> Card:
        """The card of the model; of the one for RGB images where the choice is left open."""
        return self.card_for(3)

    def card_for(self, channels: int) -> Card:
        """Return the card of the model that images of 1 or 3 colour channels get."""
        path = self._path(channels)
        engine = self._engines.get(path)
        return engine.card if engine else read_card(path)

    @property
    def precision(self) -> str:
        """The arithmetic in use: ``"f32"`` or ``"bf16"``."""
        engine = next(iter(self._engines.values()), None) or self._engine(3)
        return engine.precision

    def __call__(
        self,
        image: Array,
        *,
        sigma: Sigma = "auto",
        strength: float = 1.0,
        range: Range | None = None,
        on_progress: OnProgress | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return `image` without its noise, in the same type and shape; `image` is left alone.

        Parameters
        ----------
        image
            uint8, uint16 or float, (H, W), (H, W, 1) or (H, W, 3); with alpha (H, W, 2) or
            (H, W, 4).
        sigma
            Noise level on the [0, 1] scale, for models that take it: a number, a map (H, W),
            or ``"auto"`` to estimate it.
        strength
            1 denoises fully, less gives luminance texture back, 0 returns the input's values.
        range
            The values that stand for black and white; None finds them (`find_range`).
        on_progress
            Called with the share done, in [0, 1], before the first tile and after each; what it
            raises ends the work.
        out
            Where the result is put, of the same type and shape; it may be `image` itself, which
            halves the memory for large images. None makes a new array.

        Raises
        ------
        ImageError
            If the image cannot be used, or has another size than the model's only one.
        ArgumentError
            If another argument breaks its rule.
        """
        layout = read_layout(image, range)
        check_out(out, image)
        if is_neutral(image, layout):
            options: dict[str, Any] = {"strength": strength, "on_progress": on_progress}
            gray = self(one_channel(image), sigma=sigma, range=range, **options)
            return all_channels(gray, image, out)
        stack = with_channels(image)[:, :, np.newaxis]
        place = stack if out is image else None if out is None else with_channels(out)[:, :, None]
        job = (sigma, strength, on_progress)
        result = self._denoise(stack, layout, job, place)
        return result.reshape(image.shape) if out is None else out

    def batch(
        self,
        images: Array,
        *,
        sigma: Sigma = "auto",
        strength: float = 1.0,
        range: Range | None = None,
    ) -> Array:
        """Return a stack of images of one size without their noise, in the same type and shape.

        Parameters
        ----------
        images
            uint8, uint16 or float, (N, H, W, 1) or (N, H, W, 3).
        sigma, strength
            As for one image; ``"auto"`` estimates each image.
        range
            As for one image; left out, floats are taken as [0, 1] and integers as the full scale
            of their type, whatever the values are.
        """
        check_batch(images)
        white = type_ceiling(images.dtype) if images.dtype.kind == "u" else 1.0
        layout = read_layout(images[0], range or (0.0, white))
        result = np.empty_like(images)
        pixels = self._tile_pixels(self._engine(layout.colours))
        step = max(pixels // (images.shape[1] * images.shape[2]), 1)
        for start in np.arange(0, len(images), step):
            part = np.moveaxis(images[start : start + step], 0, 2)
            done = self._denoise(part, layout, (sigma, strength, None))
            result[start : start + step] = np.moveaxis(done, 2, 0)
        return result

    def estimate_sigma(self, image: Array, *, range: Range | None = None) -> float:
        """Return the noise level of `image` on the [0, 1] scale, as ``sigma="auto"`` finds it."""
        layout = read_layout(image, range)
        if is_neutral(image, layout):
            return self.estimate_sigma(one_channel(image), range=range)
        return estimate_level(layout, with_channels(image))

    def _denoise(
        self,
        stack: Array,
        layout: Layout,
        job: tuple[Sigma, float, OnProgress | None],
        out: Array | None = None,
    ) -> Array:
        """Denoise images of one size, (H, W, N, channels)."""
        sigma, strength, tell = job
        check_strength(strength)
        engine = self._engine(layout.colours)
        check_sigma(sigma, engine.card, stack.shape[:2])
        pixels = self._tile_pixels(engine) // stack.shape[2]
        grid = choose_grid(engine.card, stack.shape[:2], pixels)
        if strength == 0:
            return copy_into(out, stack)
        level, share = levels_for(engine.card, sigma, layout, stack)
        run = Run(engine, layout, level, strength, self._views, share)
        return run.over(stack, grid, tell, out=out)

    def _tile_pixels(self, engine: Engine) -> int:
        """Return how many pixels a tile may have."""
        return max(self.memory // bytes_per_pixel(engine.card, engine.precision), 1)

    def _path(self, channels: int) -> Path:
        return self._model or default_model(channels)

    def _engine(self, channels: int) -> Engine:
        path = self._path(channels)
        with self._lock:
            if path not in self._engines:
                self._engines[path] = self._open(path, cache=cache_of(path))
            return self._engines[path]


def denoise(
    image: Array | Source,
    model: str | Path | None = None,
    *,
    sigma: Sigma = "auto",
    strength: float = 1.0,
    range: Range | None = None,
    **options: Any,
) -> Array:
    """Return an image without its noise; for many images, keep a `Denoiser` instead.

    Parameters
    ----------
    image
        An array as `Denoiser` takes it, which comes back in the same type and shape; or an image
        file with one page (a path, its bytes or an open binary file), whose pixels come back
        upright, (H, W, C), in the file's type.
    model, **options
        As for `Denoiser`.
    sigma, strength, range
        As for calling a `Denoiser`.

    Examples
    --------
    >>> clean = denoise(noisy, model="mnist-unet")  # doctest: +SKIP
    """
    denoiser = Denoiser(model, **options)
    if isinstance(image, str | Path | bytes) or hasattr(image, "read"):
        image, white = _read_pixels(cast(Source, image))
        range = range or white
    return denoiser(image, sigma=sigma, strength=strength, range=range)


def _read_pixels(source: Source) -> tuple[Array, Range | None]:
    """Return the upright pixels of an image file, and its range where the file declares one."""
    from quietpixel.files import read_picture, turn_upright  # arrays need no image library

    picture = turn_upright(read_picture(source))
    if len(picture.pages) != 1:
        raise ImageError(
            f"`image` must have one page because one array comes back; got {len(picture.pages)}. "
            "Pass the pages of quietpixel.files.read_picture(image) one by one to a Denoiser."
        )
    page = picture.pages[0]
    full = type_ceiling(page.dtype) if page.dtype.kind == "u" else 1.0
    return page, None if picture.maximum == full else (0.0, float(picture.maximum))
