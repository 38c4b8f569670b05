"""The work on one image after all decisions are made: tile by tile through the model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from quietpixel.array_types import Array, BoolArray, FloatArray
from quietpixel.imaging.intensity_scale import Range
from quietpixel.imaging.strength import blend
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.arrays import Layout
from quietpixel.inference.coarse_noise import (
    CoarseNoise,
    Copies,
    find_coarse_noise,
    plan_copies,
    shrink,
)
from quietpixel.inference.engine import Engine, run_model, run_views
from quietpixel.inference.level import Noise, NoiseLevel, describe_rest
from quietpixel.inference.options import QUALITIES, DenoiseOptions
from quietpixel.inference.repair import HIGHEST, LOWEST, Repair

OnProgress = Callable[[float], None]
"""Gets the share that is done, in [0, 1]; what it raises ends the work."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DenoiseJob:
    """One image, or a stack of one size, with everything that was decided about it.

    Parameters
    ----------
    images
        (H, W, N, channels), so that tiles cut the first two axes.
    seen
        What the model is shown: `images` itself, or their colours with hidden values filled.
    shape
        Shape of the result.
    layout
        How the arrays hold their images; one colour for gray that is stored three times.
    engine
        The model.
    options
        How the images are treated.
    factors
        By what the level is multiplied: once for all, or once for luminance and once for colour;
        empty where the result is the input.
    tiles
        How the images are cut.
    level
        Noise level of the whole image, or None for a model that does not take it.
    repair
        A step before the model, or None.
    origin
        (row, column) of `images` in the whole image, for a part of one.
    out
        Where the result is put, of the shape of `images`; it may be `images` itself. None makes a
        new array.
    notes
        Sentences on what a user should know.
    hidden
        Values that come back unchanged, (H, W, N, colours) or (H, W, N, 1); None for none.
    mask
        That of a masked array, which the result gets too.
    finish
        Makes the result for the user of that of the job, where photon noise was stabilised.
    """

    images: Array
    seen: Array
    shape: tuple[int, ...]
    layout: Layout
    engine: Engine
    options: DenoiseOptions
    factors: tuple[float, ...]
    tiles: tuple[Tile, ...]
    level: NoiseLevel | None = None
    repair: Repair | None = None
    origin: tuple[int, int] = (0, 0)
    out: Array | None = None
    notes: tuple[str, ...] = ()
    hidden: BoolArray | None = None
    mask: BoolArray | None = None
    finish: "Callable[[Result], Result] | None" = None


@dataclass(frozen=True, eq=False)
class Result:
    """A denoised image and what was found on the way.

    Parameters
    ----------
    image
        Of the shape of the input, and of its type unless the options name another.
    noise
        Level and kinds of the noise.
    scale
        The values that stand for black and white.
    notes
        Sentences on what a user should know.
    model
        Name of the model, as its card has it.
    """

    image: Array
    noise: Noise
    scale: Range
    notes: tuple[str, ...] = ()
    model: str = ""


