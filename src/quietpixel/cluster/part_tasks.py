"""What is done with the parts of an image larger than memory; called on workers."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.blocks import Field, Part
from quietpixel.cluster.storage import Place
from quietpixel.cluster.worker_model import BlockWork
from quietpixel.errors import FileError
from quietpixel.imaging.intensity_scale import (
    MOST_IMAGES,
    Range,
    estimate_range,
    nominal_range,
    scale_places,
)
from quietpixel.inference.arrays import Layout
from quietpixel.inference.level import sample_places

_CELL = 1024
"""Colours under transparent pixels are filled within squares of this side (`imaging.fill`)."""


class Image(Protocol):
    """An image whose arrays are opened where they are needed."""

    def array(self, level: int = 0) -> Any:
        """Return the open array of a level."""


@dataclass(frozen=True)
class Work:
    """What all parts of an image have in common.

    Parameters
    ----------
    source, target
        What is read and what is written.
    done
        Where each finished part leaves a file of its name.
    blocks
        How blocks are denoised.
    levels
        The noise level of each plane; None for the level of `blocks`.
    """

    source: Image
    target: Image
    done: Place
    blocks: BlockWork
    levels: tuple[float, ...] | None = None


def process_part(part: Part, work: Work) -> None:
    """Denoise a part of the full size, or compute a part of a smaller copy, and write it."""
    result = _denoise(part, work) if part.level == 0 else _shrink(part, work)
    try:
        work.target.array(part.level)[part.where] = result
        work.done.below(part.name).write(b"")
    except OSError as error:
        raise FileError(
            f"A part of the result was not written ({error.strerror or error}); repeat the call "
            "to continue there."
        ) from error


def _read(array: Any, where: tuple[slice, ...]) -> NDArray[Any]:
    """Return a part of a stored array in this processor's byte order."""
    region = np.asarray(array[where])
    return region.astype(region.dtype.newbyteorder("="), copy=False)


def _denoise(part: Part, work: Work) -> NDArray[Any]:
    blocks, array = work.blocks, work.source.array()
    axes, card = blocks.axes, blocks.card
    block = Field(blocks.shape, card.halo or 0, card.divisor).block(
        part.where[axes.y], part.where[axes.x], step=_CELL if blocks.layout.alpha else 1
    )
    where = list(part.where)
    where[axes.y] = slice(block.rows.start, block.rows.stop)
    where[axes.x] = slice(block.columns.start, block.columns.stop)
    leading = array.shape[: axes.y]
    planes = np.arange(int(np.prod(leading))).reshape(leading)[part.where[: axes.y]].ravel()
    levels = [blocks.level if work.levels is None else work.levels[plane] for plane in planes]
    return blocks.denoise(_read(array, tuple(where)), block, levels)


def _shrink(part: Part, work: Work) -> NDArray[Any]:
    """Return the means over what each pixel of a smaller copy covers of the next larger one."""
    larger = work.target.array(part.level - 1)
    shape = work.target.array(part.level).shape
    edges = [
        _edges(span, length, before)
        for span, length, before in zip(part.spans, shape, larger.shape, strict=True)
    ]
    region = _read(larger, tuple(slice(int(edge[0]), int(edge[-1])) for edge in edges))
    values = region.astype(np.float64)
    for axis, edge in enumerate(edges):
        counts = np.diff(edge)
        if (counts == 1).all():
            continue
        sums = np.add.reduceat(values, edge[:-1] - edge[0], axis=axis)
        values = sums / counts.reshape([-1 if each == axis else 1 for each in range(values.ndim)])
    return (np.rint(values) if region.dtype.kind in "ui" else values).astype(region.dtype)


def _edges(span: tuple[int, int], length: int, before: int) -> NDArray[np.intp]:
    """Return where the pixels of a side begin and end on the side of the next larger copy."""
    factor = max(round(before / length), 1)
    places = np.arange(span[0], span[1] + 1)
    # Writers round an odd side up or down; a copy of any other size is stretched.
    if length in (before // factor, -(-before // factor)):
        return np.minimum(places * factor, before).astype(np.intp)
    return (places * before // length).astype(np.intp)


@dataclass(frozen=True)
class Extent:
    """Statistics of the values of a part, from which black and white are found."""

    smallest: float
    largest: float
    whole: bool
    outside: int
    count: int


def measure_part(part: Part, work: Work) -> Extent:
    """Return the statistics of a part."""
    blocks = work.blocks
    region = _read(work.source.array(), part.where)
    if blocks.layout.alpha:
        region = region[..., :-1]
    if not np.isfinite(region).all():
        raise FileError("The image holds values that are not finite; replace them first.")
    steps = [slice(None)] * region.ndim
    for axis, length in zip((blocks.axes.y, blocks.axes.x), blocks.shape, strict=True):
        step = max(length // 1000, 1)  # as for images in memory
        steps[axis] = slice(-part.spans[axis][0] % step, None, step)
    sample = region[tuple(steps)]
    whole = bool(np.array_equal(sample, np.rint(sample)))
    outside = int(((sample > 8) | (sample < -8)).sum())
    return Extent(float(region.min()), float(region.max()), whole, outside, sample.size)


def find_nominal_range(layout: Layout, seen: list[Extent]) -> Range:
    """Return black and white as `nominal_range` finds them in the whole."""
    smallest, largest = min(each.smallest for each in seen), max(each.largest for each in seen)
    share = sum(each.outside for each in seen) / max(sum(each.count for each in seen), 1)
    far = share > 0.01 or all(each.whole for each in seen)
    return nominal_range(layout.dtype, smallest, largest, far=far)


def estimate_scale(work: Work) -> Range | None:
    """Return black and white for all planes; a small part of the pixels is read."""
    array, blocks = work.source.array(), work.blocks
    planes = list(np.ndindex(*array.shape[: blocks.axes.y]))
    planes = planes[:: -(-len(planes) // MOST_IMAGES)]
    places = scale_places((*blocks.shape, blocks.layout.colours), len(planes))
    colours = (slice(None),) if blocks.axes.colours else ()
    samples = [np.asarray(array.oindex[(*plane, *places, *colours)]) for plane in planes]
    return estimate_range(
        [each.reshape(*each.shape[:2], -1) for each in samples], alpha=blocks.layout.alpha
    )


def estimate_levels(work: Work) -> tuple[float, ...]:
    """Return the noise level of each plane; a small part of the pixels is read."""
    array, axes = work.source.array(), work.blocks.axes
    places = tuple(sample_places(array.shape[axis]) for axis in (axes.y, axes.x))
    colours = (slice(None),) if axes.colours else ()
    levels: list[float] = []
    for plane in np.ndindex(*array.shape[: axes.y]):
        some = tuple(slice(number, number + 1) for number in plane)
        levels += work.blocks.estimate(np.asarray(array.oindex[(*some, *places, *colours)]))
    return tuple(levels)
