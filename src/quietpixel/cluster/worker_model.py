"""The model as it is sent to workers, and as each worker keeps it open for files and blocks."""

import hashlib
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.array_types import NUMBERS, Array
from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.cluster.blocks import find_axes
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.axes import Axes
from quietpixel.imaging.intensity_scale import Scale, type_ceiling
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.arrays import Layout, check_range, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.job import DenoiseJob, run
from quietpixel.inference.level import (
    Noise,
    NoiseLevel,
    blind_level,
    check_model,
    constant_level,
    estimate_level,
)
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import BUNDLED, find_model
from quietpixel.inference.options import OPENING, DenoiseOptions
from quietpixel.inference.photons import middle_noise, stabilised_job
from quietpixel.inference.repair import fill_holes
from quietpixel.inference.tile_plan import choose_grid
from quietpixel.noise.estimate import estimate_sigma

_KEPT_OPEN = 2
"""Denoisers that one worker keeps open; long-lived workers serve many runs."""


@dataclass(frozen=True)
class TravellingModel:
    """A model and its options, whole, so that workers need none of the user's files.

    Parameters
    ----------
    name
        What a worker opens by name: a bundled model.
    options
        How the denoiser is opened; what concerns one image has its default.
    digest
        Of the content; models of one digest are equal.
    content
        The ONNX file of a model that is not bundled.
    """

    name: str
    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    digest: str = ""
    # The digest stands for it where two models are compared, as for each task.
    content: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True)
class BlockWork:
    """How all blocks of an array are denoised.

    Parameters
    ----------
    model, card
        The model and its card.
    options
        How each plane is denoised.
    axes
        Which dimensions of the array are which.
    layout
        How the array holds its values.
    shape
        (height, width) of a plane.
    scale
        Black and white that were found, with the photon noise to be stabilised; None for those of
        `layout` and no such noise.
    """

    model: TravellingModel
    card: Card
    options: DenoiseOptions
    axes: Axes
    layout: Layout
    shape: tuple[int, int]
    scale: Scale | None = None

    def on_scale(self, scale: Scale) -> "BlockWork":
        """Return the same work on an intensity scale."""
        layout, options = self.layout.on_scale(scale, self.options.dtype), self.options
        if scale.black == scale.white and isinstance(options.sigma, str):
            options = replace(options, strength=0.0)  # one value everywhere, as in whole images
        return replace(self, layout=layout, scale=scale, options=options)

    @property
    def measures(self) -> bool:
        """Whether noise is measured: if no level is given, or, for a blind model, if one is."""
        if self.scale is not None and self.scale.photons is not None:
            return False
        return self.card.sigma_input and isinstance(self.options.sigma, str) != self.card.blind

    def measure(self, plane: Array) -> float:
        """Return how much noise a sample of a plane (H, W, channels) has, as `level` takes it."""
        if not self.card.blind:
            return estimate_level(self.layout, plane)
        return estimate_sigma(self.layout.to_model(fill_holes(plane, self.layout)[0]))

    def level(self, measured: float | None) -> NoiseLevel | None:
        """Return what the model is given in a plane; `measured` is None unless it is measured."""
        sigma = self.options.sigma
        if not self.card.sigma_input:
            return None
        if isinstance(sigma, str):
            return constant_level(UNKNOWN_SIGMA if measured is None else measured)
        given = constant_level(float(np.asarray(sigma)) * self.layout.level_factor)
        return given if measured is None else blind_level(given.values, measured)

    def noise(self, levels: tuple[float, ...] | None) -> tuple[Noise, ...]:
        """Return what is known of the noise, of each plane if `levels` were estimated."""
        scale, sigma = self.scale, self.options.sigma
        if scale is not None and scale.photons is not None:
            return (middle_noise(scale.photons, scale.range, scale.unit),)
        if not isinstance(sigma, str):
            return (Noise(float(np.mean(sigma)), "given"),)
        if self.layout.dtype.kind == "b":  # as in `find_level`
            return (Noise(),)
        factor = self.layout.level_factor
        found = (Noise(level / factor, "estimated", share=level) for level in levels or ())
        return tuple(found) or (Noise(),)

    def planes(self, region: Array) -> Array:
        """Return a part of the array as (planes, height, width, channels)."""
        height, width = region.shape[self.axes.y], region.shape[self.axes.x]
        return region.reshape(-1, height, width, region.shape[-1] if self.axes.colours else 1)

    def denoise(self, region: Array, block: Tile, levels: Iterable[float | None]) -> Array:
        """Return what a block keeps, denoised; called on a worker.

        Parameters
        ----------
        region
            What the block reads, of any number of planes.
        block
            Where that lies in a plane, and what of it is kept.
        levels
            What was measured of each plane, see `level`.
        """
        denoiser, results = open_model(self.model), []
        for plane, level in zip(self.planes(region), levels, strict=False):
            results.append(denoiser.denoise_block(plane, block, self, level))
        shape = list(region.shape)
        shape[self.axes.y], shape[self.axes.x] = results[0].shape[:2]
        stack = np.ma.stack if np.ma.isMaskedArray(region) else np.stack
        return np.asanyarray(stack(results)).reshape(shape)


