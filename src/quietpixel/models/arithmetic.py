"""What a model is by arithmetic over its layers: divisor, halo and cost.

For each tensor we follow how many input pixels one of its pixels stands for (`scale`) and how far
before and after its place it looks at the input.
"""

import math
from dataclasses import dataclass, replace

import keras
from keras import layers

from quietpixel.errors import ModelError

WHOLE_IMAGE = (layers.Dense, layers.Flatten, layers.Reshape)
POINTWISE = (
    layers.Activation,
    layers.Dropout,
    layers.Subtract,
    layers.Add,
    layers.Concatenate,
)


@dataclass(frozen=True)
class Reach:
    """How far a pixel of a tensor looks: input pixels before and after it, and its scale."""

    before: float = 0.0
    after: float = 0.0
    scale: float = 1.0

    def join(self, other: "Reach") -> "Reach":
        """Return the reach of a tensor that is made from both."""
        return Reach(*(max(a, b) for a, b in zip(_numbers(self), _numbers(other), strict=True)))


@dataclass(frozen=True)
class Facts:
    """Divisor, halo (``None``: the whole image) and multiply-adds per pixel of a model."""

    divisor: int
    halo: int | None
    operations: int


def measure_model(model: keras.Model) -> Facts:
    """Return divisor, halo and cost of a functional Keras model on (N, H, W, C).

    Raises
    ------
    ModelError
        If a layer's reach is not known.
    """
    reaches = {id(tensor): Reach() for tensor in model.inputs}
    scales, cost = [1.0], 0.0
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        incoming = _join([reaches[id(tensor)] for tensor in keras.tree.flatten(layer.input)])
        outgoing = _extend(incoming, layer)
        reaches[id(layer.output)] = outgoing
        scales.append(outgoing.scale)
        cost += _cost(layer, incoming, outgoing, model)
    last = reaches[id(model.output)]
    whole = any(isinstance(layer, WHOLE_IMAGE) for layer in model.layers)
    halo = None if whole else math.ceil(max(last.before, last.after))
    return Facts(1 if whole else int(max(scales)), halo, round(cost))


def _numbers(reach: Reach) -> tuple[float, float, float]:
    return reach.before, reach.after, reach.scale


def _join(reaches: list[Reach]) -> Reach:
    joined = reaches[0]
    for reach in reaches[1:]:
        joined = joined.join(reach)
    return joined


def _extend(reach: Reach, layer: keras.layers.Layer) -> Reach:
    if isinstance(layer, layers.Conv2DTranspose):
        kernel, stride = layer.kernel_size[0], layer.strides[0]
        scale, crop = reach.scale / stride, max(kernel - stride, 0) // 2
        before, after = reach.before + (kernel - 1 - crop) * scale, reach.after + crop * scale
        return Reach(before, after, scale)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        return _extend_convolution(reach, layer)
    if isinstance(layer, layers.UpSampling2D):
        scale = reach.scale / layer.size[0]
        return replace(reach, before=reach.before + (layer.size[0] - 1) * scale, scale=scale)
    if not isinstance(layer, (*POINTWISE, *WHOLE_IMAGE)):
        raise ModelError(
            f"The reach of the layer '{layer.name}' ({type(layer).__name__}) is not known; "
            "describe it in models/arithmetic.py."
        )
    return reach


def _extend_convolution(
    reach: Reach, layer: keras.layers.Conv2D | keras.layers.DepthwiseConv2D
) -> Reach:
    stride, spread = layer.strides[0], layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    before = max(spread + 1 - stride, 0) // 2 if layer.padding == "same" else 0
    return Reach(
        reach.before + before * reach.scale,
        reach.after + (spread - before) * reach.scale,
        reach.scale * stride,
    )


def _cost(layer: keras.layers.Layer, incoming: Reach, outgoing: Reach, model: keras.Model) -> float:
    if not hasattr(layer, "kernel"):
        return 0.0
    weights = math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return float(weights / math.prod(model.inputs[0].shape[1:3]))
    scale = incoming.scale if isinstance(layer, layers.Conv2DTranspose) else outgoing.scale
    return float(weights / scale**2)
