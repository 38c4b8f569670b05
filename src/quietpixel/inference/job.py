"""The work on one image after all decisions are made: tile by tile through the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ImageError, ModelError
from quietpixel.imaging.alpha import fill_transparent
from quietpixel.imaging.strength import blend
from quietpixel.imaging.tiling import Grid, Tile, plan_grid, round_up
from quietpixel.inference.arrays import Layout, Range
from quietpixel.inference.engine import Engine, run_model
from quietpixel.inference.level import Noise, NoiseLevel

Array = NDArray[Any]
FloatArray = NDArray[np.float32]
OnProgress = Callable[[float], None]
"""Gets the share that is done, in [0, 1]; what it raises ends the work."""
Repair = Callable[[FloatArray, Tile], FloatArray]
"""Repairs what a tile of the whole image reads, (h, w, N, C), before the model sees it; the tiles
must have its halo."""

LOWEST, HIGHEST = -4.0, 5.0
"""Values a model is shown; what lies beyond is kept apart and added again, so never lost."""
VALUE_BYTES = {"f32": 4, "bf16": 2}
MARGIN = 2
"""What an engine and the arrays around it take for each byte that a card's `values` name: 1.1 to
2.2 were measured with OpenVINO, 1.3 for the bundled photo models."""
UNKNOWN_VALUES = 128
"""What is assumed of a model whose card does not say: a U-Net of 32 filters at full resolution."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DenoiseJob:
    """One image, or a stack of one size, with everything that was decided about it.

    Parameters
    ----------
    images
        (H, W, N, channels), so that tiles cut the first two axes.
    shape
        Shape of the result.
    layout
        How the arrays hold their images; one colour for gray that is stored three times.
    engine
        The model.
    tiles
        How the images are cut.
    level
        Noise level of the whole image, or None for a model that does not take it.
    factors
        By what the level is multiplied: once for all, or once for luminance and once for colour;
        empty where the input is the result.
    strength, colour_strength
        Shares of the blend; None takes `strength` for colour too.
    views
        1, or 8 for the mean over the flips and quarter turns of each tile.
    repair
        A step before the model, or None.
    origin
        (row, column) of `images` in the whole image, for a part of one.
    out
        Where the result is put, of the shape of `images`; it may be `images` itself. None makes a
        new array.
    notes
        Sentences on what a user should know.
    """

    images: Array
    shape: tuple[int, ...]
    layout: Layout
    engine: Engine
    tiles: tuple[Tile, ...]
    level: NoiseLevel | None = None
    factors: tuple[float, ...] = (1.0,)
    strength: float = 1.0
    colour_strength: float | None = None
    views: int = 1
    repair: Repair | None = None
    origin: tuple[int, int] = (0, 0)
    out: Array | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """A denoised image and what was found on the way.

    Parameters
    ----------
    image
        Of the type and shape of the input.
    noise
        Level and kinds of the noise.
    scale
        The values that stand for black and white.
    notes
        Sentences on what a user should know.
    """

    image: Array
    noise: Noise
    scale: Range
    notes: tuple[str, ...] = ()


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
    out = images.copy() if job.out is None else job.out
    if out is not images and job.out is not None:
        out[...] = images
    noise = Noise() if job.level is None else job.level.noise
    result = Result(out.reshape(job.shape), noise, job.layout.range, job.notes)
    if not job.factors:
        return result
    notify = on_progress or (lambda share: None)
    colours, visible = images, None
    if job.layout.alpha:
        visible = images[:, :, 0, -1] > 0
        colours = images[:, :, 0, : job.layout.colours]
        colours = fill_transparent(colours, visible)[:, :, np.newaxis]
    target = out[..., :-1] if job.layout.alpha else out
    waiting: list[tuple[Tile, Array]] = []
    notify(0.0)
    for done, tile in enumerate(job.tiles, start=1):
        denoised = _denoise_tile(job, tile, colours)
        waiting.append((tile, denoised[tile.rows.inner, tile.columns.inner].copy()))
        # In place, a result waits until no later tile reads the pixels that it replaces.
        unread = job.tiles[done].rows.start if done < len(job.tiles) else images.shape[0]
        while waiting and waiting[0][0].rows.keep_stop <= unread:
            ready, kept = waiting.pop(0)
            place = ready.rows.outer, ready.columns.outer
            shown = True if visible is None else visible[place][..., np.newaxis, np.newaxis]
            np.copyto(target[place], kept, where=shown)
        notify(done / len(job.tiles))
    return result


