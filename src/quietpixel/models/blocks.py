"""Residual blocks that models are built from."""

import keras
from keras import layers

BLOCK = "block"
"""Part of the names of all layers in blocks."""
LAST_OF_BLOCK = "last"
"""End of the name of the convolution whose output a block adds to its input."""


def residual_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` plus two 3x3 convolutions of it with a ReLU between them.

    Parameters
    ----------
    x
        Features (N, H, W, C).
    name
        Start of the names of the layers.
    """
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_first")(x)
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_{LAST_OF_BLOCK}")(y)
    return layers.Add()([x, y])


def convnext_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return `x` plus a 7x7 depthwise and two 1x1 convolutions of it.

    It has a larger receptive field than `residual_block` for about half the multiply-adds. It
    omits the normalisation of the paper: the result for a tile must not depend on its other pixels.

    Parameters
    ----------
    x
        Features (N, H, W, C).
    name
        Start of the names of the layers.

    References
    ----------
    Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022.
    """
    filters = x.shape[-1]
    y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_first")(x)
    y = layers.Conv2D(4 * filters, 1, activation="relu", name=f"{name}_wide")(y)
    y = layers.Conv2D(filters, 1, name=f"{name}_{LAST_OF_BLOCK}")(y)
    return layers.Add()([x, y])


BLOCKS = {"residual": residual_block, "convnext": convnext_block}
"""The blocks by name."""
