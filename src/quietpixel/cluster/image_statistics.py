"""What must be known of a large image before its parts: black and white, the noise level."""

from dataclasses import dataclass

import numpy as np

from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.cluster.part_tasks import Work, read_native
from quietpixel.cluster.parts import Part
from quietpixel.errors import FileError
from quietpixel.imaging.intensity_scale import (
    MOST_IMAGES,
    Range,
    estimate_range,
    nominal_range,
    scale_places,
)
from quietpixel.inference.arrays import Layout
from quietpixel.inference.level import estimate_level, sample_places
from quietpixel.inference.options import Sigma
from quietpixel.inference.repair import fill_stack, find_hidden


@dataclass(frozen=True)
class Extent:
    """What was seen of the values of a part."""

    smallest: float
    largest: float
    whole: bool
    outside: int
    count: int


def look_at_part(part: Part, work: Work) -> Extent:
    """Return what is to be known of a part to tell which values are black and white."""
    axes = work.axes
    region = read_native(work.source.array(), part.where)
    if work.treatment.layout.alpha:
        region = region[..., :-1]
    if not np.isfinite(region).all():
        raise FileError("The image holds values that are not finite; replace them first.")
    steps = [slice(None)] * region.ndim
    for axis in (axes.y, axes.x):
        step = max(work.treatment.shape[axis - axes.y] // 1000, 1)
        steps[axis] = slice(-part.spans[axis][0] % step, None, step)
    sample = region[tuple(steps)]
    whole = bool(np.array_equal(sample, np.rint(sample)))
    outside = int(((sample > 8) | (sample < -8)).sum())
    return Extent(float(region.min()), float(region.max()), whole, outside, sample.size)


def given_level(sigma: Sigma, card: Card) -> tuple[float, ...] | None:
    """Return the noise level that is known before a look; None where there is none."""
    if not card.sigma_input:
        return None
    if isinstance(sigma, str):
        return (UNKNOWN_SIGMA,) if card.blind else None
    return (float(np.asarray(sigma)),)


def estimate_scale(work: Work) -> Range | None:
    """Return black and white for all planes; a small part of the pixels is read."""
    array, axes, alpha = work.source.array(), work.axes, work.treatment.layout.alpha
    planes = list(np.ndindex(*array.shape[: axes.y]))
    planes = planes[:: -(-len(planes) // MOST_IMAGES)]
    channels = array.shape[-1] if axes.colours else 1
    shape = (array.shape[axes.y], array.shape[axes.x], channels - alpha)
    places = scale_places(shape, len(planes))
    colours = (slice(None),) if axes.colours else ()
    samples = [np.asarray(array.oindex[(*plane, *places, *colours)]) for plane in planes]
    return estimate_range([s.reshape(*s.shape[:2], -1) for s in samples], alpha=alpha)


def estimate_levels(work: Work) -> tuple[float, ...]:
    """Return the noise level of each plane; a small part of the pixels is read."""
    array, axes = work.source.array(), work.axes
    places = tuple(sample_places(array.shape[axis]) for axis in (axes.y, axes.x))
    layout = work.treatment.layout
    levels = []
    for plane in np.ndindex(*array.shape[: axes.y]):
        colours = (slice(None),) if axes.colours else ()
        pixels = np.asarray(array.oindex[(*plane, *places, *colours)])
        stack = pixels.reshape(*pixels.shape[:2], 1, -1)
        hidden = find_hidden(stack, layout)
        seen = stack if hidden is None else fill_stack(stack, layout, hidden)
        levels.append(estimate_level(layout, seen[:, :, 0]))
    return tuple(levels)


def judge_extents(layout: Layout, seen: list[Extent]) -> Range:
    """Return black and white, as `find_range` finds them in the whole."""
    smallest, largest = min(each.smallest for each in seen), max(each.largest for each in seen)
    share = sum(each.outside for each in seen) / max(sum(each.count for each in seen), 1)
    far = share > 0.01 or all(each.whole for each in seen)
    return nominal_range(layout.dtype, smallest, largest, far=far)
