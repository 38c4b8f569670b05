"""Denoises one image larger than memory, part by part, and continues an interrupted run."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.batch.denoise import Findings, make_folder
from quietpixel.batch.lock import lock_folders
from quietpixel.batch.pipeline import Outcome
from quietpixel.cluster import tiff_image, zarr_image
from quietpixel.cluster.blocks import Field, Part, cut
from quietpixel.cluster.storage import Place, is_store, to_json
from quietpixel.cluster.task_pool import Notify, TaskPool
from quietpixel.cluster.tiff_image import TiffImage
from quietpixel.cluster.worker_model import BlockWork, open_model, plan_blocks
from quietpixel.cluster.workers import Cluster
from quietpixel.cluster.zarr_image import ZarrImage
from quietpixel.errors import ArgumentError, ClusterError, FileError, ImageError, ModelError
from quietpixel.files import Job, format_of_name, zarr_store
from quietpixel.imaging.axes import compare_axes
from quietpixel.imaging.defects import FILL_CELL
from quietpixel.imaging.intensity_scale import FIXED_SCALES, Scale, largest_sound, nominal_range
from quietpixel.inference.arrays import Layout
from quietpixel.inference.job import OnProgress
from quietpixel.inference.level import Noise, level_factors, sample_places
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.photons import describe_law
from quietpixel.inference.planes import MOST_MEASURED, common_level, spaced


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
        How blocks are denoised, whatever their scale.
    channels
        The same on the intensity scale of each channel, one where there are no channels.
    levels
        What was measured of each plane, see `BlockWork.level`; None for nothing.
    """

    source: ZarrImage | TiffImage
    target: ZarrImage
    done: Place
    blocks: BlockWork
    channels: tuple[BlockWork, ...] = ()
    levels: tuple[float | None, ...] = ()


def process_part(part: Part, work: Work) -> None:
    """Denoise a part of the full size, or compute a part of a smaller copy, and write it."""
    if part.level:
        result = _shrink(part, work)
    else:
        axes = work.blocks.axes
        results = [_denoise(one, work, channel) for channel, one in part.channels(axes)]
        result = np.concatenate(results, axes.channels or 0)
    try:
        # Parts never share a stored chunk, so no lock is needed.
        work.target.array(part.level)[part.where] = result
        # After the pixels: a part without this file is done again.
        work.done.below(part.name).write(b"")
    except OSError as error:
        raise FileError(
            f"A part of the result was not written ({error.strerror or error}); repeat the call "
            "to continue there."
        ) from error


def _read(array: Any, where: tuple[Any, ...]) -> NDArray[Any]:
    """Return a part of a stored array in this processor's byte order."""
    try:
        region = np.asarray(array.oindex[where])
    except Exception as error:  # tifffile and Zarr raise whatever their codecs do
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(
            f"A part of the image cannot be decoded ({reason}); get a whole copy of it."
        ) from error
    return region.astype(region.dtype.newbyteorder("="), copy=False)


def _denoise(part: Part, work: Work, channel: int) -> NDArray[Any]:
    blocks, array = work.channels[channel], work.source.array()
    axes, card = blocks.axes, blocks.card
    block = Field(blocks.shape, card.halo or 0, card.divisor).block(
        part.where[axes.y], part.where[axes.x], step=FILL_CELL if blocks.layout.alpha else 1
    )
    where = list(part.where)
    where[axes.y] = slice(block.rows.start, block.rows.stop)
    where[axes.x] = slice(block.columns.start, block.columns.stop)
    leading = array.shape[: axes.y]
    planes = np.arange(int(np.prod(leading))).reshape(leading)[part.where[: axes.y]].ravel()
    levels = [work.levels[plane] for plane in planes]
    return blocks.denoise(_read(array, tuple(where)), block, levels)


