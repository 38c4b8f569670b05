"""Keras model -> ONNX file with its card inside, checked against Keras."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import onnx

from quietpixel.card import METADATA_KEY, Card
from quietpixel.errors import ModelError

TOLERANCE = 1e-4


def export_onnx(model: keras.Model, path: Path, card: Card) -> None:
    """Write `model` to `path` as ONNX with `card` in its metadata.

    The file appears under its name only when it is whole. Weights are float32, whatever precision
    the model was trained in.
    """
    portable = _as_float32(model)
    # Keras exports only what was called once.
    shown = [np.zeros([1, *(length or 64 for length in x.shape[1:])]) for x in model.inputs]
    portable(shown if len(shown) > 1 else shown[0])
    partial = path.with_name(f".{path.name}.partial.onnx")
    try:
        with warnings.catch_warnings():  # tf2onnx still asks NumPy for names it has given up
            warnings.simplefilter("ignore")
            portable.export(partial, format="onnx", verbose=False)
        graph = onnx.load(partial)
        drop_idle_crops(graph)
        onnx.save(graph, partial)
        replace_card(partial, path, card)
    finally:
        partial.unlink(missing_ok=True)


def replace_card(source: Path, target: Path, card: Card) -> None:
    """Write the ONNX file `source` to `target` with `card` as its card."""
    graph = onnx.load(source)
    onnx.helper.set_model_props(graph, {METADATA_KEY: card.to_json()})
    graph.producer_name = "quietpixel"
    partial = target.with_name(f".{target.name}.card.onnx")
    try:
        onnx.save(graph, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def check_parity(model: keras.Model, denoised: np.ndarray, noisy: np.ndarray) -> float:
    """Return the largest difference between what Keras and the exported file make of `noisy`.

    Raises
    ------
    ModelError
        If it exceeds 1e-4 in float32.
    """
    expected = keras.ops.convert_to_numpy(_as_float32(model)(noisy, training=False))
    difference = float(np.abs(expected - denoised).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The exported model differs from Keras by up to {difference:.2g}, more than "
            f"{TOLERANCE:g}; please report this with the versions in environment.json."
        )
    return difference


def _as_float32(model: keras.Model) -> keras.Model:
    if model.dtype_policy.name == "float32" and all(
        layer.dtype_policy.name == "float32" for layer in model.layers
    ):
        return model

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        config["dtype"] = "float32"
        return type(layer).from_config(config)

    portable = keras.models.clone_model(model, clone_function=copy)
    portable.set_weights(model.get_weights())
    return portable


def drop_idle_crops(model: onnx.ModelProto) -> None:
    """Drop, in place, the crop and the padding after transposed convolutions that need none.

    A transposed convolution whose kernel is as large as its stride gives exactly the size that is
    wanted. The converter does not see that: it works out the size at run time, cuts to it and pads
    to it, which cost a tenth of the model's time.
    """
    graph = model.graph
    for node in list(graph.node):
        if node.op_type == "ConvTranspose" and _attribute(node, "kernel_shape") == _attribute(
            node, "strides"
        ):
            last = _follow(graph.node, node.output[0], ("Slice", "Pad"))
            _redirect(graph.node, last, node.output[0])
    _drop_unused(graph)


def _attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return [value for a in node.attribute if a.name == name for value in a.ints]


def _follow(nodes: Iterable[onnx.NodeProto], tensor: str, kinds: tuple[str, ...]) -> str:
    """Return the tensor that `tensor` becomes after one node of each of `kinds`, where they are."""
    for kind in kinds:
        followers = [n for n in nodes if n.op_type == kind and n.input[0] == tensor]
        tensor = followers[0].output[0] if followers else tensor
    return tensor


def _redirect(nodes: Iterable[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for i, name in enumerate(node.input):
            if name == old and old != new:
                node.input[i] = new


def _drop_unused(graph: onnx.GraphProto) -> None:
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    del graph.value_info[:]
