"""The model as it travels to workers, and as each worker keeps it open for files and blocks."""

import hashlib
import tempfile
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.cluster.blocks import BlockGrid, Field
from quietpixel.errors import ModelError
from quietpixel.imaging.tiling import Tile
from quietpixel.inference.arrays import Layout, check_array
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.engine import Engine
from quietpixel.inference.job import run
from quietpixel.inference.level import NoiseLevel
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import BUNDLED, default_model, find_model
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.tile_plan import choose_grid

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
        How the denoiser is opened; what concerns one image is left at its default.
    digest
        Of the content, so that the same model is known again.
    content
        The ONNX file, for a model that is not bundled.
    """

    name: str | None
    options: DenoiseOptions = field(default_factory=DenoiseOptions)
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
    options
        How the image is treated.
    """

    layout: Layout
    shape: tuple[int, int]
    options: DenoiseOptions = field(default_factory=DenoiseOptions)


class BlockDenoiser(Denoiser):
    """A denoiser that also takes a part of an image, and knows where in it the part lies."""

    def denoise_block(
        self,
        region: NDArray[Any],
        block: Tile,
        treatment: Treatment,
        level: NoiseLevel | None = None,
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
        level
            The noise level of the whole image, for models that take one.
        """
        check_array(region)
        engine = self._engine(treatment.layout.colours)
        job = self.prepare_stack(
            region[:, :, np.newaxis], treatment.layout, treatment.options, level=level,
            tiles=self._grid(engine, block, treatment.shape).tiles(),
            origin=(block.rows.start, block.columns.start),
        )  # fmt: skip
        return run(job).image[block.rows.inner, block.columns.inner][:, :, 0]

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


def pack_model(options: DenoiseOptions) -> TravellingModel:
    """Return the model of these options ready to travel.

    Bundled models go by name, because workers have the same version; others with their content.

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such model.
    """
    opening = replace(
        options, model=None, sigma="auto", strength=1.0, colour_strength=None, range=None
    )
    if options.model is None:
        default_model(3)  # fails here, not on a worker
        return TravellingModel(None, opening)
    path = find_model(options.model)
    if path.parent == BUNDLED:
        return TravellingModel(path.stem, opening)
    content = path.read_bytes()
    return TravellingModel("", opening, hashlib.sha256(content).hexdigest(), content)


_opening = threading.Lock()


def open_model(model: TravellingModel) -> BlockDenoiser:
    """Return the open denoiser; it is opened once in each process, for all its threads."""
    with _opening:
        return _open(model)


@lru_cache(_KEPT_OPEN)
def _open(model: TravellingModel) -> BlockDenoiser:
    at_once, cores = _threads_here()
    options = replace(model.options, streams=at_once, threads=model.options.threads or cores)
    if not model.content:
        return BlockDenoiser.from_options(replace(options, model=model.name))
    with tempfile.TemporaryDirectory(prefix="quietpixel-") as folder:
        path = Path(folder) / f"{model.digest[:16]}.onnx"
        path.write_bytes(model.content)
        return BlockDenoiser.from_options(replace(options, model=path))


def _threads_here() -> tuple[int, int | None]:
    """Return how many tasks this process may run at once, and how many threads it has in all."""
    from distributed import get_worker

    try:
        count = get_worker().state.nthreads
    except ValueError:  # not a worker: the user's own process
        return 1, None
    return count, count
