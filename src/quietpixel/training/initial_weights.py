"""Starting a run from the weights of a trained model instead of random ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ModelError, TrainingError
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.models import build, complete_options
from quietpixel.models.receptive_field import measure_model
from quietpixel.models.weight_transfer import transfer
from quietpixel.training.onnx_weights import StoredWeights, read_weights
from quietpixel.training.run_folder import RunFolder

Array = NDArray[np.float32]
Compute = Callable[[list[Array]], Array]

NOTHING = "nothing"
"""Name of the start of a run with random weights."""
TOLERANCE = 1e-3
"""Largest difference allowed between the model in its file and in Keras."""
PROBE = 64
"""Height and width of the random image that both are compared on, where the size is free."""


@dataclass(frozen=True)
class Start:
    """A trained model whose weights a run starts from.

    Parameters
    ----------
    name
        Its name as the user gave it.
    path
        Its ``.onnx`` or ``.keras`` file.
    card
        The card of the model; None for a ``.keras`` file, which has none.
    compute
        Runs the ``.onnx`` file in float32 on one array per input of the model; None for a
        ``.keras`` file.
    """

    name: str
    path: Path
    card: Card | None = None
    compute: Compute | None = None


def start_from(model: keras.Model, start: Start) -> None:
    """Initialise `model` with the weights of `start`, and check that it then computes the same.

    The weights of a colour model are converted if `model` is for gray images, and blocks that only
    `model` has add nothing at first.

    Parameters
    ----------
    model
        The model, built in float32.
    start
        The trained model.

    Raises
    ------
    TrainingError
        If the layers of the two differ in more than that, or their outputs for a random image.
    """
    own = _from_keras(start) if start.card is None else _from_onnx(start, start.card)
    try:
        transfer(own, model)
    except ModelError as error:
        raise _unlike(start, str(error)) from error
    if own.inputs[0].shape[-1] == model.inputs[0].shape[-1]:
        _check_same(model, _run(own, _probe(model)), start)


def _from_keras(start: Start) -> keras.Model:
    try:
        return keras.models.load_model(start.path, compile=False)
    except (ValueError, OSError) as error:
        raise ModelError(
            f"The file '{start.path}' is not a model that Keras can read; pass a .keras or .onnx "
            "file that quietpixel wrote, a run folder or a name."
        ) from error


def _from_onnx(start: Start, card: Card) -> keras.Model:
    size = None if card.size is None else card.size[0]
    options = card.training.get("options", {})
    options = complete_options(card.architecture, options, channels=card.channels, size=size)
    model = build(card.architecture, **options)
    stored = read_weights(start.path)
    for layer in (layer for layer in model.layers if layer.weights):
        _set_weights(layer, stored, start)
    if stored:
        raise _unlike(start, f"{len(stored)} layers of its file are not in its card.")
    if start.compute is not None:
        _check_same(model, start.compute(_probe(model)), start)
    return model


def _check_same(model: keras.Model, expected: Array, start: Start) -> None:
    difference = float(np.abs(_run(model, _probe(model)) - expected).max())
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"'{start.name}' cannot be the start because its output on a random image differs by "
            f"{difference:.2g} from that of the same weights in this run's model; the options of "
            "the two differ. Omit `start`, or train with the options of that model."
        )


def _set_weights(layer: keras.layers.Layer, stored: list[StoredWeights], start: Start) -> None:
    """Set the weights of `layer` to the first that fit it, and remove them from the list.

    Both lists follow the data flow, so that the first that fits is the right one wherever layers
    form a chain; elsewhere the comparison of outputs decides.
    """
    shapes = [tuple(weight.shape) for weight in layer.weights]
    for position, one in enumerate(stored):
        weights = one.as_keras(type(layer).__name__, shapes)
        if weights is not None:
            layer.set_weights(weights)
            del stored[position]
            return
    raise _unlike(start, f"no layer of its file fits '{layer.name}' of its card ({shapes[0]}).")


def _unlike(start: Start, what: str) -> TrainingError:
    return TrainingError(
        f"'{start.name}' cannot be the start of this run. {what} Omit `model` and the options of "
        f"the model to use those of the start, or set `start` to '{NOTHING}'."
    )


def _probe(model: keras.Model) -> list[Array]:
    """Return a random array for each input of `model`, the same at each call."""
    rng = np.random.default_rng(0)
    divisor = measure_model(model).divisor
    side = -(-PROBE // divisor) * divisor
    shapes = [[1, *(length or side for length in tensor.shape[1:])] for tensor in model.inputs]
    return [rng.random(shape, np.float32) for shape in shapes]


def _run(model: keras.Model, inputs: list[Array]) -> Array:
    output = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    return np.asarray(keras.ops.convert_to_numpy(output), np.float32)


DEFAULTS = {1: ("photo-gray", "photo"), 3: ("photo",)}
"""The models that the run of a folder starts from, by channels; colour models can become gray."""


def open_start(name: str | Path) -> Start | None:
    """Return the model to start from.

    Parameters
    ----------
    name
        Name of a model, an .onnx or .keras file or a run folder; ``"nothing"`` gives None.

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
            raise ModelError(f"The model file '{path}' does not exist; check its name.")
        return Start(str(name), path)
    path = find_model(name)
    engine = open_engine(path, precision="f32")
    return Start(str(name), path, engine.card, lambda inputs: engine(*inputs))


def default_start(channels: int) -> Start | None:
    """Return the photo model that runs with this number of channels start from, if there is one."""
    names = [name for name in DEFAULTS[channels] if name in known_models()]
    return open_start(names[0]) if names else None


def adopt(start: Start) -> dict[str, Any]:
    """Return the fields of a recipe that `start` determines: its model, options and channels.

    For a ``.keras`` file, which has no card, they come from the recipe in the same run folder.
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
