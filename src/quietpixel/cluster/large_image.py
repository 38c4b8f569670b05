"""Denoises one image larger than memory, part by part, and continues an interrupted run."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.cluster import tiff_image, zarr_image
from quietpixel.cluster.blocks import Part, cut
from quietpixel.cluster.part_tasks import (
    Work,
    estimate_levels,
    estimate_scale,
    find_nominal_range,
    measure_part,
    process_part,
)
from quietpixel.cluster.storage import Place, is_store, to_json
from quietpixel.cluster.task_pool import Notify, TaskPool
from quietpixel.cluster.worker_model import BlockWork, check_blocks, plan_blocks
from quietpixel.cluster.workers import Cluster
from quietpixel.errors import ArgumentError, ClusterError, FileError
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.inference.arrays import type_ceiling
from quietpixel.inference.job import OnProgress
from quietpixel.inference.options import DenoiseOptions


@dataclass(frozen=True)
class LargeSettings:
    """How a large image is read, denoised and written.

    Parameters
    ----------
    axes
        A letter for each dimension; None takes those that the file names.
    options
        How the image is denoised; the noise level is a number or ``"auto"``.
    overwrite
        Whether an existing image is replaced.
    """

    axes: str | None = None
    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    overwrite: bool = False


@dataclass(frozen=True)
class Done:
    """The result of denoising a large image.

    Parameters
    ----------
    megapixels
        Of all planes.
    seconds
        How long this run took.
    notes
        Sentences on what a user should know.
    """

    megapixels: float
    seconds: float
    notes: tuple[str, ...] = ()


def denoise_image(
    source: str,
    target: str,
    model: str | Path | None = None,
    settings: LargeSettings | None = None,
    *,
    cluster: Cluster | None = None,
    on_progress: OnProgress | None = None,
    notify: Notify = lambda sentence: None,
) -> Done:
    """Denoise a Zarr, an OME-Zarr or a TIFF file that may be larger than memory.

    A hidden folder beside the target holds the work until all is done. The same call with the
    same settings continues an interrupted one.

    Parameters
    ----------
    source
        Path or URL.
    target
        Path or URL of the same kind.
    model
        As for a `quietpixel.Denoiser`; it must have a halo. None takes that of the settings.
    settings
        How it is denoised; None for the defaults.
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
        If a setting or the model does not fit.
    ClusterError
        If the scheduler is lost.
    """
    settings = settings or LargeSettings()
    if model is not None:
        settings = replace(settings, options=replace(settings.options, model=model))
    places = Place(source.rstrip("/")).whole(), Place(target.rstrip("/")).whole()
    _check_places(*places, overwrite=settings.overwrite)
    begin = time.perf_counter()
    run = _LargeRun(*places, settings, _Workers(cluster, notify))
    run.find_range()
    run.process(on_progress or (lambda share: None))
    run.publish()
    return Done(run.megapixels, time.perf_counter() - begin, tuple(run.notes))


def _check_places(source: Place, target: Place, *, overwrite: bool) -> None:
    for place in (source, target):
        place.files()  # an unknown kind of address fails here
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
            f"'{target.name}' already exists and nothing is overwritten unless asked; "
            "choose another name or allow overwriting."
        )
    if os.path.isdir(target.name) and not is_store(target.name):
        raise FileError(f"'{target.name}' is a folder with other things; give another name.")


@dataclass(frozen=True)
class _Workers:
    """The workers of a cluster, or this process."""

    cluster: Cluster | None
    notify: Notify

    def run(
        self, function: Callable[[Part, Work], Any], work: Work, parts: Iterable[Part]
    ) -> Iterator[Any]:
        """Yield the results as they come; the first failure ends all."""
        if self.cluster is None:
            yield from (function(part, work) for part in parts)
            return
        pool: TaskPool[Part] = TaskPool(self.cluster, function, work, self.notify)
        for _, result in pool.run(iter(parts)):
            if isinstance(result, ClusterError):
                raise ClusterError(f"A part of the image was not done: {result}") from result
            if isinstance(result, BaseException):
                raise result
            yield result


class _LargeRun:
    """One image: its empty result is created, or found from an interrupted run, at once."""

    def __init__(
        self, source: Place, target: Place, settings: LargeSettings, workers: _Workers
    ) -> None:
        self._target, self._settings, self._workers = target, settings, workers
        self._kind: Any = tiff_image if source.is_tiff else zarr_image
        self._image = self._kind.open_image(source)
        array = self._image.array()
        blocks = plan_blocks(array, settings.axes or self._image.axes, settings.options)
        check_blocks(blocks.card)
        self._folder = target.neighbour(f".quietpixel-{target.last}.work")
        self.notes: list[str] = []
        channels = array.shape[-1] if blocks.axes.colours else 1
        self.megapixels = float(np.prod(array.shape) / channels / 1e6)
        result = self._open_result(_describe(source, settings, blocks))
        self._work = Work(self._image, result, self._folder.below("done"), blocks)
        if workers.cluster is not None:
            places = [place for place in (source, self._folder) if not place.is_url]
            workers.cluster.check_folders([Path(place.name).parent for place in places])

    def _open_result(self, about: dict[str, str]) -> Any:
        """Return the result to be filled; that of an earlier run if it was for the same work."""
        place, note = self._folder.below("image"), self._folder.below("about.json")
        if note.read() == to_json(about):
            return self._kind.reopen(self._image, place)
        self._folder.remove()
        result = self._kind.create_like(self._image, place)
        note.write(to_json(about))
        return result

    def find_range(self) -> None:
        """Find black, white and the noise level, which takes reading values unless given."""
        blocks = self._work.blocks
        layout, card = blocks.layout, blocks.card
        if self._settings.options.range is None and layout.dtype != np.uint8:
            place = self._folder.below("range.json")
            kept = place.read()
            if kept is None:
                seen = list(self._workers.run(measure_part, self._work, self._parts(0)))
                kept = to_json(find_nominal_range(layout, seen))
                place.write(kept)
            low, high = map(float, json.loads(kept))
            ceiling = high if layout.dtype.kind == "u" else layout.ceiling
            layout = replace(layout, range=(low, high), ceiling=ceiling)
            if card.scale_free:
                range = estimate_scale(self._work) or (low, high)
                layout = replace(layout, range=range, unit=high - low)
            self._work = replace(self._work, blocks=replace(blocks, layout=layout))
        low, high = layout.range
        if (low, high) != (0.0, type_ceiling(layout.dtype) if layout.dtype.kind == "u" else 1.0):
            self.notes.append(Scale(low, high, high - low).describe(layout.dtype))
        if blocks.automatic:  # the level is estimated on the scale that was just found
            self._work = replace(self._work, levels=estimate_levels(self._work))

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
            for _ in self._workers.run(process_part, self._work, remaining):
                count += 1
                on_progress(count / total)

    def publish(self) -> None:
        """Put the whole result in its place and remove the hidden folder."""
        self.notes += self._kind.finish(self._image, self._work.target)
        overwrite = self._settings.overwrite
        if overwrite and not self._target.is_tiff and self._target.exists():
            self._target.remove()
        self._kind.publish(self._image, self._work.target, self._target, overwrite=overwrite)
        self._folder.remove()


def _describe(source: Place, settings: LargeSettings, blocks: BlockWork) -> dict[str, str]:
    """Return what must be the same to continue a run."""
    system, path = source.files()
    info = system.info(path)
    when = info.get("mtime") or info.get("LastModified") or info.get("ETag") or ""
    # Neither threads nor memory change the result.
    options = replace(settings.options, model=blocks.model.name, threads=None, memory=1)
    asked = blocks.model.digest, replace(settings, overwrite=False, options=options), blocks.axes
    return {
        "source": f"{source.name} {info.get('size')} {when}",
        "settings": hashlib.sha256(repr(asked).encode()).hexdigest(),
    }
