"""Pieces that models are put together from."""

import keras
from keras import layers


def residual_block(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return `x` plus what two 3x3 convolutions with a ReLU between them make of it."""
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(filters, 3, padding="same")(y)
    return layers.Add()([x, y])
