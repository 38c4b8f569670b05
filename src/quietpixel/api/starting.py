"""Finds the model whose weights a run begins with, and brings the recipe in line with it."""

import inspect
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ModelError
from quietpixel.inference.engine import Engine, open_engine
from quietpixel.inference.store import find_model, known_models
from quietpixel.models.registry import MODELS
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.start import NOTHING, Start

if TYPE_CHECKING:
    from quietpixel.card import Card

DEFAULTS = {1: "photo-gray", 3: "photo"}
"""The bundled model that a folder's run begins with, by channels, where its layers fit."""


def open_start(name: str | Path) -> Start | None:
    """Return the model that `name` stands for: a name, an .onnx or .keras file or a run folder.

    ``"nothing"`` gives ``None``.

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such model.
    """
    if str(name) == NOTHING:
        return None
    path = Path(name)
    if path.suffix == ".keras":
        if not path.is_file():
            raise ModelError(f"The model file '{path}' does not exist; give its right name.")
        return Start(str(name), path)
    path = find_model(name)
    engine = open_engine(path, precision="f32")
    return Start(str(name), path, engine.card, partial(_compute, engine))


def default_start(recipe: Recipe) -> Start | None:
    """Return the bundled photo model if it has the layers and channels of `recipe`."""
    name = DEFAULTS[recipe.channels]
    start = open_start(name) if name in known_models() else None
    if start is None or start.card is None or start.card.channels != recipe.channels:
        return None
    wanted = recipe.model, all_options(recipe.model, recipe.options)
    return start if wanted == (start.card.architecture, card_options(start.card)) else None


def adopt(start: Start) -> dict[str, Any]:
    """Return the fields of a recipe that `start` decides: its model, options and channels.

    A ``.keras`` file says nothing of itself; the recipe beside it in its run folder does.
    """
    card = start.card
    if card is not None:
        options = dict(card.training.get("options", {}))
        return {"model": card.architecture, "options": options, "channels": card.channels}
    folder = RunFolder(start.path.parent)
    if not folder.recipe.exists():
        return {}
    recipe = folder.read_recipe()
    return {"model": recipe.model, "options": dict(recipe.options), "channels": recipe.channels}


def card_options(card: "Card") -> dict[str, Any]:
    """Return all options of the model that `card` speaks of, those left out too."""
    return all_options(card.architecture, card.training.get("options", {}))


def all_options(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` with the defaults of the builder of `model`, as JSON would give them.

    Examples
    --------
    >>> all_options("unet", {"filters": (4, 8)})["filters"]
    [4, 8]
    """
    parameters = inspect.signature(MODELS[model]).parameters.values() if model in MODELS else ()
    known = {one.name: one.default for one in parameters if one.name != "channels"}
    complete: dict[str, Any] = json.loads(json.dumps({**known, **options}))
    complete.pop("channels", None)
    return complete


def _compute(engine: Engine, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return engine(*inputs)