def plan_blocks(array: Any, axes: str | None, options: DenoiseOptions) -> BlockWork:
    """Check that an array can be denoised in blocks, and return how; no pixel is read.

    Parameters
    ----------
    array
        Anything with a shape and a type.
    axes
        A letter for each dimension, see `find_axes`.
    options
        How each plane is denoised.

    Raises
    ------
    ArgumentError, ImageError, ModelError
        If an option, the array or the model cannot be used.
    """
    places, model = find_axes(array.shape, axes), pack_model(options)
    dtype = np.dtype(array.dtype)
    if dtype.name not in NUMBERS or not dtype.isnative:
        raise ImageError(
            "`array` must hold bool, integers of 8 to 64 bits or floats of 16 to 64 bits in this "
            f"machine's byte order; got {dtype}. Try array.astype('float32')."
        )
    if 0 in array.shape:
        raise ImageError(f"`array` must have at least one pixel; got shape {array.shape}.")
    channels = array.shape[-1] if places.colours else 1
    alpha, ceiling = channels in (2, 4), type_ceiling(dtype)
    range = options.range and check_range(options.range)
    white = ceiling if dtype.kind in "ui" else 1.0
    black = -128.0 if dtype == np.int8 else 0.0
    output = np.dtype(options.dtype) if options.dtype else None
    layout = Layout(dtype, channels - alpha, alpha, range or (black, white), ceiling, output=output)
    path = find_model(options.model)
    card = read_card(path)
    check_model(options, card, colours=layout.colours)
    if isinstance(options.sigma, np.ndarray) and options.sigma.ndim:
        raise ArgumentError("`sigma` must be a number or 'auto' here; got an array.")
    return BlockWork(
        model, card, options, places, layout, (array.shape[places.y], array.shape[places.x])
    )


class BlockDenoiser(Denoiser):
    """A denoiser that also takes a part of an image, and knows where in it the part lies."""

    def denoise_block(
        self, region: Array, block: Tile, work: BlockWork, level: float | None
    ) -> Array:
        """Return what a block keeps, with the values that the whole image would get.

        Parameters
        ----------
        region
            (H, W, channels), all that the block reads.
        block
            Where that lies in the image, and what of it is kept.
        work
            What is the same for all blocks.
        level
            What was measured of the whole image, see `BlockWork.level`.
        """
        layout, options, scale = work.layout, work.options, work.scale
        # Tiles that meet a side of the region inside the image are wrong within the halo, which is
        # cut off at the end.
        grid = choose_grid(work.card, region.shape[:2], self._tile_pixels(self.engine))
        prepare = partial(
            self.prepare_stack,
            tiles=grid.tiles(),
            origin=(block.rows.start, block.columns.start),
            shape=region.shape,
        )

        def prepare_stable(stable: Array, options: DenoiseOptions, *, scale: object) -> DenoiseJob:
            own = read_layout(stable, options.range, holes=True)
            return prepare(stable[:, :, np.newaxis], own, options)

        if scale is not None and scale.photons is not None:
            takes_level = work.card.takes_level
            job = stabilised_job(
                prepare_stable, region, layout, options, scale, takes_level=takes_level
            )
        else:
            job = prepare(region[:, :, np.newaxis], layout, options, level=work.level(level))
        return run(job).image[block.rows.inner, block.columns.inner]


def pack_model(options: DenoiseOptions) -> TravellingModel:
    """Return the model of these options, ready to be sent.

    Bundled models go by name, because workers have the same version; others with their content.

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such model.
    """
    # Workers keep denoisers open by these options, so what concerns one image has its default.
    opening = DenoiseOptions(**options.of(OPENING))
    path = find_model(options.model)
    if path.parent == BUNDLED:
        return TravellingModel(path.stem, opening)
    content = path.read_bytes()
    return TravellingModel("", opening, hashlib.sha256(content).hexdigest(), content)


_opening = threading.Lock()


def open_model(model: TravellingModel) -> BlockDenoiser:
    """Return the open denoiser; it is opened once in each process, for all its threads."""
    with _opening:  # lru_cache alone would let two threads open it at once
        return _open(model)


@lru_cache(_KEPT_OPEN)
def _open(model: TravellingModel) -> BlockDenoiser:
    from distributed import get_worker

    try:
        # As many streams as threads, because Dask runs so many tasks at once.
        streams = cores = get_worker().state.nthreads
    except ValueError:  # not a worker: the user's own process
        streams, cores = 1, None
    options = replace(model.options, streams=streams, threads=model.options.threads or cores)
    if not model.content:
        return BlockDenoiser.from_options(replace(options, model=model.name))
    with tempfile.TemporaryDirectory(prefix="quietpixel-") as folder:
        path = Path(folder) / f"{model.digest[:16]}.onnx"
        path.write_bytes(model.content)
        return BlockDenoiser.from_options(replace(options, model=path))
