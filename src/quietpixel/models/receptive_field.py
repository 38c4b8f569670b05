"""What a model is by arithmetic over its layers: divisor, halo, cost and memory.

For each tensor we follow how many input pixels one of its pixels stands for (`scale`) and how far
before and after its place it looks at the input.
"""

import math
from dataclasses import dataclass, replace

import keras
from keras import layers

from quietpixel.errors import ModelError

LANES = 16
"""Engines hold features in blocks of so many, the last one filled up."""
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
    """What a model asks for.

    Parameters
    ----------
    divisor
        What the sides of an image must be multiples of, in pixels.
    halo
        How many pixels of surroundings decide one pixel; None for the whole image.
    operations
        Multiply-adds per pixel.
    values
        The most numbers held at once per pixel while it computes; None for a model that looks at
        the whole image.
    """

    divisor: int
    halo: int | None
    operations: int
    values: int | None


def measure_model(model: keras.Model) -> Facts:
    """Return what a functional Keras model on (N, H, W, C) asks for.

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
    if any(isinstance(layer, WHOLE_IMAGE) for layer in model.layers):
        return Facts(1, None, round(cost), None)
    last = reaches[id(model.output)]
    halo = math.ceil(max(last.before, last.after))
    return Facts(int(max(scales)), halo, round(cost), _count_held(model, reaches))


def _count_held(model: keras.Model, reaches: dict[int, Reach]) -> int:
    """Return how many numbers per pixel are held when most are, each as long as a layer needs it.

    An engine that computes in place holds fewer.
    """
    steps = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    last_use = {
        id(tensor): step
        for step, layer in enumerate(steps)
        for tensor in keras.tree.flatten(layer.input)
    }
    held = {id(tensor): _size(tensor, reaches) for tensor in model.inputs}
    most = 0.0
    for step, layer in enumerate(steps):
        held[id(layer.output)] = _size(layer.output, reaches)
        most = max(most, sum(held.values()))
        held = {key: size for key, size in held.items() if last_use.get(key, step) > step}
    return math.ceil(most)


def _size(tensor: keras.KerasTensor, reaches: dict[int, Reach]) -> float:
    """Return how many numbers a tensor holds per pixel of the image."""
    features = math.ceil(tensor.shape[-1] / LANES) * LANES
    return float(features / reaches[id(tensor)].scale ** 2)


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
            "describe it in models/receptive_field.py."
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
