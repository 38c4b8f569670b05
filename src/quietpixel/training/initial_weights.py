"""Starting a run from the weights of a trained model instead of random ones."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.card import Card
from quietpixel.errors import ModelError, TrainingError
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.models import build, complete_options
from quietpixel.models.export import probe_inputs, run_keras
from quietpixel.models.unet import BLOCK, LAST_OF_BLOCK
from quietpixel.training.run_folder import RunFolder

NOTHING = "nothing"
"""Name of the start of a run with random weights."""
TOLERANCE = 1e-3
"""Largest difference allowed between the model in its file and in Keras."""
DEFAULTS = {1: ("photo-gray", "photo"), 3: ("photo",)}
"""The models that the run of a folder starts from, by channels; colour models can become gray."""
KINDS = {
    "Conv": ("Conv2D", "DepthwiseConv2D"),
    "ConvTranspose": ("Conv2DTranspose",),
    "MatMul": ("Dense",),
    "Gemm": ("Dense",),
}
"""The Keras layers that each operator with weights can come from."""


@dataclass(frozen=True)
class StoredWeights:
    """The weights of one operator of an ONNX file.

    Parameters
    ----------
    operator
        A key of `KINDS`.
    kernel
        In the layout of ONNX: (out, in, H, W), (in, out, H, W) for a transposed convolution and
        (in, out) for a matrix.
    bias
        (out,), or ``None``.
    """

    operator: str
    kernel: FloatArray
    bias: FloatArray | None

    def as_keras(self, kind: str, shapes: list[tuple[int, ...]]) -> list[FloatArray] | None:
        """Return kernel and, if the layer has one, bias in the layout of Keras.

        Parameters
        ----------
        kind
            The class of the layer, such as ``"Conv2D"``.
        shapes
            The shapes of its weights.

        Returns
        -------
        list or None
            The weights; None if these do not fit such a layer.
        """
        if kind not in KINDS[self.operator] or len(shapes) not in (1, 2):
            return None
        kernel, bias = self.kernel, self.bias
        if kernel.ndim == 4:
            depthwise = kind == "DepthwiseConv2D"
            kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
            # ONNX has one output per channel and multiplier, Keras an axis for each of the two.
            if depthwise and kernel.size == math.prod(shapes[0]):
                kernel = kernel.reshape(shapes[0])
        if bias is None and len(shapes) == 2:  # exporters may omit a bias of zeros
            bias = np.zeros(shapes[1], np.float32)
        weights = [kernel] if bias is None else [kernel, bias]
        return weights if [weight.shape for weight in weights] == shapes else None


def read_weights(path: Path) -> list[StoredWeights]:
    """Return the weights in the order of the operators.

    Parameters
    ----------
    path
        The ONNX file.

    Raises
    ------
    ModelError
        If it is not an ONNX file.
    """
    import onnx

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own kinds have no public base
        raise ModelError(
            f"The file '{path}' is not an ONNX model; pass an .onnx file that quietpixel "
            "exported, a run folder or a name."
        ) from error
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    return [
        StoredWeights(node.op_type, stored[node.input[1]], _find_bias(node, graph, stored))
        for node in graph.node
        if node.op_type in KINDS and node.input[1] in stored
    ]


def _find_bias(node: Any, graph: Any, stored: dict[str, Any]) -> FloatArray | None:
    """Return the third input of `node`, or what is added to its output right after."""
    if len(node.input) > 2:
        return np.ravel(stored[node.input[2]])
    after = [other for other in graph.node if node.output[0] in other.input]
    if len(after) == 1 and after[0].op_type == "Add":
        added = [stored[name] for name in after[0].input if name in stored]
        return np.ravel(added[0]) if added else None
    return None


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
    """

    name: str
    path: Path
    card: Card | None = None


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
    # Read into its own architecture first: only Keras knows which weights belong to which layer.
    own = _read_keras(start.path) if start.card is None else _read_onnx(start, start.card)
    try:
        transfer(own, model)
    except ModelError as error:
        raise _unlike(start, str(error)) from error
    # A gray model from a colour model agrees with it only on equal channels.
    if own.inputs[0].shape[-1] == model.inputs[0].shape[-1]:
        _check_same(model, run_keras(own, probe_inputs(model)[0]), start)


def _read_keras(path: Path) -> keras.Model:
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, OSError) as error:
        raise ModelError(
            f"The file '{path}' is not a model that Keras can read; pass a .keras or .onnx file "
            "that quietpixel wrote, a run folder or a name."
        ) from error
    # The file keeps the policy of its training; bfloat16 differs by more than the tolerance.
    for layer in model.layers:
        layer.dtype_policy = "float32"
    return model


