"""Denoises one image larger than memory, part by part, and goes on where it was stopped."""

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
from quietpixel.cluster.arrays import layout_of
from quietpixel.cluster.axes import Axes, find_axes
from quietpixel.cluster.image_statistics import (
    estimate_levels,
    estimate_scale,
    given_level,
    judge_extents,
    look_at_part,
)
from quietpixel.cluster.part_tasks import Work, treat_part
from quietpixel.cluster.parts import Part, cut
from quietpixel.cluster.storage import Place, is_store, to_json
from quietpixel.cluster.task_pool import Notify, TaskPool
from quietpixel.cluster.worker_model import (
    TravellingModel,
    Treatment,
    card_of,
    check_blocks,
    pack_model,
)
from quietpixel.cluster.workers import Cluster
from quietpixel.errors import ArgumentError, ClusterError, FileError
from quietpixel.imaging.intensity_scale import Range, Scale
from quietpixel.inference.arrays import type_ceiling
from quietpixel.inference.job import OnProgress
from quietpixel.inference.level import check_model
from quietpixel.inference.options import DenoiseOptions


@dataclass(frozen=True)
class LargeSettings:
    """How a large image is read, treated and written.

    Parameters
    ----------
    axes
        A letter for each dimension; None takes those that the file names.
    options
        How the image is treated; the noise level is a number or ``"auto"``.
    overwrite
        Whether an image that is there is replaced.
    """

    axes: str | None = None
    options: DenoiseOptions = field(default_factory=DenoiseOptions)
    overwrite: bool = False


@dataclass(frozen=True)
class Done:
    """What became of a large image.

    Parameters
    ----------
    megapixels
        Of all planes.
    seconds
        How long this run took.
    notes
        Sentences on what a person should know.
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

    The work lies in a hidden folder beside the target until all is done. The same call with the
    same settings goes on where an interrupted one stopped.

    Parameters
    ----------
    source
        Path or URL.
    target
        Path or URL of the same kind.
    model
        As for a `quietpixel.Denoiser`; it must have a halo. None takes that of the settings.
    settings
        How it is treated; None for the defaults.
    cluster
        Who works; None for this process alone.
    on_progress
        Gets the share that is done.
    notify
        Gets sentences on workers that cannot be used.

    Raises
    ------
    FileError, ImageError
        If the image cannot be read, or the target is there.
    ArgumentError, ModelError
        If a setting or the model does not fit.
    ClusterError
        If the scheduler is lost.
    """
    settings = settings or LargeSettings()
    if model is not None:
        settings = replace(settings, options=replace(settings.options, model=model))
    run = _LargeRun(Place(source.rstrip("/")).whole(), Place(target.rstrip("/")).whole(), settings)
    begin = time.perf_counter()
    run.prepare(pack_model(settings.options))
    if cluster is not None:
        cluster.check_folders(run.folders())
    hands = _Hands(cluster, notify)
    run.look(hands)
    run.work(hands, on_progress or (lambda share: None))
    run.publish()
    return Done(run.megapixels, time.perf_counter() - begin, tuple(run.notes))


