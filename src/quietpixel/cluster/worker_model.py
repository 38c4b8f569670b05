"""The model as it travels to workers, and as each worker keeps it open for files and blocks."""

import hashlib
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.cluster.blocks import BlockGrid, Field
from quietpixel.errors import ArgumentError, ModelError, unknown_name
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.arrays import Layout, check_array
from quietpixel.inference.denoiser import QUALITIES, Denoiser
from quietpixel.inference.engine import ENGINES, PRECISIONS, Engine
from quietpixel.inference.memory_limits import parse_memory
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import BUNDLED, default_model, find_model
from quietpixel.inference.tiled_run import Run, choose_grid

_KEPT_OPEN = 2
"""Denoisers that one worker keeps; long-lived workers serve many runs."""


@dataclass(frozen=True)
class TravellingModel:
    """A model and its options, whole, so that workers need none of the user's files.

    Parameters
    ----------
    name
        What a worker opens by name: a bundled model, or None for the choice by channels.
    options
        What else a `Denoiser` takes, as sorted pairs.
    digest
        Of the content, so that the same model is known again.
    content
        The ONNX file, for a model that is not bundled.
    """

    name: str | None
    options: tuple[tuple[str, Any], ...] = ()
    digest: str = ""
    content: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True)
class Treatment:
    """What is the same for all blocks of an image.

    Parameters
    ----------
    layout
        How the image holds its values.
    shape
        (height, width) of the image.
    strength
        As for calling a `Denoiser`.
    """

    layout: Layout
    shape: tuple[int, int]
    strength: float = 1.0


class BlockDenoiser(Denoiser):
    """A denoiser that also takes a part of an image, and knows where in it the part lies."""

    def denoise_block(
        self,
        region: NDArray[Any],
        block: Tile,
        treatment: Treatment,
        sigma: float | None = None,
    ) -> NDArray[Any]:
        """Return what a block keeps without its noise, as it comes out of the whole image.

        Parameters
        ----------
        region
            (H, W, channels), all that the block reads.
        block
            Where that lies in the image, and what of it is kept.
        treatment
            What is the same for all blocks.
        sigma
            The noise level on the [0, 1] scale, for models that take one.
        """
        check_array(region)
        keep = block.rows.inner, block.columns.inner
        if treatment.strength == 0:
            return region[keep].copy()
        engine = self._engine(treatment.layout.colours)
        stack = region[:, :, np.newaxis]
        level = None
        if engine.card.sigma_input and sigma is not None:
            level = np.broadcast_to(np.float32(sigma), stack.shape[:3])
        run = Run(engine, treatment.layout, level, treatment.strength, self._views)
        return run.over(stack, self._grid(engine, block, treatment.shape))[keep][:, :, 0]

    def _grid(self, engine: Engine, block: Tile, shape: tuple[int, int]) -> Any:
        card, pixels = engine.card, self._tile_pixels(engine)
        if card.halo is None:
            return choose_grid(card, shape, pixels)
        return BlockGrid(Field(shape, card.halo, card.divisor), block, pixels)


def card_of(model: TravellingModel, colours: int) -> Card:
    """Return the card of the model that images of 1 or 3 colours get."""
    if not model.content:
        return read_card(find_model(model.name) if model.name else default_model(colours))
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.content)
        file.flush()
        return read_card(file.name)


def check_blocks(card: Card) -> None:
    """Raise ModelError if the model looks at the whole image, so that it cannot take blocks."""
    if card.halo is None:
        raise ModelError(
            f"The model '{card.name}' cannot denoise in blocks because it looks at the whole image "
            "at once; use a model whose card names a halo."
        )


def pack_model(
    model: str | Path | None, options: Mapping[str, Any] | None = None
) -> TravellingModel:
    """Return a model ready to travel.

    Parameters
    ----------
    model, options
        As for a `Denoiser`. Bundled models go by name, because workers have the same version;
        others with their content.

    Raises
    ------
    UnknownNameError, ModelError, ArgumentError
        If there is no such model, or an option is wrong.
    """
    _check_options(options or {})
    pairs = tuple(sorted((options or {}).items()))
    if model is None:
        default_model(3)  # told here, not on a worker
        return TravellingModel(None, pairs)
    path = find_model(model)
    if path.parent == BUNDLED:
        return TravellingModel(path.stem, pairs)
    content = path.read_bytes()
    return TravellingModel("", pairs, hashlib.sha256(content).hexdigest(), content)


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise an error for a wrong option here, before a worker does."""
    known: dict[str, tuple[str, ...]] = {
        "quality": tuple(QUALITIES), "engine": tuple(ENGINES), "precision": PRECISIONS,
    }  # fmt: skip
    unknown = sorted(options.keys() - {*known, "threads", "memory"})
    if unknown:
        raise ArgumentError(
            f"`{unknown[0]}` is no option of a model on a cluster; those are engine, memory, "
            "precision, quality and threads."
        )
    for word, names in known.items():
        if options.get(word, names[0]) not in names:
            raise unknown_name(word, str(options[word]), names)
    parse_memory(options.get("memory", "512MB"))


_opening = threading.Lock()


def open_model(model: TravellingModel) -> BlockDenoiser:
    """Return the open denoiser; it is opened once in each process, for all its threads."""
    with _opening:
        return _open(model)


@lru_cache(_KEPT_OPEN)
def _open(model: TravellingModel) -> BlockDenoiser:
    options = dict(model.options)
    at_once, cores = _threads_here()
    options.setdefault("streams", at_once)
    options["threads"] = options.get("threads") or cores
    if not model.content:
        return BlockDenoiser(model.name, **options)
    with tempfile.TemporaryDirectory(prefix="quietpixel-") as folder:
        path = Path(folder) / f"{model.digest[:16]}.onnx"
        path.write_bytes(model.content)
        return BlockDenoiser(path, **options)


def _threads_here() -> tuple[int, int | None]:
    """Return how many tasks this process may run at once, and how many threads it has in all."""
    from distributed import get_worker

    try:
        count = get_worker().state.nthreads
    except ValueError:  # not a worker: the user's own process
        return 1, None
    return count, count
