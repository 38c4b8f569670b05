"""Reads the weights of an exported model from its ONNX file, in the layout of Keras."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ModelError

Weights = NDArray[np.float32]
Shape = tuple[int, ...]

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
    kernel: Weights
    bias: Weights | None

    def as_keras(self, kind: str, shapes: list[Shape]) -> list[Weights] | None:
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


def _find_bias(node: Any, graph: Any, stored: dict[str, Any]) -> Weights | None:
    """Return the third input of `node`, or what is added to its output right after."""
    if len(node.input) > 2:
        return np.ravel(stored[node.input[2]])
    after = [other for other in graph.node if node.output[0] in other.input]
    if len(after) == 1 and after[0].op_type == "Add":
        added = [stored[name] for name in after[0].input if name in stored]
        return np.ravel(added[0]) if added else None
    return None
