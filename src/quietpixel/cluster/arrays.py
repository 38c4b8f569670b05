"""Denoises Dask arrays of any size, lazily."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.cluster.axes import Axes, find_axes
from quietpixel.cluster.blocks import Field
from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.worker_model import (
    TravellingModel,
    Treatment,
    card_of,
    open_model,
    pack_model,
)
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.tiling import round_up
from quietpixel.inference.arrays import FLOATS, INTEGERS, Layout, Range, check_range, type_ceiling
from quietpixel.inference.level import check_model, constant_level, estimate_level, sample_places
from quietpixel.inference.options import DenoiseOptions, Sigma
from quietpixel.inference.tile_plan import choose_grid

LEAST_SIDE = 256
"""Blocks narrower than this would be mostly halo, so they are put together."""


def denoise(
    array: Any,
    model: str | Path | None = None,
    *,
    axes: str | None = None,
    sigma: float | str = "auto",
    strength: float = 1.0,
    colour_strength: float | None = None,
    range: Range | None = None,
    **options: Any,
) -> Any:
    """Return a Dask array without its noise, of the same type and shape; nothing is computed yet.

    Blocks see the model's halo of their neighbours and meet the border as the whole image does, so
    the result is that of a `quietpixel.Denoiser` on the whole, whatever the blocks are. Blocks of
    y and x that are not multiples of the model's divisor, or small, are put together. Only the
    colours that a model is shown under wholly transparent pixels come from the block alone.

    Parameters
    ----------
    array
        A Dask array, uint8, uint16 or float, of any number of dimensions from 2.
    model
        As for a `quietpixel.Denoiser`; it is opened once on each worker.
    axes
        A letter for each dimension, such as ``"tzyx"`` or ``"yxc"``. Each plane y, x is an image of
        its own; c is its colours where it comes last and has a size of 1 to 4, and one more axis
        of planes elsewhere. None takes a last dimension of size 3 or 4 as colours.
    sigma
        Noise level on the [0, 1] scale, for models that take it; ``"auto"`` estimates it of each
        plane.
    strength, colour_strength
        As for calling a `quietpixel.Denoiser`.
    range
        The values that stand for black and white. None takes floats as [0, 1] and integers as the
        full scale of their type, because finding out would read the whole array.
    **options
        What else a `quietpixel.Denoiser` takes: engine, precision, threads, memory, quality.

    Raises
    ------
    ImageError
        If the type or the shape cannot be used.
    ArgumentError
        If an argument breaks its rule.
    MissingDependencyError
        If Dask is not installed.

    Examples
    --------
    >>> import dask.array
    >>> noisy = dask.array.random.random((3, 600, 600), chunks=(1, 300, 300))
    >>> denoise(noisy, "mnist-unet", axes="tyx").shape
    (3, 600, 600)
    """
    need("dask.array")
    unknown = sorted(options.keys() - {"engine", "memory", "precision", "quality", "threads"})
    if unknown:
        raise ArgumentError(
            f"`{unknown[0]}` is no option of a model on a cluster; those are engine, memory, "
            "precision, quality and threads."
        )
    wanted = DenoiseOptions(
        model=model, sigma=sigma, strength=strength, colour_strength=colour_strength, range=range,
        **options,
    )  # fmt: skip
    places = find_axes(array.shape, axes)
    layout = layout_of(array, places, range)
    packed = pack_model(wanted)
    card = card_of(packed, layout.colours)
    shape = (array.shape[places.y], array.shape[places.x])
    check_model(wanted, card, colours=layout.colours)
    if isinstance(sigma, np.ndarray) and sigma.ndim:
        raise ArgumentError("`sigma` must be a number or 'auto' here; got an array.")
    choose_grid(card, shape, 2**62)  # a wrong size is told now
    work = _Work(packed, Treatment(layout, shape, wanted), places, card, _level(sigma, card))
    return work.over(array)


@dataclass(frozen=True)
class _Work:
    model: TravellingModel
    treatment: Treatment
    places: Axes
    card: Card
    level: float | str | None

    def over(self, array: Any) -> Any:
        import dask

        array = array.rechunk(self._chunks(array))
        halo = self.card.halo or 0
        margin = round_up(halo, self.card.divisor)
        spatial = self.places.y, self.places.x
        depth = {axis: margin if len(array.chunks[axis]) > 1 else 0 for axis in spatial}
        chunks = array.chunks[self.places.y], array.chunks[self.places.x]
        levels = [self._estimate(array)] if self.level == "auto" else []
        result: Any = dask.array.map_overlap(
            _denoise_block,
            array,
            *levels,
            depth=[depth, *({} for _ in levels)],
            boundary="none",
            trim=False,
            align_arrays=False,
            allow_rechunk=False,
            chunks=array.chunks,
            dtype=array.dtype,
            meta=np.empty((0,) * array.ndim, array.dtype),
            work=dask.delayed(self, pure=True, traverse=False),
            sides=chunks,
        )
        return result

    def _chunks(self, array: Any) -> dict[int, Any]:
        """Return how the array is cut: y and x at multiples of the divisor, colours never."""
        chunks: dict[int, Any] = {array.ndim - 1: -1} if self.places.colours else {}
        for axis in (self.places.y, self.places.x):
            length = array.shape[axis]
            chunks[axis] = (
                self._sides(array.chunks[axis], length) if self.card.halo is not None else -1
            )
        return chunks

    def _sides(self, given: tuple[int, ...], length: int) -> tuple[int, ...]:
        margin = round_up(self.card.halo or 0, self.card.divisor)
        least = max(margin, self.card.divisor)
        fits = all(side % self.card.divisor == 0 and side >= LEAST_SIDE for side in given[:-1])
        if fits and min(given) >= least:
            return given
        side = round_up(max(*given, least, LEAST_SIDE), self.card.divisor)
        count = max(length // side, 1)
        if length - count * side >= least:
            return (side,) * count + (length - count * side,)
        return (side,) * (count - 1) + (length - (count - 1) * side,)

    def _estimate(self, array: Any) -> Any:
        """Return the noise level of each plane, with a size of 1 along y, x and colours."""
        import dask.array

        for axis in (self.places.y, self.places.x):
            array = dask.array.take(array, sample_places(array.shape[axis]), axis=axis)
        array = array.rechunk({self.places.y: -1, self.places.x: -1})
        inner = self.places.inner(array.ndim)
        chunks = [(1,) if axis in inner else sides for axis, sides in enumerate(array.chunks)]
        return array.map_blocks(_estimate_block, self, dtype=np.float32, chunks=chunks)


def _denoise_block(
    region: NDArray[Any],
    levels: NDArray[np.float32] | None = None,
    *,
    work: _Work,
    sides: tuple[tuple[int, ...], tuple[int, ...]],
    block_info: Any = None,
) -> NDArray[Any]:
    """Denoise each plane of a block with its halo; called on a worker."""
    if block_info is None or 0 in region.shape:
        return region
    location = block_info[0]["chunk-location"]
    rows, columns = (
        _kept(part, location[axis])
        for part, axis in zip(sides, (work.places.y, work.places.x), strict=True)
    )
    card, treatment = work.card, work.treatment
    if card.halo is None:
        block = Field(treatment.shape, 0, 1).block(rows, columns)
    else:
        margin = round_up(card.halo, card.divisor)
        block = Field(treatment.shape, margin, 1).block(rows, columns)
    denoiser = open_model(work.model)
    planes = _planes(region, work.places)
    done = []
    for number, plane in enumerate(planes):
        sigma = work.level if levels is None else levels.flat[number]
        level = None if sigma is None else constant_level(float(sigma))
        done.append(denoiser.denoise_block(plane, block, treatment, level))
    kept = list(region.shape)
    kept[work.places.y], kept[work.places.x] = done[0].shape[:2]
    return np.stack(done).reshape(kept)


def _planes(region: NDArray[Any], places: Axes) -> NDArray[Any]:
    """Return a block as (planes, height, width, channels)."""
    height, width = region.shape[places.y], region.shape[places.x]
    return region.reshape(-1, height, width, region.shape[-1] if places.colours else 1)


def _kept(sides: tuple[int, ...], number: int) -> slice:
    start = sum(sides[:number])
    return slice(start, start + sides[number])


def _estimate_block(region: NDArray[Any], work: _Work) -> NDArray[np.float32]:
    planes = _planes(region, work.places)
    levels = [estimate_level(work.treatment.layout, plane) for plane in planes]
    shape = [
        1 if axis in (work.places.y, work.places.x) else n for axis, n in enumerate(region.shape)
    ]
    if work.places.colours:
        shape[-1] = 1
    return np.array(levels, np.float32).reshape(shape)


def layout_of(array: Any, places: Axes, range: Range | None) -> Layout:
    """Return how an array that is not read yet holds its images."""
    dtype = np.dtype(array.dtype)
    if dtype.name not in INTEGERS + FLOATS or not dtype.isnative:
        raise ImageError(
            f"`array` must hold {', '.join(INTEGERS + FLOATS)} because only these have a known "
            f"black and white; got {dtype}. Try array.astype('float32') with `range`."
        )
    if 0 in array.shape:
        raise ImageError(f"`array` must have at least one pixel; got shape {array.shape}.")
    channels = array.shape[-1] if places.colours else 1
    alpha = channels in (2, 4)
    ceiling = type_ceiling(dtype)
    white = ceiling if dtype.kind == "u" else 1.0
    found = (0.0, white) if range is None else check_range(range)
    return Layout(dtype, channels - alpha, alpha, found, ceiling)


def _level(sigma: Sigma, card: Card) -> float | str | None:
    """Return the noise level that blocks are told: a number, ``"auto"`` or None."""
    if not card.sigma_input:
        return None
    if isinstance(sigma, str):
        return UNKNOWN_SIGMA if card.blind else "auto"
    return float(np.asarray(sigma))
