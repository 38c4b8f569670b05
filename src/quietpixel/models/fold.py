"""Turns the weights of a colour model into those of a gray one."""

import keras
import numpy as np

from quietpixel.errors import ModelError


def fold_to_gray(colour: keras.Model, gray: keras.Model) -> None:
    """Give `gray` the weights that make it answer as `colour` does to three equal channels.

    What a convolution takes of red, green and blue is added up, and what the last one gives of
    them is averaged; all layers between stay as they are. Noise that is the same in all channels
    was no part of what a colour model learnt, so that this is a start for training and no end.

    Parameters
    ----------
    colour, gray
        Models of the same layers for images of 3 and of 1 channel.

    Raises
    ------
    ModelError
        If their layers differ in more than that.
    """
    for source, target in zip(_weighted(colour), _weighted(gray), strict=True):
        shapes = [tuple(weight.shape) for weight in target.weights]
        pairs = zip(source.get_weights(), shapes, strict=True)
        target.set_weights([_fold(values, shape) for values, shape in pairs])


def _weighted(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]


def _fold(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4 and values.shape[2] == shape[2] + 2:
        values = np.concatenate([values[:, :, :3].sum(axis=2, keepdims=True), values[:, :, 3:]], 2)
    if values.shape[-1] == 3 and shape[-1] == 1:
        values = values.mean(axis=-1, keepdims=True)
    if values.shape != shape:
        raise ModelError(
            f"A colour model can be folded to gray only where the layers are alike; got weights of "
            f"shape {values.shape} for {shape}. Build both with the same options."
        )
    return values
