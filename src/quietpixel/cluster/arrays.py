"""Denoises Dask arrays of any size, lazily."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.blocks import Field
from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.worker_model import BlockWork, plan_blocks
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.tiling import round_up
from quietpixel.inference.level import sample_places
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.planes import MOST_MEASURED, common_level, spaced
from quietpixel.inference.tile_plan import choose_grid

LEAST_SIDE = 256
"""Blocks narrower than this would be mostly halo, so they are joined."""


def denoise(
    array: Any, model: str | Path | None = None, *, axes: str | None = None, **options: Any
) -> Any:
    """Return a Dask array without its noise, of the same type and shape; nothing is computed yet.

    Blocks read the model's halo of their neighbours and meet the border as the whole image does, so
    the result is that of a `quietpixel.Denoiser` on the whole, whatever the blocks are. Blocks of
    y and x that are not multiples of the model's divisor, or small, are joined. Only what a model
    gets for pixels that are transparent, masked or not finite comes from the block alone.

    Parameters
    ----------
    array
        A Dask array of bool, integers or floats, of any number of dimensions from 2. Its blocks may
        be masked arrays.
    model
        As for a `quietpixel.Denoiser`; it is opened once on each worker.
    axes
        A letter for each dimension, such as ``"tzyx"`` or ``"yxc"``. Each plane y, x is an image of
        its own; c is its colours where it comes last and has a size of 1 to 4, and one more axis
        of planes elsewhere. None takes a last dimension of size 3 or 4 as colours.
    **options
        What else `quietpixel.DenoiseOptions` takes, except `streams`, `channels` and `law`; `sigma`
        is one number, or ``"auto"`` to estimate it of a few planes, or of each where these differ.
        Without `range`, floats are taken as [0, 1] and integers as 0 to the largest value of their
        type, and photon noise is not stabilised, because finding out would read the whole array;
        `quietpixel.denoise` reads a sample for both.

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
    if not isinstance(array, need("dask.array").Array):
        raise ImageError(
            f"`array` must be a Dask array; got {type(array).__name__}. Try "
            "dask.array.from_array(array), or quietpixel.denoise for other arrays."
        )
    allowed = {each.name for each in fields(DenoiseOptions)}
    allowed -= {"model", "streams", "axes", "channels", "law"}
    unknown = sorted(options.keys() - allowed)
    if unknown:
        raise ArgumentError(
            f"`{unknown[0]}` is not an option on a cluster; the options are "
            f"{', '.join(sorted(allowed))}."
        )
    return denoise_blocks(array, plan_blocks(array, axes, DenoiseOptions(model=model, **options)))


def denoise_blocks(array: Any, work: BlockWork) -> Any:
    """Return a Dask array without its noise, lazily.

    Parameters
    ----------
    array
        The array.
    work
        What `plan_blocks` returned for it.
    """
    dask = need("dask")
    choose_grid(work.card, work.shape, 2**62)  # a dense model refuses another size here
    # Here, because the overlap would join small blocks by a rule that knows no divisor.
    array = array.rechunk(_chunks(array, work))
    y, x = work.axes.y, work.axes.x
    margin = _margin(work)
    # A single block needs no margin, and Dask refuses one that is wider than the block.
    depth = {axis: margin if len(array.chunks[axis]) > 1 else 0 for axis in (y, x)}
    # One estimate for a whole plane: levels of blocks would leave visible borders.
    levels = [_estimate(array, work)] if work.measures else []
    some = [each.ravel()[spaced(each.size, MOST_MEASURED)] for each in levels]
    return dask.array.map_overlap(
        _denoise_block,
        array,
        *levels,
        depth=[depth, *({} for _ in levels)],
        boundary="none",
        trim=False,
        align_arrays=False,
        allow_rechunk=False,
        chunks=array.chunks,
        dtype=work.layout.result,
        meta=np.empty((0,) * array.ndim, work.layout.result),
        # Delayed, so that the graph holds the model once and not in every task.
        work=dask.delayed(work, pure=True, traverse=False),
        sides=(array.chunks[y], array.chunks[x]),
        stack_levels=dask.delayed(some[0]) if some else None,
    )


def _margin(work: BlockWork) -> int:
    return round_up(work.card.halo or 0, work.card.divisor)


def _chunks(array: Any, work: BlockWork) -> dict[int, Any]:
    """Return how the array is cut: y and x at multiples of the divisor, colours never."""
    chunks: dict[int, Any] = {array.ndim - 1: -1} if work.axes.colours else {}
    divisor = work.card.divisor
    for axis in (work.axes.y, work.axes.x):
        given, length = array.chunks[axis], array.shape[axis]
        least = max(_margin(work), divisor)
        fits = all(side % divisor == 0 and side >= LEAST_SIDE for side in given[:-1])
        if work.card.halo is None:
            chunks[axis] = -1
        elif fits and min(given) >= least:
            chunks[axis] = given
        else:
            side = round_up(max(*given, least, LEAST_SIDE), divisor)
            count = max(length // side, 1)
            if length - count * side < least:  # too little for a block of its own
                count -= 1
            chunks[axis] = (side,) * count + (length - count * side,)
    return chunks


def _estimate(array: Any, work: BlockWork) -> Any:
    """Return the noise level of each plane, with a size of 1 along y, x and colours."""
    import dask.array

    y, x = work.axes.y, work.axes.x
    for axis in (y, x):
        # A few places of each plane, so that not everything is read twice.
        array = dask.array.take(array, sample_places(array.shape[axis]), axis=axis)
    array = array.rechunk({y: -1, x: -1})
    inner = work.axes.inner
    chunks = [(1,) if axis in inner else sides for axis, sides in enumerate(array.chunks)]
    return array.map_blocks(_estimate_block, work, dtype=np.float32, chunks=chunks)


def _estimate_block(region: NDArray[Any], work: BlockWork) -> NDArray[np.float32]:
    shape = [1 if axis in work.axes.inner else size for axis, size in enumerate(region.shape)]
    measured = [work.measure(plane) for plane in work.planes(region)]
    return np.array(measured, np.float32).reshape(shape)


def _denoise_block(
    region: NDArray[Any],
    levels: NDArray[np.float32] | None = None,
    *,
    work: BlockWork,
    sides: tuple[tuple[int, ...], tuple[int, ...]],
    stack_levels: NDArray[np.float32] | None = None,
    block_info: Any = None,
) -> NDArray[Any]:
    """Denoise each plane of a block with its halo; called on a worker."""
    if block_info is None or 0 in region.shape:  # Dask finds out the type with an empty array
        return region.astype(work.layout.result)
    location = block_info[0]["chunk-location"]
    kept = []
    for part, axis in zip(sides, (work.axes.y, work.axes.x), strict=True):
        start = sum(part[: location[axis]])
        kept.append(slice(start, start + part[location[axis]]))
    block = Field(work.shape, _margin(work) if work.card.halo is not None else 0, 1).block(*kept)
    common = None if stack_levels is None else common_level(stack_levels.tolist())
    if levels is None or common is not None:
        return work.denoise(region, block, [common] * len(work.planes(region)))
    return work.denoise(region, block, [float(level) for level in levels.flat])
