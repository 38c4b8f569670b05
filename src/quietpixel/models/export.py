"""Export of a Keras model to an ONNX file with its card, compared with Keras."""

import os
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx

from quietpixel.array_types import FloatArray
from quietpixel.card import METADATA_KEY, Card
from quietpixel.errors import ModelError
from quietpixel.models.receptive_field import measure_model

TOLERANCE = 1e-4
"""Greatest difference between Keras and the exported file; float32 alone differs by about 1e-6."""
PROBES = ((64, 48), (40, 88))
"""Heights and widths of the random images that both are compared on, where the size is free."""


def export_onnx(model: keras.Model, path: Path, card: Card) -> None:
    """Write `model` to `path` as ONNX with `card` in its metadata, and check it against Keras.

    The file appears under its name only once it is complete and checked. Its weights are float32,
    whatever precision the model was trained in.

    Parameters
    ----------
    model
        A functional Keras model on (N, H, W, C).
    path
        The ``.onnx`` file.
    card
        Its card.

    Raises
    ------
    ModelError
        If the exported file computes something else than `model`.
    """
    portable = _as_float32(model)
    partial = path.with_name(f".{path.name}.partial.onnx")
    try:
        run_keras(portable, probe_inputs(portable)[0])  # builds it
        with warnings.catch_warnings():  # tf2onnx uses names that NumPy has deprecated
            warnings.simplefilter("ignore")
            portable.export(partial, format="onnx", verbose=False)
        graph = onnx.load(partial)
        drop_idle_crops(graph)
        restore_transposes(graph)
        onnx.helper.set_model_props(graph, {METADATA_KEY: card.to_json()})
        graph.producer_name = "quietpixel"
        onnx.save(graph, partial)
        check_parity(portable, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_parity(model: keras.Model, path: Path) -> float:
    """Return the largest difference between `model` and the ONNX file exported from it.

    Both compute random images, in float32; where the model takes any size, of two sizes.

    Parameters
    ----------
    model
        The Keras model.
    path
        The file, which OpenVINO runs: an engine that shares no code with Keras or the converter.

    Raises
    ------
    ModelError
        If the difference exceeds 1e-4.
    """
    import openvino

    core, portable = openvino.Core(), _as_float32(model)
    compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    difference = 0.0
    for inputs in probe_inputs(portable):
        by_name = {port.name: value for port, value in zip(portable.inputs, inputs, strict=True)}
        exported = compiled([by_name[port.any_name] for port in compiled.inputs])[0]
        expected = run_keras(portable, inputs)
        if exported.shape != expected.shape:
            raise ModelError(
                f"The exported model gives arrays of shape {exported.shape} where Keras gives "
                f"{expected.shape}; please report this with the versions in environment.json."
            )
        differences = np.abs(expected - exported)
        difference = float(np.max([difference, differences.max()]))  # keeps NaN, as max() may not
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The exported model differs from Keras by up to {difference:.2g}, more than "
            f"{TOLERANCE:g}; please report this with the versions in environment.json."
        )
    return difference


def run_keras(model: keras.Model, inputs: list[FloatArray]) -> FloatArray:
    """Return what a model makes of an array for each of its inputs, as float32."""
    output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return np.asarray(keras.ops.convert_to_numpy(output), np.float32)


def probe_inputs(model: keras.Model) -> list[list[FloatArray]]:
    """Return random arrays for all inputs of a model, for each size that it is checked at."""
    rng = np.random.default_rng(0)  # two calls give the same arrays
    divisor = measure_model(model).divisor
    free = None in model.inputs[0].shape[1:3]
    probes = [[-(-side // divisor) * divisor for side in probe] for probe in PROBES]
    return [
        [
            rng.random(
                [2, *(length or probe[axis] for axis, length in enumerate(tensor.shape[1:]))],
                np.float32,
            )
            for tensor in model.inputs
        ]
        for probe in probes[: 2 if free else 1]
    ]


def _as_float32(model: keras.Model) -> keras.Model:
    if model.dtype_policy.name == "float32" and all(
        layer.dtype_policy.name == "float32" for layer in model.layers
    ):
        return model

    # A layer has the precision that it was made with, so all are made anew.
    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    portable = keras.models.clone_model(model, clone_function=copy)
    portable.set_weights(model.get_weights())
    return portable


def drop_idle_crops(model: onnx.ModelProto) -> None:
    """Remove, in place, the crop and the padding after transposed convolutions that need none.

    A transposed convolution whose kernel is as large as its stride has exactly the output size
    that Keras wants. The converter does not use that: it computes the size at run time, crops and
    pads to it, which took a tenth of the model's time.

    Parameters
    ----------
    model
        The converted model.
    """
    nodes = model.graph.node
    for node in nodes:
        if node.op_type == "ConvTranspose" and _attribute(node, "kernel_shape") == _attribute(
            node, "strides"
        ):
            last = node.output[0]
            for kind in ("Slice", "Pad"):
                followers = [n for n in nodes if n.op_type == kind and n.input[0] == last]
                last = followers[0].output[0] if followers else last
            for other in nodes:
                inputs = [node.output[0] if name == last else name for name in other.input]
                if last != node.output[0] and inputs != list(other.input):
                    other.input[:] = inputs
    _drop_unused(model.graph)


def restore_transposes(model: onnx.ModelProto) -> None:
    """Write, in place, the reshapes that move the channel axis of a gray model as transposes.

    With one channel a transpose moves no value, so the converter (tf2onnx 1.17) writes it as a
    reshape through five dimensions: unsqueeze and reshape at the input, reshape and squeeze at the
    output. In about one of ten processes that have exported models before, it loses the unsqueeze
    or the squeeze, and the graph is wrong.

    Parameters
    ----------
    model
        The converted model.
    """
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    shapes = {
        weight.name: onnx.numpy_helper.to_array(weight).tolist()
        for weight in graph.initializer
        if weight.data_type == onnx.TensorProto.INT64
    }
    for node in graph.node:
        source = node.input[0] if node.input else ""
        shape = shapes.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape == [-1, 1, 0, 0]:  # (1, N, H, W, 1) to (N, 1, H, W)
            before = producers.get(source)
            if before is not None and before.op_type == "Unsqueeze":
                source = before.input[0]
            _make_transpose(node, source, [0, 3, 1, 2])
        elif shape == [1, -1, 0, 0, 1]:  # (N, 1, H, W) to (1, N, H, W, 1)
            _make_transpose(node, source, [0, 2, 3, 1])
            for after in graph.node:
                if after.op_type == "Squeeze" and after.input[0] == node.output[0]:
                    _make_transpose(after, source, [0, 2, 3, 1])
    _drop_unused(graph)


def _make_transpose(node: onnx.NodeProto, source: str, order: list[int]) -> None:
    """Turn a node, in place, into the transpose of `source`."""
    node.CopyFrom(onnx.helper.make_node("Transpose", [source], node.output, node.name, perm=order))


def _attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return [value for a in node.attribute if a.name == name for value in a.ints]


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
    # The shapes that the converter noted are those of the old graph.
    del graph.value_info[:]
