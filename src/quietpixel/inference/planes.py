"""Planes of arrays and files: each is an image of its own, those of a channel share a scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from quietpixel.array_types import Array
from quietpixel.imaging.axes import Axes, find_axes
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.inference.arrays import Layout
from quietpixel.inference.job import DenoiseJob, OnProgress, Result, run
from quietpixel.inference.level import Noise, NoiseLevel, constant_level, level_factors
from quietpixel.inference.options import DenoiseOptions

MOST_MEASURED, MOST_APART = 5, 1.5
"""How many images of a stack are measured for one level, and the ratio of levels that are one."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One image of several.

    Parameters
    ----------
    image
        (H, W) or (H, W, C), usually a view.
    channel
        Number of its channel; planes of one channel share an intensity scale.
    out
        Where its result is put, of the same shape; it may be `image` itself.
    """

    image: Array
    channel: int
    out: Array

    @property
    def has_values(self) -> bool:
        """Whether any value is known: a lost frame may be all NaN."""
        known = np.isfinite(self.image) if self.image.dtype.kind == "f" else True
        return bool(np.ma.filled(known, False).any()) and bool(np.ma.count(self.image))


def split(image: Array, out: Array, axes: Axes, *, first: int = 0) -> list[Plane]:
    """Return the planes of an array.

    Parameters
    ----------
    image
        The array, or one page of a file.
    out
        Where the result is put, of the same shape; it may be `image` itself.
    axes
        Their dimensions.
    first
        Number of the first channel.
    """
    pairs = axes.planes(image)
    # The same view, so that a job knows that it works in place.
    if out is image:
        return [Plane(view, first + channel, view) for channel, view in pairs]
    outs = axes.planes(out)
    return [
        Plane(view, first + channel, place)
        for (channel, view), (_, place) in zip(pairs, outs, strict=True)
    ]


def split_page(page: Array, out: Array, channels: str, *, number: int = 0) -> list[Plane]:
    """Return the planes of one page of a file.

    Parameters
    ----------
    page, out
        As for `split`.
    channels
        As in `DenoiseOptions`.
    number
        Which channel of the stack the page is.
    """
    samples = page.shape[2] if channels == "separate" else 1
    return split(page, out, find_axes(page.shape, channels=channels), first=number * samples)


def join(results: Sequence[Result], image: Array) -> Result:
    """Return the results of planes as one.

    Parameters
    ----------
    results
        One for each plane.
    image
        What the results were put into.
    """
    levels = [each.noise.sigma for each in results if each.noise.sigma is not None]
    shares = [each.noise.share for each in results if each.noise.share is not None]
    kinds = dict.fromkeys(kind for each in results for kind in each.noise.kinds)
    # A record has one level; those of channels may differ.
    sigma, share = (float(np.mean(each)) if each else None for each in (levels, shares))
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return replace(
        results[0],
        image=image,
        noise=Noise(sigma, results[0].noise.source, tuple(kinds), share),
        notes=tuple(notes),
    )


class ImageDenoiser(Protocol):
    """What denoises the planes, such as a `Denoiser`."""

    def prepare(
        self,
        image: Array,
        options: DenoiseOptions,
        *,
        scale: Scale | None = None,
        out: Array | None = None,
    ) -> DenoiseJob:
        """Return the job for one image."""

    def find_scale(
        self, images: Sequence[Array], options: DenoiseOptions, *, profile: bool = False
    ) -> Scale:
        """Return the scale that images share."""


def spaced(count: int, most: int) -> list[int]:
    """Return at most `most` evenly spaced numbers below `count`.

    Examples
    --------
    >>> spaced(9, 3), spaced(2, 5)
    ([0, 4, 8], [0, 1])
    """
    return [int(each) for each in np.linspace(0, count - 1, min(count, most)).round()]


def share_level(
    denoiser: ImageDenoiser, planes: Mapping[int, Plane], options: DenoiseOptions, scale: Scale
) -> tuple[Scale, dict[int, DenoiseJob]]:
    """Return the scale with the noise level of a stack, so that brightness and grain do not jump.

    The level is the median of some images. Where theirs differ too much to be one level, such as
    those of different scans in one file, each image keeps its own.

    Parameters
    ----------
    denoiser
        A `Denoiser`.
    planes
        The images by their numbers.
    options, scale
        How the images are treated, and the scale that they share.

    Returns
    -------
    scale
        With the level, if there is one.
    jobs
        Those of the images that were measured, with the level that they get.
    """
    alone = len(planes) < 2 or not isinstance(options.sigma, str)
    if alone or scale.photons or scale.black == scale.white:
        return scale, {}
    numbers = list(planes)
    jobs = {
        number: denoiser.prepare(planes[number].image, options, scale=scale, out=planes[number].out)
        for number in (numbers[place] for place in spaced(len(numbers), MOST_MEASURED))
    }
    found = [job.level for job in jobs.values() if job.level]
    levels = [float(level.values.mean()) for level in found if level.noise.source == "estimated"]
    common = common_level(levels)
    if common is None:
        return scale, jobs
    kinds = dict.fromkeys(kind for level in found for kind in level.noise.kinds)
    shares = [0.0 if level.camera is None else float(level.camera[0]) for level in found]
    scale = replace(scale, level=common, kinds=tuple(kinds), camera=float(np.median(shares)))
    return scale, {
        number: replace(job, level=shared_level(scale, job.layout, options))
        for number, job in jobs.items()
    }


def common_level(levels: Sequence[float]) -> float | None:
    """Return the level of a stack from those of some planes; None where they are not alike.

    Examples
    --------
    >>> common_level([0.1, 0.12, 0.11]), common_level([0.1, 0.2])
    (0.11, None)
    """
    if not levels or max(levels) > MOST_APART * min(levels):
        return None
    return float(np.median(levels))


def shared_level(scale: Scale, layout: Layout, options: DenoiseOptions) -> NoiseLevel | None:
    """Return the level of all images of a scale, or the one given; None where each has its own."""
    removes = level_factors(options.strength, options.colour_strength)
    if scale.level is None or not removes or isinstance(options.sigma, np.ndarray):
        return None
    estimated = isinstance(options.sigma, str)
    level = scale.level if estimated else float(options.sigma) * layout.level_factor
    source: Literal["given", "estimated"] = "estimated" if estimated else "given"
    noise = Noise(level / layout.level_factor, source, scale.kinds, level)
    camera = np.array([scale.camera], np.float32) if scale.camera else None
    return replace(constant_level(level), noise=noise, camera=camera)


def denoise_planes(
    denoiser: ImageDenoiser,
    planes: Sequence[Plane],
    options: DenoiseOptions,
    *,
    scales: Mapping[int, Scale] = MappingProxyType({}),
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """Denoise images, those of one channel on one intensity scale; return their results.

    Parameters
    ----------
    denoiser
        A `Denoiser`.
    planes
        The images, and where their results are put. One without a known value comes back as it is.
        Where they are of several channels, notes begin with that of theirs.
    options, on_progress
        As for a `Denoiser`.
    scales
        The scales of channels, by number; others are found in their planes.
    """
    shared: dict[int, Scale] = {}
    jobs: dict[int, DenoiseJob] = {}
    for channel in dict.fromkeys(plane.channel for plane in planes):
        known = {
            number: plane
            for number, plane in enumerate(planes)
            if plane.channel == channel and plane.has_values
        }
        if known:
            images = [plane.image for plane in known.values()]
            found = scales.get(channel) or denoiser.find_scale(images, options)
            shared[channel], measured = share_level(denoiser, known, options, found)
            jobs |= measured
    results = []
    for number, plane in enumerate(planes):
        progress = on_progress and partial(_report_part, on_progress, number, len(planes))
        if plane.has_values:
            job = jobs.pop(number, None) or denoiser.prepare(
                plane.image, options, scale=shared[plane.channel], out=plane.out
            )
            results.append(run(job, progress))
        else:
            plane.out[...] = plane.image
            results.append(Result(plane.out, Noise(), (0.0, 1.0)))
    if len({plane.channel for plane in planes}) == 1:
        return results
    return [
        replace(result, notes=tuple(f"Channel {plane.channel + 1}: {n}" for n in result.notes))
        for plane, result in zip(planes, results, strict=True)
    ]


def _report_part(on_progress: OnProgress, number: int, count: int, share: float) -> None:
    on_progress((number + share) / count)
