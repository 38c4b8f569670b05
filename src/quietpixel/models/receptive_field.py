"""What a model needs, computed from its layers: divisor, halo, cost and memory.

For each tensor we track how many input pixels one of its pixels spans (`scale`), and how far
before and after its position it depends on the input.
"""

import math
from dataclasses import dataclass, replace

import keras
from keras import layers

from quietpixel.errors import ModelError

LANES = 16
"""Engines store features in blocks of this many and pad the last block."""
WHOLE_IMAGE = (layers.Dense, layers.Flatten, layers.Reshape)
POINTWISE = (
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.Dropout,
    layers.Multiply,
    layers.Subtract,
    layers.Add,
    layers.Concatenate,
)


@dataclass(frozen=True)
class Reach:
    """How far a pixel of a tensor depends on the input.

    Parameters
    ----------
    before, after
        Distance in input pixels.
    scale
        Input pixels that one pixel of the tensor spans.
    """

    before: float = 0.0
    after: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Facts:
    """What a model needs.

    Parameters
    ----------
    divisor
        Height and width of an image must be multiples of this, in pixels.
    halo
        Distance in pixels at which other pixels still affect a pixel; None for the whole image.
    operations
        Multiply-adds per pixel.
    values
        Largest number of values stored at once, per pixel; None for a model that depends on the
        whole image.
    """

    divisor: int
    halo: int | None
    operations: int
    values: int | None


def measure_model(model: keras.Model) -> Facts:
    """Return what a functional Keras model on (N, H, W, C) needs.

    Parameters
    ----------
    model
        The model; its weights do not matter.

    Raises
    ------
    ModelError
        If the reach of a layer is not known.
    """
    reaches = {id(tensor): Reach() for tensor in model.inputs}
    cost = 0.0
    for layer in _steps(model):
        incoming = [reaches[id(tensor)] for tensor in keras.tree.flatten(layer.input)]
        joined = Reach(
            max(reach.before for reach in incoming),
            max(reach.after for reach in incoming),
            max(reach.scale for reach in incoming),
        )
        reaches[id(layer.output)] = outgoing = _extend(joined, layer)
        cost += _cost(layer, joined, outgoing, model)
    # One such layer is enough: every output then depends on every pixel.
    if any(isinstance(layer, WHOLE_IMAGE) for layer in model.layers):
        return Facts(1, None, round(cost), None)
    last = reaches[id(model.output)]
    # The coarsest level must have whole pixels.
    divisor = int(max(reach.scale for reach in reaches.values()))
    halo = math.ceil(max(last.before, last.after))
    return Facts(divisor, halo, round(cost), _count_held(model, reaches))


def _steps(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]


def _count_held(model: keras.Model, reaches: dict[int, Reach]) -> int:
    """Return the largest number of values per pixel, each stored as long as a layer needs it.

    An engine that computes in place stores fewer.
    """
    steps = _steps(model)
    last_use = {
        id(tensor): step
        for step, layer in enumerate(steps)
        for tensor in keras.tree.flatten(layer.input)
    }

    def size(tensor: keras.KerasTensor) -> float:
        features = math.ceil(tensor.shape[-1] / LANES) * LANES
        return float(features / reaches[id(tensor)].scale ** 2)

    held = {id(tensor): size(tensor) for tensor in model.inputs}
    most = 0.0
    for step, layer in enumerate(steps):
        held[id(layer.output)] = size(layer.output)
        most = max(most, sum(held.values()))
        held = {key: values for key, values in held.items() if last_use.get(key, step) > step}
    return math.ceil(most)


def _extend(reach: Reach, layer: keras.layers.Layer) -> Reach:
    if isinstance(layer, layers.Conv2DTranspose):
        kernel, stride = layer.kernel_size[0], layer.strides[0]
        # Padding `same` cuts what is too much, half of it at the start.
        scale, crop = reach.scale / stride, max(kernel - stride, 0) // 2
        before, after = reach.before + (kernel - 1 - crop) * scale, reach.after + crop * scale
        return Reach(before, after, scale)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        stride, spread = layer.strides[0], layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        left = max(spread + 1 - stride, 0) // 2 if layer.padding == "same" else 0
        before, after = left * reach.scale, (spread - left) * reach.scale
        return Reach(reach.before + before, reach.after + after, reach.scale * stride)
    if isinstance(layer, layers.UpSampling2D):
        scale = reach.scale / layer.size[0]
        return replace(reach, before=reach.before + (layer.size[0] - 1) * scale, scale=scale)
    if not isinstance(layer, (*POINTWISE, *WHOLE_IMAGE)):
        raise ModelError(
            f"The reach of the layer '{layer.name}' ({type(layer).__name__}) is not known; "
            "describe it in models/receptive_field.py."
        )
    return reach


def _cost(layer: keras.layers.Layer, incoming: Reach, outgoing: Reach, model: keras.Model) -> float:
    if not hasattr(layer, "kernel"):
        return 0.0
    weights = math.prod(layer.kernel.shape)
    # Its cost is that of a whole image, here shared out to the pixels.
    if isinstance(layer, layers.Dense):
        return float(weights / math.prod(model.inputs[0].shape[1:3]))
    # A transposed convolution multiplies at each pixel of its input, others of their output.
    scale = incoming.scale if isinstance(layer, layers.Conv2DTranspose) else outgoing.scale
    return float(weights / scale**2)
