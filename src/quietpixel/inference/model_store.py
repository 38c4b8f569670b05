"""Finds models: bundled ones, the user's own, run folders and files; keeps those of the user."""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from platformdirs import user_cache_path, user_data_path

from quietpixel.errors import ArgumentError, FileError, ModelError, unknown_name
from quietpixel.inference.model_file import read_card, refuse_other_file, replace_card

BUNDLED = Path(__file__).parent.parent / "weights"
MODEL_FILE = "model.onnx"
ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that a model may have."""
DEFAULTS = ("photo", "photo-gray")
"""The model for all images if none is named; the second serves where the first is missing."""


def user_models_folder() -> Path:
    """Return the folder in which a user's own models have names (``NAME.onnx``)."""
    return user_data_path("quietpixel", appauthor=False) / "models"


def bundled_models() -> dict[str, Path]:
    """Return the models that come with quietpixel, by name."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.onnx"))}


def known_models() -> dict[str, Path]:
    """Return the bundled models and the user's own, by name; the user's own come first."""
    own = sorted(user_models_folder().glob("*.onnx"))
    # A model of one's own replaces a bundled one of the same name.
    return bundled_models() | {path.stem: path for path in own}


def cache_of(path: Path) -> Path | None:
    """Return the folder for compiled models; None for a run folder, which is seldom reused."""
    if path.parent not in (BUNDLED, user_models_folder()):
        return None
    return user_cache_path("quietpixel", appauthor=False) / "compiled"


def find_model(name_or_path: str | Path | None) -> Path:
    """Return the ONNX file that a name, a run folder or a path stands for.

    Parameters
    ----------
    name_or_path
        A bundled name, a name in the user's models folder, a run folder that holds
        ``model.onnx``, or an ``.onnx`` file; None is the default, ``photo``.

    Raises
    ------
    UnknownNameError
        If it is neither a known name nor an existing path.
    ModelError
        If it is a folder without a model, a path that does not exist, or None where neither
        ``photo`` nor ``photo-gray`` is installed.
    """
    known = known_models()
    if name_or_path is None:
        for name in DEFAULTS:
            if name in known:
                return known[name]
        names = ", ".join(sorted(known))
        raise ModelError(
            "No model was named and this installation carries neither photo nor photo-gray; "
            f"name one with `model`: {f'{names}, ' if names else ''}a run folder or an "
            ".onnx file."
        )
    if not isinstance(name_or_path, str | Path):
        raise ModelError(
            "`model` must be a name, a run folder or an .onnx file; "
            f"got {type(name_or_path).__name__}."
        )
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path, text = Path(name_or_path), str(name_or_path)
    if path.is_dir():
        if not (path / MODEL_FILE).exists():
            raise ModelError(
                f"The folder '{path}' holds no {MODEL_FILE}; pass the run folder of a finished "
                "training, or an .onnx file."
            )
        return path / MODEL_FILE
    if path.exists():
        return path
    # For what looks like a path, a similar name would be no help.
    if isinstance(name_or_path, Path) or "/" in text or "\\" in text or text.endswith(".onnx"):
        raise ModelError(
            f"The model file '{text}' does not exist; pass an .onnx file, a run folder or a name: "
            f"{', '.join(sorted(known)) or '(none is bundled)'}."
        )
    raise unknown_name("model", text, known)


def check_name(name: str) -> None:
    """Refuse a name under which no model can be kept, before anything is trained.

    Parameters
    ----------
    name
        The name.

    Raises
    ------
    ArgumentError
        If it holds other than letters, digits, '.', '_' and '-', or is that of a bundled model.
    FileError
        If the folder of the user's models cannot be written, or takes no name of that length.
    """
    if not ALLOWED.fullmatch(name) or name.endswith((".onnx", ".keras")) or name == "nothing":
        raise ArgumentError(
            "`name` must be of letters, digits, '.', '_' and '-', without the suffix of a file, "
            f"because it becomes the name of a model; got '{name}'. Try 'lab'."
        )
    if name in bundled_models():
        raise ArgumentError(
            "`name` must not be that of a bundled model because it would hide that model; got "
            f"'{name}'. Try 'my-{name}'."
        )
    folder = user_models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Under a name that is no shorter than that of the file.
        NamedTemporaryFile(dir=folder, prefix=name, suffix=".onnx").close()
    except OSError as error:
        raise FileError(
            f"No model can be stored as '{name}' in '{folder}' ({error.strerror or error}); make "
            "that folder writable, choose another `name`, or omit it."
        ) from error
    refuse_other_file(folder / f"{name}.onnx")


def keep_model(model: Path, name: str) -> None:
    """Copy `model` to the user's own models as `name`, replacing an older one.

    Parameters
    ----------
    model
        The ``.onnx`` file.
    name
        Its new name.

    Raises
    ------
    FileError
        If the folder of the user's models cannot be written.
    """
    folder = user_models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_card(model, folder / f"{name}.onnx", replace(read_card(model), name=name))
    except OSError as error:
        raise FileError(
            f"The model cannot be stored as '{name}' in '{folder}' ({error.strerror or error}); "
            f"it is still in '{model}'."
        ) from error