def _denoise_tile(job: DenoiseJob, tile: Tile, colours: Array) -> Array:
    noisy = job.layout.to_model(tile.read(colours))
    place = tile.shift(*job.origin)  # in the whole image, for whatever depends on position
    model_input = noisy if job.repair is None else job.repair(noisy, place)
    shown = model_input if job.layout.bounded else np.clip(model_input, LOWEST, HIGHEST)
    count = noisy.shape[2]
    level = None if job.level is None else job.level.read(place, count)
    share = None if job.level is None else job.level.read_share(place, count)
    results = []
    for factor in job.factors:
        scaled = level if level is None or factor == 1 else level * np.float32(factor)
        denoised = _denoise_views(job, shown, scaled)
        if shown is not model_input:
            denoised += model_input - shown
        if share is not None:
            denoised = noisy + share[..., np.newaxis] * (denoised - noisy)
        results.append(denoised)
    coloured = results[1] if len(results) > 1 else None
    mixed = blend(noisy, results[0], job.strength, job.colour_strength, coloured)
    return job.layout.from_model(mixed)


def _denoise_views(job: DenoiseJob, shown: FloatArray, level: FloatArray | None) -> FloatArray:
    """Return what the model makes of a tile, or the mean over its flips and turns.

    Tiles begin and end on multiples of the divisor, so that flipped tiles see what the whole
    image, flipped, would show them.
    """
    if job.views == 1:
        return run_model(job.engine, shown, level)
    views = flips_and_turns(job.engine.card)
    total = np.zeros_like(shown)
    for flip, turns in views:
        seen, seen_level = (
            None if each is None else np.rot90(each[:, ::-1] if flip else each, turns)
            for each in (shown, level)
        )
        assert seen is not None
        back = np.rot90(run_model(job.engine, seen, seen_level), -turns)
        total += back[:, ::-1] if flip else back
    return total / np.float32(len(views))


def flips_and_turns(card: Card) -> list[tuple[bool, int]]:
    """Return the flips and quarter turns that a model can be shown."""
    square = card.size is None or card.size[0] == card.size[1]
    return [(flip, turns) for flip in (False, True) for turns in range(0, 4, 1 if square else 2)]


def bytes_per_pixel(card: Card, precision: str) -> int:
    """Return what one pixel of a tile takes while a model computes in ``"f32"`` or ``"bf16"``.

    Examples
    --------
    >>> bytes_per_pixel(Card(name="m", architecture="unet", channels=3, values=68), "bf16")
    272
    """
    return MARGIN * (card.values or UNKNOWN_VALUES) * VALUE_BYTES[precision]


def choose_grid(card: Card, shape: tuple[int, int], pixels: int, *, repair_halo: int = 0) -> Grid:
    """Return how images of this (height, width) are cut for a model.

    Parameters
    ----------
    card
        The model's card.
    shape
        (height, width) of the images.
    pixels
        The most that one tile should read.
    repair_halo
        Pixels of surroundings that a step before the model needs.

    Raises
    ------
    ImageError
        If the model takes only one size, and this is another.
    ModelError
        If the model looks at the whole image, and the image is too large for that.
    """
    if card.size is not None and tuple(shape) != tuple(card.size):
        height, width = card.size
        raise ImageError(
            f"`image` must be {height}x{width} because the model '{card.name}' looks at the whole "
            f"image and was made for that size; got {shape[0]}x{shape[1]}. Resize or pad it to "
            f"{height}x{width}, or use a model of any size."
        )
    if card.halo is not None:
        halo = card.halo + repair_halo
        return plan_grid(shape, pixels=pixels, halo=halo, divisor=card.divisor)
    whole = round_up(shape[0], card.divisor), round_up(shape[1], card.divisor)
    if card.size is None and whole[0] * whole[1] > pixels:
        raise ModelError(
            f"The model '{card.name}' cannot take an image of {shape[0]}x{shape[1]} in the memory "
            "allowed, and not in tiles because it looks at the whole image at once; raise "
            "`memory`, or use a model whose card names a halo."
        )
    return Grid(shape, whole, halo=0, divisor=card.divisor)
