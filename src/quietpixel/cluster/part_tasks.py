"""What workers do with one part of an image larger than memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.axes import Axes
from quietpixel.cluster.blocks import Field
from quietpixel.cluster.parts import Part
from quietpixel.cluster.storage import Place
from quietpixel.cluster.worker_model import TravellingModel, Treatment, open_model
from quietpixel.errors import FileError
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.level import constant_level

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
    axes
        Which dimensions are which.
    done
        Where each finished part leaves its name.
    model, treatment
        What is done with each plane.
    halo, divisor
        As the model's card says.
    levels
        The noise level of each plane, or one for all; None for a model that takes none.
    """

    source: Image
    target: Image
    axes: Axes
    done: Place
    model: TravellingModel
    treatment: Treatment
    halo: int
    divisor: int
    levels: tuple[float, ...] | None = None


def treat_part(part: Part, work: Work) -> None:
    """Denoise a part of the full size, or make a part of a smaller copy, and write it."""
    result = _denoise(part, work) if part.level == 0 else _shrink(part, work)
    try:
        work.target.array(part.level)[part.where] = result
        work.done.below(part.name).write(b"")
    except OSError as error:
        raise FileError(
            f"A part of the result was not written ({error.strerror or error}); the same command "
            "goes on there."
        ) from error


def _denoise(part: Part, work: Work) -> NDArray[Any]:
    axes, array = work.axes, work.source.array()
    field = Field(work.treatment.shape, work.halo, work.divisor)
    step = _CELL if work.treatment.layout.alpha else 1
    block = field.block(part.where[axes.y], part.where[axes.x], step=step)
    where = list(part.where)
    where[axes.y], where[axes.x] = _read_of(block)
    region = read_native(array, tuple(where))
    shape = [stop - start for start, stop in part.spans]
    planes = region.reshape(
        -1, *(region.shape[axis] for axis in (axes.y, axes.x)), shape[-1] if axes.colours else 1
    )
    denoiser = open_model(work.model)
    levels = _levels_of(part, work, array.shape)
    result = np.empty((len(planes), shape[axes.y], shape[axes.x], planes.shape[-1]), region.dtype)
    for number, plane in enumerate(planes):
        level = constant_level(levels[number]) if levels is not None else None
        result[number] = denoiser.denoise_block(plane, block, work.treatment, level)
    return result.reshape(shape)


def read_native(array: Any, where: tuple[slice, ...]) -> NDArray[Any]:
    """Return a part of a stored array in this processor's own byte order."""
    region = np.asarray(array[where])
    return region.astype(region.dtype.newbyteorder("="), copy=False)


def _read_of(block: Tile) -> tuple[slice, slice]:
    return slice(block.rows.start, block.rows.stop), slice(block.columns.start, block.columns.stop)


def _levels_of(part: Part, work: Work, shape: Sequence[int]) -> list[float] | None:
    """Return the noise level of each plane of a part."""
    if work.levels is None:
        return None
    leading = tuple(shape[: work.axes.y])
    numbers = np.arange(int(np.prod(leading))).reshape(leading)[part.where[: work.axes.y]].ravel()
    same = len(work.levels) == 1
    return [work.levels[0 if same else number] for number in numbers]


def _shrink(part: Part, work: Work) -> NDArray[Any]:
    """Return the means over what each pixel of a smaller copy covers of the next larger one."""
    larger = work.target.array(part.level - 1)
    shape = work.target.array(part.level).shape
    edges = [
        _edges(span, length, before)
        for span, length, before in zip(part.spans, shape, larger.shape, strict=True)
    ]
    where = tuple(slice(int(edge[0]), int(edge[-1])) for edge in edges)
    region = read_native(larger, where)
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
    if length in (before // factor, -(-before // factor)):
        return np.minimum(places * factor, before).astype(np.intp)
    return (places * before // length).astype(np.intp)