def run(job: DenoiseJob, on_progress: OnProgress | None = None) -> Result:
    """Compute a job.

    Parameters
    ----------
    job
        What `Denoiser.prepare` returned.
    on_progress
        Called with the share done before the first tile and after each; what it raises ends the
        work.
    """
    images = job.images
    out = images.astype(job.layout.result) if job.out is None else job.out
    if out is not images and job.out is not None:
        out[...] = images
    noise = Noise() if job.level is None else job.level.noise
    image = out.reshape(job.shape)
    if job.mask is not None:
        image = np.ma.MaskedArray(image, job.mask.reshape(job.shape))
    result = Result(image, noise, job.layout.range, job.notes, job.engine.card.name)
    finish = job.finish or (lambda result: result)
    if not job.factors:
        return finish(result)
    notify = on_progress or (lambda share: None)
    # Transparency is drawn and not measured, so it has no noise.
    target = out[..., :-1] if job.layout.alpha else out
    waiting: list[tuple[Tile, Array]] = []
    copies = _plan_copies(job)
    finished, total = 0, sum(map(len, (job.tiles, *copies.values())))

    def finish_tile() -> None:
        nonlocal finished
        finished += 1
        notify(finished / total)

    notify(0.0)
    coarse = _find_coarse_noise(job, copies, finish_tile) if copies else None
    for done, tile in enumerate(job.tiles, start=1):
        denoised = _denoise_tile(job, tile, coarse)
        waiting.append((tile, denoised[tile.rows.inner, tile.columns.inner].copy()))
        # In place, a result waits until no later tile reads the pixels that it replaces.
        unread = job.tiles[done].rows.start if done < len(job.tiles) else images.shape[0]
        while waiting and waiting[0][0].rows.keep_stop <= unread:
            ready, kept = waiting.pop(0)
            place = ready.rows.outer, ready.columns.outer
            changed = True if job.hidden is None else ~job.hidden[place]
            np.copyto(target[place], kept, where=changed)
        finish_tile()
    if job.options.strength >= 1 and job.hidden is None:
        rest = describe_rest(noise, job.layout, target[:, :, target.shape[2] // 2])
        result = replace(result, notes=(*job.notes, *rest))
    return finish(result)


def _plan_copies(job: DenoiseJob) -> dict[int, tuple[Tile, ...]]:
    """Return how the copies in which coarse noise is looked for are cut; none if there is none."""
    if job.level is None or job.level.camera is None:
        return {}
    sides = [(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in job.tiles]
    most = max(height * width for height, width in sides)
    return plan_copies(job.engine.card, job.images.shape, most)


def _find_coarse_noise(
    job: DenoiseJob, tiles: dict[int, tuple[Tile, ...]], on_tile: Callable[[], None]
) -> CoarseNoise:
    assert job.level is not None
    assert job.level.camera is not None
    factors = job.factors[0], job.factors[-1]  # of luminance and of colour
    copies = Copies(_make_copy(job), job.level.values, tiles)
    return find_coarse_noise(copies, job.level.camera, factors, partial(_run, job), on_tile)


def _make_copy(job: DenoiseJob) -> FloatArray:
    """Return what the model is shown of the images, at half their size."""
    height, width, count, _ = job.images.shape
    copy = np.empty((-(-height // 2), -(-width // 2), count, job.layout.colours), np.float32)
    for tile in job.tiles:
        shown = _show(job, tile, job.layout.to_model(tile.read(job.seen)))
        rows, columns = (
            slice(span.keep_start // 2, (span.keep_stop + 1) // 2)
            for span in (tile.rows, tile.columns)
        )
        copy[rows, columns] = shrink(shown[tile.rows.inner, tile.columns.inner])
    return copy


def _show(
    job: DenoiseJob, tile: Tile, noisy: FloatArray, coarse: CoarseNoise | None = None
) -> FloatArray:
    """Return what the model is shown of a tile, `noisy`."""
    shown = noisy if job.repair is None else job.repair(noisy, tile.shift(*job.origin))
    if coarse is not None:
        shown = coarse.correct_colour(shown, *tile.places(job.images.shape))
    # What lies beyond is hidden; only such a step before the model could push a value there.
    return shown if shown is noisy else np.clip(shown, LOWEST, HIGHEST)


def _denoise_tile(job: DenoiseJob, tile: Tile, coarse: CoarseNoise | None) -> Array:
    part = tile.read(job.seen)
    noisy = job.layout.to_model(part)
    shown = _show(job, tile, noisy, coarse)
    place = tile.shift(*job.origin)  # in the whole image, for whatever depends on position
    level, share = None, None
    if job.level is not None:
        level = _read_level(job.level.values, place, noisy.shape[2])
        if job.level.share is not None:
            share = _read_level(job.level.share, place, noisy.shape[2])
    results = []
    for factor in job.factors:
        scaled = level if level is None or factor == 1 else level * np.float32(factor)
        denoised = _run(job, shown, scaled)
        if coarse is not None:
            denoised = coarse.correct_luminance(denoised, tile)
        if share is not None:
            denoised = noisy + share[..., np.newaxis] * (denoised - noisy)
        results.append(denoised)
    mixed, (strength, colour) = results[0], (job.options.strength, job.options.colour_strength)
    if strength < 1 or colour is not None:
        mixed = blend(noisy, mixed, strength, colour, results[-1])
    return job.layout.correct(part, noisy, mixed)


def _run(job: DenoiseJob, shown: FloatArray, level: FloatArray | None) -> FloatArray:
    """Return what the model makes of images in the quality that is asked for."""
    run_engine = run_model if QUALITIES[job.options.quality] == 1 else run_views
    return run_engine(job.engine, shown, level)


def _read_level(values: FloatArray, tile: Tile, count: int) -> FloatArray:
    """Return the part of a level, or of a share, that `count` images have in a tile, (h, w, N)."""
    # One level holds everywhere; only a map has places.
    part = values if values.shape[:2] == (1, 1) else tile.read(values)
    sides = tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start
    # A view, so that a constant level takes no memory.
    return np.broadcast_to(part, (*sides, count))
