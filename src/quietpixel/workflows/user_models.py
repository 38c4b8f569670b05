"""Gives a trained model a name among the user's own."""

import re
from dataclasses import replace
from pathlib import Path

from quietpixel.errors import ArgumentError, FileError
from quietpixel.inference.engine import read_card
from quietpixel.inference.model_store import bundled_models, user_models_folder
from quietpixel.models.export import replace_card

ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a model, before anything is trained for it.

    Raises
    ------
    ArgumentError
        If it holds other than letters, digits, '.', '_' and '-', or is that of a bundled model.
    """
    if not ALLOWED.fullmatch(name) or name.endswith((".onnx", ".keras")) or name == "nothing":
        raise ArgumentError(
            "`name` must be of letters, digits, '.', '_' and '-', without the ending of a file, "
            f"because it becomes a word for --model; got '{name}'. Try 'lab'."
        )
    if name in bundled_models():
        raise ArgumentError(
            f"`name` must not be that of a bundled model, or that one could not be reached any "
            f"more; got '{name}'. Try 'my-{name}'."
        )


def keep_model(model: Path, name: str) -> Path:
    """Copy `model` among the user's own models as `name`, in the place of an older one.

    Raises
    ------
    FileError
        If the folder of the user's models cannot be written.
    """
    folder = user_models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}.onnx"
        replace_card(model, target, replace(read_card(model), name=name))
    except OSError as error:
        raise FileError(
            f"The model cannot be kept as '{name}' in '{folder}' ({error.strerror or error}); it "
            f"is in '{model}' all the same."
        ) from error
    return target
