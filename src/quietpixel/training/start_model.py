"""Finds the model whose weights a run begins with, and brings the recipe in line with it."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ModelError
from quietpixel.inference.engine import Engine, open_engine
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.training.initial_weights import NOTHING, Start
from quietpixel.training.run_folder import RunFolder

DEFAULTS = {1: ("photo-gray", "photo"), 3: ("photo",)}
"""The models that a folder's run begins with, by channels; a colour model can begin a gray one."""


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


def default_start(channels: int) -> Start | None:
    """Return the photo model that a run with so many channels begins with, if there is one."""
    names = [name for name in DEFAULTS[channels] if name in known_models()]
    return open_start(names[0]) if names else None


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


def _compute(engine: Engine, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return engine(*inputs)