def _read_onnx(start: Start, card: Card) -> keras.Model:
    size = None if card.size is None else card.size[0]
    options = card.training.get("options", {})
    options = complete_options(card.architecture, options, channels=card.channels, size=size)
    model = build(card.architecture, **options)
    stored = read_weights(start.path)
    # Both lists follow the data flow, so that the first weights that fit are the right ones where
    # layers form a chain; elsewhere the comparison of outputs decides.
    for layer in (layer for layer in model.layers if layer.weights):
        kind, shapes = type(layer).__name__, [tuple(weight.shape) for weight in layer.weights]
        fitting = (place for place, one in enumerate(stored) if one.as_keras(kind, shapes))
        place = next(fitting, None)
        if place is None:
            what = f"no layer of its file fits '{layer.name}' of its card ({shapes[0]})."
            raise _unlike(start, what)
        layer.set_weights(stored.pop(place).as_keras(kind, shapes))
    if stored:
        raise _unlike(start, f"{len(stored)} layers of its file are not in its card.")
    # In float32: bfloat16 differs by more than the tolerance.
    engine = open_engine(start.path, precision="f32")
    _check_same(model, engine(*probe_inputs(model)[0]), start)
    return model


def _check_same(model: keras.Model, expected: FloatArray, start: Start) -> None:
    difference = float(np.abs(run_keras(model, probe_inputs(model)[0]) - expected).max())
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"'{start.name}' cannot be the start because its output on a random image differs by "
            f"{difference:.2g} from that of the same weights in this run's model; the options of "
            "the two differ. Omit `start`, or train with the options of that model."
        )


def _unlike(start: Start, what: str) -> TrainingError:
    return TrainingError(
        f"'{start.name}' cannot be the start of this run. {what} Omit `model` and the options of "
        f"the model to use those of the start, or set `start` to '{NOTHING}'."
    )


def transfer(source: keras.Model, target: keras.Model) -> None:
    """Initialise `target` with the weights of `source` so that both first compute the same.

    For a gray model from a colour model, the weights of a convolution for red, green and blue are
    added up, and the outputs of the last one are averaged, so that it gives the result of the
    colour model for three equal channels. A colour model has not learned noise that is the same in
    all channels, so such a model still has to be trained. A block that only `target` has adds
    nothing at first: the weights of its last convolution are zero.

    Parameters
    ----------
    source, target
        Models with the same layers, except for the channels of the images and additional blocks.

    Raises
    ------
    ModelError
        If their layers differ in more than that.

    References
    ----------
    T. Chen, I. Goodfellow, J. Shlens, "Net2Net: Accelerating learning via knowledge transfer",
    ICLR 2016 (growing by identity).
    """
    given = {layer.name: layer for layer in source.layers if layer.weights}
    wanted = [layer for layer in target.layers if layer.weights]
    if len(given) == len(wanted):  # Keras numbers the default names of layers across models
        given = dict(zip((layer.name for layer in wanted), given.values(), strict=True))
    for layer in wanted:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if layer.name in given:
            weights = given.pop(layer.name).get_weights()
            layer.set_weights([_fold(*pair) for pair in zip(weights, shapes, strict=True)])
        elif BLOCK not in layer.name:
            raise _difference(f"only one of both has a layer '{layer.name}'")
        elif layer.name.endswith(LAST_OF_BLOCK):
            layer.set_weights([np.zeros(shape, np.float32) for shape in shapes])
    if given:
        raise _difference(f"only one of both has a layer '{next(iter(given))}'")


def _fold(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4 and values.shape[2] == shape[2] + 2:
        # The sum, because a gray image stands for three equal channels; the noise level stays.
        values = np.concatenate([values[:, :, :3].sum(axis=2, keepdims=True), values[:, :, 3:]], 2)
    if values.shape[-1] == 3 and shape[-1] == 1:
        values = values.mean(axis=-1, keepdims=True)
    if values.shape != shape:
        raise _difference(f"weights of shape {values.shape} for {shape}")
    return values


def _difference(what: str) -> ModelError:
    return ModelError(f"The layers differ in more than colour and additional blocks: {what}.")


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
    return Start(str(name), path, read_card(path))


def default_start(channels: int, *, takes_level: bool = False) -> Start | None:
    """Return the photo model that runs with this number of channels start from, if there is one.

    Parameters
    ----------
    channels
        1 or 3.
    takes_level
        Whether the run tells the model the noise level. One that obeys it comes first then: after
        80 steps from the blind ``photo-gray``, results for 5/255 and 50/255 were still the same.
    """
    models = [open_start(name) for name in DEFAULTS[channels] if name in known_models()]
    found = [start for start in models if start is not None and start.card is not None]
    if takes_level:
        found.sort(key=lambda start: start.card is None or not start.card.takes_level)
    return found[0] if found else None


def adopt(start: Start) -> dict[str, Any]:
    """Return the fields of a recipe that `start` determines: its model, options and channels.

    For a ``.keras`` file, which has no card, they come from the recipe in the same run folder.

    Parameters
    ----------
    start
        The trained model.
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
