"""Beginning a run with the weights of a finished model instead of random ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.errors import ModelError, TrainingError
from quietpixel.inference.engine import Engine, open_engine
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.models import build
from quietpixel.models.receptive_field import measure_model
from quietpixel.models.weight_transfer import transfer
from quietpixel.training.onnx_weights import Taken, read_weights
from quietpixel.training.run_folder import RunFolder

Array = NDArray[np.float32]
Compute = Callable[[list[Array]], Array]

NOTHING = "nothing"
"""The word for a run that begins with random weights."""
TOLERANCE = 1e-3
"""Greatest difference that is allowed between the model in its file and in Keras."""
PROBE = 64
"""Height and width of the random image on which both are compared, where the size is free."""


@dataclass(frozen=True)
class Start:
    """A finished model whose weights a run begins with.

    Parameters
    ----------
    name
        How the user called it.
    path
        Its ``.onnx`` or ``.keras`` file.
    card
        What the model says of itself; ``None`` for a ``.keras`` file, which carries no card.
    compute
        Runs the ``.onnx`` file in float32 on one array for each input of the model; ``None`` for a
        ``.keras`` file.
    """

    name: str
    path: Path
    card: Card | None = None
    compute: Compute | None = None


def begin_with(model: keras.Model, start: Start) -> None:
    """Give `model`, built in float32, the weights of `start`; check that it then computes the same.

    The weights of a colour model are folded where `model` is for gray images, and blocks that only
    `model` has do nothing at first.

    Raises
    ------
    TrainingError
        If the layers of the two differ in more than that, or the outputs for a random image do.
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
    options = {"channels": card.channels, **card.training.get("options", {})}
    if card.size is not None:
        options.setdefault("size", card.size[0])
    model = build(card.architecture, **options)
    taken = read_weights(start.path)
    for layer in (layer for layer in model.layers if layer.weights):
        _give(layer, taken, start)
    if taken:
        raise _unlike(start, f"{len(taken)} layers of its file are not what its card says.")
    if start.compute is not None:
        _check_same(model, start.compute(_probe(model)), start)
    return model


def _check_same(model: keras.Model, expected: Array, start: Start) -> None:
    difference = float(np.abs(_run(model, _probe(model)) - expected).max())
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"'{start.name}' cannot be the start because its output on a random image differs by "
            f"{difference:.2g} from that of the same weights in this run's model; the options of "
            "the two differ. Leave out --from, or train with the options of that model."
        )


def _give(layer: keras.layers.Layer, taken: list[Taken], start: Start) -> None:
    """Give `layer` the first of the weights that fit it, and take them off the list.

    Both lists follow the flow of the image, so that the first that fits is the right one wherever
    layers stand in one line; where they do not, the comparison of outputs has the last word.
    """
    shapes = [tuple(weight.shape) for weight in layer.weights]
    kind = type(layer).__name__
    for at, one in enumerate(taken):
        weights = one.as_keras(kind, shapes)
        if weights is not None:
            layer.set_weights(weights)
            del taken[at]
            return
    raise _unlike(start, f"no layer of its file fits '{layer.name}' of its card ({shapes[0]}).")


def _unlike(start: Start, what: str) -> TrainingError:
    return TrainingError(
        f"'{start.name}' cannot be the start of this run. {what} Leave out --model and the options "
        f"of the model to take those of the start, or say --from {NOTHING}."
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
