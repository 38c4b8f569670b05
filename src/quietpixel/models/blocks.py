"""Pieces that models are put together from."""

import keras
from keras import layers

FAR = 7
"""Height and width of what one depthwise convolution sees."""
WIDER = 4
"""How many times as many features a ConvNeXt block thinks in as it takes and gives."""
BLOCK = "block"
"""A part of the names of all layers in blocks."""
LAST_OF_BLOCK = "last"
"""How the name of the convolution ends that a block adds to what it was given."""


def residual_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` plus what two 3x3 convolutions with a ReLU between them make of it."""
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_first")(x)
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_{LAST_OF_BLOCK}")(y)
    return layers.Add()([x, y])


def convnext_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` plus what a 7x7 depthwise and two 1x1 convolutions make of it.

    It sees farther than `residual_block` for about half the cost. The normalisation of the paper
    is left out: what a tile gives must not depend on the rest of the tile.

    References
    ----------
    Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022.
    """
    filters = x.shape[-1]
    y = layers.DepthwiseConv2D(FAR, padding="same", name=f"{name}_first")(x)
    y = layers.Conv2D(WIDER * filters, 1, activation="relu", name=f"{name}_wide")(y)
    y = layers.Conv2D(filters, 1, name=f"{name}_{LAST_OF_BLOCK}")(y)
    return layers.Add()([x, y])


BLOCKS = {"residual": residual_block, "convnext": convnext_block}
"""The blocks by name."""