def _shrink(part: Part, work: Work) -> NDArray[Any]:
    """Return the means over what each pixel of a smaller copy covers of the next larger one."""
    larger = work.target.array(part.level - 1)
    shape = work.target.array(part.level).shape
    edges = []
    for (start, stop), length, before in zip(part.spans, shape, larger.shape, strict=True):
        factor, places = max(round(before / length), 1), np.arange(start, stop + 1)
        # Writers round an odd side up or down; a copy of any other size is stretched.
        halved = length in (before // factor, -(-before // factor))
        edges.append(np.minimum(places * factor, before) if halved else places * before // length)
    region = _read(larger, tuple(slice(int(edge[0]), int(edge[-1])) for edge in edges))
    values = region.astype(np.float64)
    for axis, edge in enumerate(edges):
        counts = np.diff(edge)
        if (counts == 1).all():
            continue
        sums = np.add.reduceat(values, edge[:-1] - edge[0], axis=axis)
        values = sums / counts.reshape([-1 if each == axis else 1 for each in range(values.ndim)])
    return (np.rint(values) if region.dtype.kind in "ui" else values).astype(region.dtype)


@dataclass(frozen=True)
class Extent:
    """Statistics of the values of a part, from which black and white are found.

    Hot pixels do not count in `sound`.
    """

    smallest: float
    largest: float
    sound: float
    whole: bool
    outside: int
    count: int


def measure_part(part: Part, work: Work) -> list[tuple[int, Extent]]:
    """Return the number and the statistics of each channel of a part."""
    return [(channel, _measure(one, work)) for channel, one in part.channels(work.blocks.axes)]


def _measure(part: Part, work: Work) -> Extent:
    blocks = work.blocks
    region = _read(work.source.array(), part.where)
    if blocks.layout.alpha:
        region = region[..., :-1]
    steps = [slice(None)] * region.ndim
    for axis, length in zip((blocks.axes.y, blocks.axes.x), blocks.shape, strict=True):
        step = max(length // 1000, 1)  # as for images in memory
        # Counted from the corner of the image, so that parts take the pixels that the whole would.
        steps[axis] = slice(-part.spans[axis][0] % step, None, step)
    sample = region[tuple(steps)]
    sample = sample[np.isfinite(sample)]
    whole = bool(np.array_equal(sample, np.rint(sample)))
    outside = int(((sample > 8) | (sample < -8)).sum())
    finite = region if np.isfinite(region).all() else region[np.isfinite(region)]
    if not finite.size:
        return Extent(np.inf, -np.inf, -np.inf, True, 0, 0)
    smallest, largest = float(finite.min()), float(finite.max())
    planes = region.reshape(-1, *region.shape[blocks.axes.y :])
    sound = max(largest_sound(plane, largest) for plane in planes)
    return Extent(smallest, largest, sound, whole, outside, sample.size)


def find_layout(layout: Layout, seen: list[Extent]) -> Layout:
    """Return a layout with black, white and ceiling as they are found in a whole image."""
    smallest, largest = min(each.smallest for each in seen), max(each.sound for each in seen)
    if smallest > largest:
        raise ImageError("The image holds no finite value; all of its values are NaN or infinite.")
    share = sum(each.outside for each in seen) / max(sum(each.count for each in seen), 1)
    far = share > 0.01 or all(each.whole for each in seen)
    layout = replace(layout, range=nominal_range(layout.dtype, smallest, largest, far=far))
    if layout.dtype != np.uint16:
        return layout
    # A hot pixel counts: it is kept.
    _, ceiling = nominal_range(layout.dtype, 0, max(each.largest for each in seen), far=False)
    return replace(layout, ceiling=ceiling)


@dataclass(frozen=True)
class StoredPlane:
    """A plane of a stored array as an image (H, W, channels), of which only a part is ever read.

    Parameters
    ----------
    array
        The array.
    index
        Where the plane lies in it.
    shape, ndim
        Of the image.
    """

    array: Any
    index: tuple[int, ...]
    shape: tuple[int, int, int]
    ndim: int = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self.array.dtype)

    def take_places(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
        """Return the pixels in some rows and columns."""
        colours = (slice(None),) * (self.array.ndim - len(self.index) - 2)
        sample = _read(self.array, (*self.index, rows, columns, *colours))
        return sample.reshape(*sample.shape[:2], -1)


def list_planes(work: Work) -> list[list[Any]]:
    """Return the planes y, x of each channel of the array as images."""
    array, blocks, own = work.source.array(), work.blocks, work.blocks.axes.channels
    shape = *blocks.shape, blocks.layout.colours + blocks.layout.alpha
    planes: list[list[Any]] = [[] for _ in range(1 if own is None else array.shape[own])]
    for index in np.ndindex(*array.shape[: blocks.axes.y]):
        planes[0 if own is None else index[own]].append(StoredPlane(array, index, shape))
    return planes


def estimate_levels(planes: list[Any], blocks: BlockWork) -> tuple[float, ...]:
    """Return the noise level of each plane: one for all, unless those of some differ."""
    count = len(planes)

    def measure(most: int) -> tuple[float, ...]:
        some = (planes[number] for number in spaced(count, most))
        places = [sample_places(length) for length in blocks.shape]
        return tuple(blocks.measure(plane.take_places(*places)) for plane in some)

    common = common_level(measure(MOST_MEASURED)) if count > 1 else None
    return measure(count) if common is None else (common,) * count


def denoise_image(
    source: str,
    target: str,
    options: DenoiseOptions | None = None,
    *,
    overwrite: bool = False,
    cluster: Cluster | None = None,
    on_progress: OnProgress | None = None,
    notify: Notify = lambda sentence: None,
) -> Outcome:
    """Denoise a Zarr, an OME-Zarr or a TIFF file that may be larger than memory.

    A hidden folder beside the target holds the work until all is done. The same call with the
    same options continues an interrupted one.

    Parameters
    ----------
    source
        Path or URL.
    target
        Path or URL of the same kind.
    options
        How it is denoised, by a model that has a halo; the noise level is a number or ``"auto"``.
        Without `axes`, the file names the dimensions. None for the defaults.
    overwrite
        Whether an existing image is replaced.
    cluster
        The workers; None for this process alone.
    on_progress
        Gets the share that is done.
    notify
        Gets sentences on workers that cannot be used.

    Raises
    ------
    FileError, ImageError
        If the image cannot be read, or the target exists.
    ArgumentError, ModelError
        If an option or the model does not fit.
    ClusterError
        If the scheduler is lost.
    """
    options = options or DenoiseOptions()
    places = Place(source.rstrip("/")).whole(), Place(target.rstrip("/")).whole()
    _check_places(*places, overwrite=overwrite)
    with contextlib.ExitStack() as opened:
        if not places[1].is_url:  # which has no locks
            folder = Path(places[1].name).parent
            make_folder(folder)
            opened.enter_context(lock_folders([folder], notify=notify))
        _check_places(*places, overwrite=overwrite)  # another run may have been at work
        begin = time.perf_counter()
        run = _LargeRun(*places, options, cluster, notify)
        run.find_range()
        run.process(on_progress or (lambda share: None))
        run.publish(overwrite=overwrite)
        # A path would lose a slash of ``s3://``.
        job: Any = Job(source, target)  # type: ignore[arg-type]
        return run.report(job, time.perf_counter() - begin)


def is_result(name: str) -> bool:
    """Return whether an image carries the mark of a result.

    Raises
    ------
    FileError, ImageError
        If it cannot be read.
    """
    place = Place(name.rstrip("/")).whole()
    _check_address(place)
    return tiff_image.is_result(place) if place.is_tiff else zarr_store.is_result(place.name)


def _check_address(place: Place) -> None:
    if format_of_name(PurePath(place.name)) not in (None, "tiff"):
        remedy = "download the image, and denoise that file" if place.is_url else "give its path"
        raise FileError(
            f"'{place.name}' cannot be read or written by its address, only Zarr can; {remedy}."
        )
    place.files()  # an unknown kind of address fails here


def _check_places(source: Place, target: Place, *, overwrite: bool) -> None:
    for place in (source, target):
        _check_address(place)
    if source.is_tiff != target.is_tiff:
        raise ArgumentError(
            f"The result of '{source.name}' must be of the same kind; got '{target.name}'. "
            "Give a name with the same ending."
        )
    if source == target:
        raise ArgumentError(
            f"'{source.name}' is larger than memory and cannot be replaced while it is read; "
            "choose another `output`."
        )
    if target.exists() and not overwrite:
        raise FileError(
            f"'{target.name}' already exists; choose another name, or use `overwrite` to replace "
            "it."
        )
    if os.path.isdir(target.name) and not is_store(target.name):
        raise FileError(f"'{target.name}' is a folder with other things; give another name.")


class _LargeRun:
    """One image: its empty result is created, or found from an interrupted run, at once."""

    def __init__(
        self,
        source: Place,
        target: Place,
        options: DenoiseOptions,
        cluster: Cluster | None,
        notify: Notify,
    ) -> None:
        self._target, self._options = target, options
        self._cluster, self._notify = cluster, notify
        self._image: ZarrImage | TiffImage = (
            tiff_image.open_image(source) if source.is_tiff else zarr_image.open_image(source)
        )
        array = self._image.array()
        blocks = plan_blocks(array, options.axes or self._image.axes, options)
        if blocks.card.halo is None:
            raise ModelError(
                f"The model '{blocks.card.name}' cannot denoise in blocks because its result "
                "depends on the whole image at once; use a model whose card names a halo."
            )
        # Beside the target, because a rename works only within one file system.
        self._folder = target.neighbour(f".quietpixel-{target.last}.work")
        self.notes = [*compare_axes(options.axes, self._image.axes or "")]
        self._noise: tuple[Noise, ...] = ()
        channels = array.shape[-1] if blocks.axes.colours else 1
        self.megapixels = float(np.prod(array.shape) / channels / 1e6)
        result = self._open_result(source, blocks)
        self._work = Work(self._image, result, self._folder.below("done"), blocks)
        if cluster is not None:
            places = [place for place in (source, self._folder) if not place.is_url]
            cluster.check_folders([Path(place.name).parent for place in places])

    def _open_result(self, source: Place, blocks: BlockWork) -> ZarrImage:
        """Return the result to be filled; that of an earlier run if it was for the same work."""
        system, path = source.files()
        info = system.info(path)
        when = info.get("mtime") or info.get("LastModified") or info.get("ETag") or ""
        # Neither threads nor memory change the result.
        options = replace(self._options, model=blocks.model.name, threads=None, memory=1)
        # The number is that of the form of unfinished work.
        asked = repr((blocks.model.digest, options, blocks.axes, 5)).encode()
        digest = hashlib.sha256(asked).hexdigest()
        about = to_json({"source": f"{source.name} {info.get('size')} {when}", "settings": digest})
        place, note = self._folder.below("image"), self._folder.below("about.json")
        if note.read() != about:
            self._folder.remove()
            self._image.create_like(place)
            # Last, so that a result that was not made whole is made again.
            note.write(about)
        return self._image.moved(place)

    def _run(self, function: Callable[[Part, Work], Any], parts: Iterable[Part]) -> Iterator[Any]:
        """Yield the results of parts as they come; the first failure ends all."""
        if self._cluster is None:
            yield from (function(part, self._work) for part in parts)
            return
        pool: TaskPool[Part] = TaskPool(self._cluster, function, self._work, self._notify)
        for _, result in pool.run(iter(parts)):
            if isinstance(result, ClusterError):
                raise ClusterError(f"A part of the image was not done: {result}") from result
            if isinstance(result, BaseException):
                raise result
            yield result

    def report(self, job: Job, seconds: float) -> Outcome:
        """Return what was done, in so many seconds."""
        found, notes = Findings(self._noise, model=self._work.blocks.card.name), tuple(self.notes)
        return Outcome(
            job, notes=notes, findings=found, megapixels=self.megapixels, compute_seconds=seconds
        )

    def find_range(self) -> None:
        """Find scale, photon noise and noise level, which takes reading values unless given."""
        # Kept: a run that is continued must use the scale that the first parts were made with.
        place = self._folder.below("scale.json")
        kept = place.read()
        if kept is None:
            scales = self._find_scales()
            kept = to_json([{"scale": asdict(scale), "ceiling": most} for scale, most in scales])
            place.write(kept)
        planes, channels = list_planes(self._work), list[BlockWork]()
        levels: dict[tuple[int, ...], float | None] = {}
        for number, (values, some) in enumerate(zip(json.loads(kept), planes, strict=True), 1):
            scale = Scale.from_dict(values["scale"])
            blocks = self._work.blocks.on_scale(scale)
            blocks = replace(blocks, layout=replace(blocks.layout, ceiling=values["ceiling"]))
            channels.append(blocks)
            notes = scale.notes(blocks.layout.dtype, blocks.layout.result)
            notes += describe_law(scale, self._options)
            self.notes += [f"Channel {number}: {n}" if len(planes) > 1 else n for n in notes]
            # Measured on the scale that was just found.
            measured = estimate_levels(some, blocks) if blocks.measures else None
            self._noise += blocks.noise(measured)
            own = measured or (None,) * len(some)
            levels |= zip((plane.index for plane in some), own, strict=True)
        # In the order of the array, in which channels may alternate.
        ordered = tuple(levels[index] for index in sorted(levels))
        self._work = replace(self._work, channels=tuple(channels), levels=ordered)

    def _find_scales(self) -> list[tuple[Scale, float]]:
        """Return for each channel the scale, and the largest value of its type or bits in use."""
        options, blocks = self._options, self._work.blocks
        planes, denoiser = list_planes(self._work), open_model(blocks.model)
        layouts = [blocks.layout] * len(planes)
        if options.range is None and blocks.layout.dtype.name not in FIXED_SCALES:
            seen: list[list[Extent]] = [[] for _ in planes]
            for channel, extent in chain.from_iterable(self._run(measure_part, self._parts(0))):
                seen[channel].append(extent)
            layouts = [find_layout(blocks.layout, each) for each in seen]
        return [
            (denoiser.find_scale(some, options, layouts=[layout]), layout.ceiling)
            for some, layout in zip(planes, layouts, strict=True)
        ]

    def _parts(self, level: int) -> Iterator[Part]:
        array = self._work.target.array(level)
        unit = getattr(array, "shards", None) or array.chunks  # what two workers may not share
        return cut(array.shape, unit, self._work.blocks.axes, level=level)

    def process(self, on_progress: OnProgress) -> None:
        """Do all parts that are not done, level after level, since each is made of the last."""
        done = self._work.done.names()
        levels = [list(self._parts(level)) for level in range(len(self._image.levels))]
        total, count = sum(map(len, levels)), 0
        if done:
            self.notes.append(f"{len(done)} of {total} parts were done before.")
        on_progress(0.0)
        for parts in levels:
            remaining = [part for part in parts if part.name not in done]
            count += len(parts) - len(remaining)
            for _ in self._run(process_part, remaining):
                count += 1
                on_progress(count / total)

    def publish(self, *, overwrite: bool) -> None:
        """Put the whole result in its place and remove the hidden folder."""
        options = self._options
        self._image.publish(
            self._work.target,
            self._target,
            overwrite=overwrite,
            marked=bool(level_factors(options.strength, options.colour_strength)),
        )
        self._folder.remove()
