"""Copies the weights of one model into another that differs in channels or in blocks."""

import keras
import numpy as np

from quietpixel.errors import ModelError
from quietpixel.models.blocks import BLOCK, LAST_OF_BLOCK


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
            raise _unlike(f"only one of both has a layer '{layer.name}'")
        elif layer.name.endswith(LAST_OF_BLOCK):
            layer.set_weights([np.zeros(shape, np.float32) for shape in shapes])
    if given:
        raise _unlike(f"only one of both has a layer '{next(iter(given))}'")


def _fold(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4 and values.shape[2] == shape[2] + 2:
        values = np.concatenate([values[:, :, :3].sum(axis=2, keepdims=True), values[:, :, 3:]], 2)
    if values.shape[-1] == 3 and shape[-1] == 1:
        values = values.mean(axis=-1, keepdims=True)
    if values.shape != shape:
        raise _unlike(f"weights of shape {values.shape} for {shape}")
    return values


def _unlike(what: str) -> ModelError:
    return ModelError(f"The layers differ in more than colour and additional blocks: {what}.")
