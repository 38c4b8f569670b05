"""Gives a model the weights of another that is not built quite alike: for colour, or smaller."""

import keras
import numpy as np

from quietpixel.errors import ModelError
from quietpixel.models.blocks import BLOCK, LAST_OF_BLOCK


def transfer(source: keras.Model, target: keras.Model) -> None:
    """Give `target` the weights of `source` in such a way that it answers the same at first.

    A colour model becomes a gray one: what a convolution takes of red, green and blue is added up,
    and what the last one gives of them is averaged, so that it answers as the colour model does to
    three equal channels. Noise that is the same in all channels was no part of what a colour model
    learnt, so that this is a start for training and no end. Blocks that only `target` has begin
    as if they were not there: the last convolution of each gets zeros.

    Parameters
    ----------
    source, target
        Models with the same layers, but for the channels of the images and further blocks of a
        U-Net's levels.

    Raises
    ------
    ModelError
        If their layers differ in more than that.

    References
    ----------
    T. Chen, I. Goodfellow, J. Shlens, "Net2Net: Accelerating learning via knowledge transfer",
    ICLR 2016 (growing by identity).
    """
    given = {layer.name: layer for layer in _weighted(source)}
    wanted = _weighted(target)
    if len(given) == len(wanted):  # names that Keras gave count up from model to model
        given = dict(zip((layer.name for layer in wanted), given.values(), strict=True))
    for layer in wanted:
        if layer.name in given:
            _give(layer, given.pop(layer.name))
        elif BLOCK not in layer.name:
            raise _unlike(f"only one of both has a layer '{layer.name}'")
        elif layer.name.endswith(LAST_OF_BLOCK):
            layer.set_weights([np.zeros(weight.shape, np.float32) for weight in layer.weights])
    if given:
        raise _unlike(f"only one of both has a layer '{next(iter(given))}'")


def _weighted(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]


def _give(layer: keras.layers.Layer, source: keras.layers.Layer) -> None:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    pairs = zip(source.get_weights(), shapes, strict=True)
    layer.set_weights([_fold(values, shape) for values, shape in pairs])


def _fold(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4 and values.shape[2] == shape[2] + 2:
        values = np.concatenate([values[:, :, :3].sum(axis=2, keepdims=True), values[:, :, 3:]], 2)
    if values.shape[-1] == 3 and shape[-1] == 1:
        values = values.mean(axis=-1, keepdims=True)
    if values.shape != shape:
        raise _unlike(f"weights of shape {values.shape} for {shape}")
    return values


def _unlike(what: str) -> ModelError:
    return ModelError(f"The layers differ in more than colour and further blocks: {what}.")
