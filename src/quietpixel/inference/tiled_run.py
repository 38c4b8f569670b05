"""One pass of a model over images of one size: what a tile goes through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ImageError, ModelError
from quietpixel.imaging.alpha import fill_transparent
from quietpixel.imaging.strength import give_back_texture
from quietpixel.imaging.tiling import Grid, Tile, plan_grid, round_up
from quietpixel.inference.arrays import Layout
from quietpixel.inference.engine import Engine

Array = NDArray[Any]
FloatArray = NDArray[np.float32]
OnProgress = Callable[[float], None]
"""Gets the share that is done, in [0, 1]; what it raises ends the work."""

LOWEST, HIGHEST = -4.0, 5.0
"""Values a model is shown; what lies beyond is set apart and added again, so never lost."""


@dataclass(frozen=True)
class Run:
    """What all tiles of one or more images of one size have in common.

    Arrays here are (H, W, N, channels), so that tiles cut the first two axes.

    Parameters
    ----------
    engine
        The model.
    layout
        How the arrays hold their images.
    sigma
        Noise level, (H, W, N), or None for a model that does not take it.
    strength
        Above 0 to 1.
    views
        1, or 8 for the mean over the flips and turns of each tile.
    share
        Which part of what the model finds is taken away, (H, W, N) in [0, 1], or None for all.
    """

    engine: Engine
    layout: Layout
    sigma: FloatArray | None
    strength: float
    views: int = 1
    share: FloatArray | None = None

    def over(
        self,
        images: Array,
        grid: Grid,
        on_progress: OnProgress | None = None,
        *,
        out: Array | None = None,
    ) -> Array:
        """Return the images denoised, (H, W, N, channels) as given.

        `on_progress` is called before the first tile and after each. The result is put into `out`,
        which may be `images` itself: what is done waits until no later tile looks at its place.
        """
        tell = on_progress or (lambda share: None)
        colours, visible = self._split(images)
        if out is None:
            out = images.copy()
        elif out is not images:
            out[...] = images
        target = out[..., : self.layout.colours]
        waiting: list[tuple[Tile, Array]] = []
        tell(0.0)
        tiles = list(grid.tiles())
        for done, tile in enumerate(tiles, start=1):
            result = self._denoise(tile, colours)
            waiting.append((tile, result[tile.rows.inner, tile.columns.inner].copy()))
            looked_at = tiles[done].rows.start if done < len(tiles) else images.shape[0]
            while waiting and waiting[0][0].rows.keep_stop <= looked_at:
                _put(target, *waiting.pop(0), visible)
            tell(done / len(tiles))
        return out

    def _split(self, images: Array) -> tuple[Array, NDArray[np.bool_] | None]:
        """Return the colours, sound under transparent pixels, and which are visible."""
        if not self.layout.alpha:
            return images, None
        visible = images[:, :, 0, -1] > 0
        return fill_transparent(images[:, :, 0, :-1], visible)[:, :, np.newaxis], visible

    def _denoise(self, tile: Tile, colours: Array) -> Array:
        noisy = self.layout.to_model(tile.read(colours))
        sigma = None if self.sigma is None else tile.read(self.sigma)
        if self.layout.bounded:
            denoised = self._answer(noisy, sigma)
        else:
            shown = np.clip(noisy, LOWEST, HIGHEST)
            denoised = self._answer(shown, sigma) + (noisy - shown)
        if self.share is not None:
            denoised = noisy + tile.read(self.share)[..., np.newaxis] * (denoised - noisy)
        return self.layout.from_model(give_back_texture(noisy, denoised, self.strength))

    def _answer(self, shown: FloatArray, sigma: FloatArray | None) -> FloatArray:
        """Return what the model makes of a tile, or the mean over its flips and turns.

        Tiles begin and end on multiples of the divisor, so that flipped tiles see what the whole
        image, flipped, would show them.
        """
        if self.views == 1:
            return run_model(self.engine, shown, sigma)
        views = _views(self.engine.card)
        total = np.zeros_like(shown)
        for flip, turns in views:
            level = None if sigma is None else _seen(sigma, flip, turns)
            answer = run_model(self.engine, _seen(shown, flip, turns), level)
            total += _unseen(answer, flip, turns)
        return total / np.float32(len(views))


def _put(target: Array, tile: Tile, kept: Array, visible: NDArray[np.bool_] | None) -> None:
    """Put what is kept of a tile into its place; what is not visible stays."""
    place = tile.rows.outer, tile.columns.outer
    shown = True if visible is None else visible[place][..., np.newaxis, np.newaxis]
    np.copyto(target[place], kept, where=shown)


def _views(card: Card) -> list[tuple[bool, int]]:
    """Return the flips and quarter turns that a model can be shown."""
    square = card.size is None or card.size[0] == card.size[1]
    return [(flip, turns) for flip in (False, True) for turns in range(0, 4, 1 if square else 2)]


def _seen(images: FloatArray, flip: bool, turns: int) -> FloatArray:
    return np.rot90(images[:, ::-1] if flip else images, turns)


def _unseen(images: FloatArray, flip: bool, turns: int) -> FloatArray:
    back = np.rot90(images, -turns)
    return back[:, ::-1] if flip else back


def run_model(engine: Engine, images: FloatArray, sigma: FloatArray | None) -> FloatArray:
    """Run a model on (H, W, N, C) images, also of another number of channels than its own.

    A gray model denoises red, green and blue apart; an RGB model sees gray three times, and the
    answers are averaged.

    Parameters
    ----------
    engine
        The model.
    images
        float32 (H, W, N, C) in [0, 1].
    sigma
        float32 (H, W, N), or None.
    """
    height, width, count, channels = images.shape
    own = engine.card.channels
    if own == 1:
        stack = images.reshape(height, width, count * channels, 1)
        sigma = None if sigma is None else np.repeat(sigma, channels, axis=2)
        result = _run_stack(engine, stack, sigma).reshape(images.shape)
    elif channels == 1:
        result = _run_stack(engine, np.repeat(images, own, axis=3), sigma)
        result = result.mean(axis=3, keepdims=True)
    else:
        result = _run_stack(engine, images, sigma)
    return result


def _run_stack(engine: Engine, images: FloatArray, sigma: FloatArray | None) -> FloatArray:
    level = None if sigma is None else _to_batch(sigma[..., np.newaxis])
    return np.moveaxis(engine(_to_batch(images), level), 0, 2)


def _to_batch(images: FloatArray) -> FloatArray:
    return np.ascontiguousarray(np.moveaxis(images, 2, 0), dtype=np.float32)


def choose_grid(card: Card, shape: tuple[int, int], pixels: int) -> Grid:
    """Return how images of this (height, width) are cut for a model.

    Parameters
    ----------
    card
        The model's card.
    shape
        (height, width) of the images.
    pixels
        The most that one tile should read.

    Raises
    ------
    ImageError
        If the model takes only one size, and this is another.
    ModelError
        If the model looks at the whole image, and the image is too large for that.
    """
    if card.size is not None and tuple(shape) != tuple(card.size):
        raise _wrong_size(card, shape)
    if card.halo is not None:
        return plan_grid(shape, pixels=pixels, halo=card.halo, divisor=card.divisor)
    whole = round_up(shape[0], card.divisor), round_up(shape[1], card.divisor)
    if card.size is None and whole[0] * whole[1] > pixels:
        raise ModelError(
            f"The model '{card.name}' cannot take an image of {shape[0]}x{shape[1]} in the memory "
            "allowed, and not in tiles because it looks at the whole image at once; raise "
            "`memory`, or use a model whose card names a halo."
        )
    return Grid(shape, whole, halo=0, divisor=card.divisor)


def _wrong_size(card: Card, shape: tuple[int, int]) -> ImageError:
    height, width = card.size or (0, 0)
    return ImageError(
        f"`image` must be {height}x{width} because the model '{card.name}' looks at the whole "
        f"image and was made for that size; got {shape[0]}x{shape[1]}. Resize or pad it to "
        f"{height}x{width}, or use a model of any size."
    )