@dataclass(frozen=True)
class _Hands:
    """Who does the work: a cluster, or this process."""

    cluster: Cluster | None
    notify: Notify

    def do(
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
    def __init__(self, source: Place, target: Place, settings: LargeSettings) -> None:
        self._source, self._target, self._settings = source, target, settings
        self._kind: Any = tiff_image if source.is_tiff else zarr_image
        for place in (source, target):
            place.files()  # an address that nobody knows is told now
        if source.is_tiff != target.is_tiff:
            raise ArgumentError(
                f"The result of '{source.name}' must be of the same kind; got '{target.name}'. "
                "Give a name that ends alike."
            )
        if source == target:
            raise ArgumentError(
                f"'{source.name}' is larger than memory and cannot be replaced while it is read; "
                "choose another --output."
            )
        if target.exists() and not settings.overwrite:
            raise FileError(
                f"'{target.name}' already exists and nothing is overwritten unless asked; "
                "choose another name or allow overwriting."
            )
        if os.path.isdir(target.name) and not is_store(target.name):
            raise FileError(f"'{target.name}' is a folder with other things; give another name.")
        self._folder = target.neighbour(f".quietpixel-{target.last}.work")
        self.notes: list[str] = []
        self.megapixels = 0.0

    def folders(self) -> list[Path]:
        """Return the folders that workers must see."""
        places = (self._source, self._folder)
        return [Path(each.name).parent for each in places if not each.is_url]

    def prepare(self, model: TravellingModel) -> None:
        """Check that all fits, and make the empty result unless it is there from before."""
        settings, options = self._settings, self._settings.options
        self._image = self._kind.open_image(self._source)
        array = self._image.array()
        axes = find_axes(array.shape, settings.axes or self._image.axes)
        layout = layout_of(array, axes, options.range)
        card = self._card = card_of(model, layout.colours)
        check_blocks(card)
        shape = (array.shape[axes.y], array.shape[axes.x])
        check_model(options, card, colours=layout.colours)
        if isinstance(options.sigma, np.ndarray) and options.sigma.ndim:
            raise ArgumentError("`sigma` must be a number or 'auto' here; got an array.")
        self.megapixels = np.prod(array.shape) / (array.shape[-1] if axes.colours else 1) / 1e6
        self._about = _describe(self._source, model, settings, axes)
        treatment = Treatment(layout, shape, options)
        self._work = Work(
            self._image, self._empty(), axes, self._folder.below("done"), model, treatment,
            card.halo or 0, card.divisor,
        )  # fmt: skip

    def _empty(self) -> Any:
        """Return the result to be filled, from before if it was for the same work."""
        place = self._folder.below("image")
        if self._folder.below("about.json").read() == to_json(self._about):
            return self._kind.reopen(self._image, place)
        self._folder.remove()
        made = self._kind.create_like(self._image, place)
        self._folder.below("about.json").write(to_json(self._about))
        return made

    def look(self, hands: _Hands) -> None:
        """Find which values are black and white, where that takes a look at all of them."""
        layout, card = self._work.treatment.layout, self._card
        if self._settings.options.range is None and layout.dtype != np.uint8:
            found = self._found_range(hands)
            ceiling = found[1] if layout.dtype.kind == "u" else layout.ceiling
            layout = replace(layout, range=found, ceiling=ceiling)
            if card.takes_level:
                range = estimate_scale(self._work) or found
                layout = replace(layout, range=range, unit=found[1] - found[0])
            self._work = replace(self._work, treatment=replace(self._work.treatment, layout=layout))
        low, high = layout.range
        if (low, high) != (0.0, type_ceiling(layout.dtype) if layout.dtype.kind == "u" else 1.0):
            self.notes.append(Scale(low, high, high - low).describe(layout.dtype))
        levels = given_level(self._settings.options.sigma, card)
        if levels is not None and not card.blind:
            levels = tuple(level * layout.level_factor for level in levels)
        elif card.sigma_input and levels is None:
            levels = estimate_levels(self._work)
        self._work = replace(self._work, levels=levels)

    def _found_range(self, hands: _Hands) -> Range:
        place = self._folder.below("range.json")
        kept = place.read()
        if kept is None:
            seen = list(hands.do(look_at_part, self._work, self._parts(0)))
            kept = to_json(judge_extents(self._work.treatment.layout, seen))
            place.write(kept)
        low, high = json.loads(kept)
        return float(low), float(high)

    def _parts(self, level: int) -> Iterator[Part]:
        array = self._work.target.array(level)
        unit = getattr(array, "shards", None) or array.chunks
        return cut(array.shape, unit, self._work.axes, level=level)

    def work(self, hands: _Hands, on_progress: OnProgress) -> None:
        """Do all parts that are not done, level after level."""
        done = self._work.done.names()
        levels = range(len(self._image.levels))
        total = sum(sum(1 for _ in self._parts(level)) for level in levels)
        count = 0
        if done:
            self.notes.append(f"{len(done)} of {total} parts were done before.")
        on_progress(0.0)
        for level in levels:
            parts = list(self._parts(level))
            left = [part for part in parts if part.name not in done]
            count += len(parts) - len(left)
            for _ in hands.do(treat_part, self._work, left):
                count += 1
                on_progress(count / total)

    def publish(self) -> None:
        """Put the whole result in its place and take the work away."""
        self.notes += self._kind.finish(self._image, self._work.target)
        if self._settings.overwrite and not self._target.is_tiff and self._target.exists():
            self._target.remove()
        overwrite = self._settings.overwrite
        self._kind.publish(self._image, self._work.target, self._target, overwrite=overwrite)
        self._folder.remove()


def _describe(
    source: Place, model: TravellingModel, settings: LargeSettings, axes: Axes
) -> dict[str, str]:
    """Return what must be the same for work to go on."""
    system, path = source.files()
    info = system.info(path)
    when = info.get("mtime") or info.get("LastModified") or info.get("ETag") or ""
    options = replace(settings.options, model=model.name, threads=None, memory=1)
    asked = (model.digest, replace(settings, overwrite=False, options=options), axes)
    return {
        "source": f"{source.name} {info.get('size')} {when}",
        "settings": hashlib.sha256(repr(asked).encode()).hexdigest(),
    }
