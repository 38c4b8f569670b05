"""The autoencoder with skip connections and no dense code: it takes images of any size."""

from collections.abc import Sequence

import keras
from keras import layers

from quietpixel.errors import ArgumentError, check_known

OUTPUTS = ("sigmoid", "residual")
DARK = -1.0
"""Initial bias of a sigmoid output. Initialised with 0, the outputs for MNIST became all black in
the first epoch and the gradient vanished; none of five runs with -1 did that."""
LAST = 16
"""Filters at full resolution of a model whose first level is at half resolution."""
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


def build_unet(
    *,
    channels: int = 1,
    filters: Sequence[int] = (16, 40, 80),
    blocks: Sequence[int] = (0, 1, 1),
    output: str = "sigmoid",
    entry: int = 1,
    sigma: bool = False,
    block: str = "residual",
) -> keras.Model:
    """Return the skip-connected convolutional autoencoder.

    Each level halves the image; its features are added back on the way up. There is no
    normalisation over the image, so that a tile gives the same result as the whole image.

    Parameters
    ----------
    channels
        1 (gray) or 3 (RGB).
    filters
        Filters of each level, from the finest down; each further level halves the image.
    blocks
        Blocks of each level, on the way down and again on the way up.
    output
        ``"sigmoid"`` for images that fill [0, 1], or ``"residual"``: the model predicts the noise
        and subtracts it from its input.
    entry
        Stride of the first convolution: 1 for a first level at full resolution, or 2 for one at
        half resolution, which is faster on a processor for the same number of multiply-adds.
    sigma
        Whether the model also takes the noise level of each pixel, (N, H, W, 1).
    block
        ``"residual"`` (two 3x3 convolutions) or ``"convnext"`` (a 7x7 depthwise and two 1x1
        convolutions), which has a larger receptive field and takes longer per multiply-add.

    Raises
    ------
    ArgumentError, UnknownNameError
        If a parameter breaks its rule.

    References
    ----------
    O. Ronneberger et al., "U-Net", MICCAI 2015; K. Zhang et al., "Beyond a Gaussian denoiser",
    IEEE TIP 2017 (residual learning).
    """
    _check(filters, blocks, output, entry)
    check_known("block", block, BLOCKS)

    def repeat(x: keras.KerasTensor, count: int, where: str) -> keras.KerasTensor:
        for number in range(count):
            x = BLOCKS[block](x, f"{where}_{BLOCK}_{number}")
        return x

    image = keras.Input((None, None, channels), name="image")
    inputs = [image, keras.Input((None, None, 1), name="sigma")] if sigma else image
    # A map beside the image, so that the level may differ from pixel to pixel.
    x = layers.Concatenate()(inputs) if sigma else image
    # With a stride of 2, only an even kernel is padded alike on both sides.
    size = 3 if entry == 1 else 4
    x = layers.Conv2D(filters[0], size, strides=entry, padding="same", name="entry")(x)
    skips = []
    for depth in range(len(filters) - 1):
        x = repeat(x, blocks[depth], f"down_{depth}")
        skips.append(x)
        # Kernels as large as their stride, down and up: no border depends on the size of the image.
        x = layers.Conv2D(filters[depth + 1], 2, strides=2, name=f"to_{depth + 1}")(x)
    x = repeat(x, blocks[-1], "lowest")
    for depth in reversed(range(len(filters) - 1)):
        x = layers.Conv2DTranspose(filters[depth], 2, strides=2, name=f"back_to_{depth}")(x)
        x = repeat(layers.Add()([x, skips[depth]]), blocks[depth], f"up_{depth}")
    if entry > 1:
        x = layers.Conv2DTranspose(LAST, entry, strides=entry, name="exit")(x)
    return keras.Model(inputs, _finish(x, image, output), name="unet")


def _finish(x: keras.KerasTensor, image: keras.KerasTensor, output: str) -> keras.KerasTensor:
    x = layers.Conv2D(
        image.shape[-1],
        3,
        padding="same",
        activation="sigmoid" if output == "sigmoid" else None,
        # A residual model first returns its input.
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(DARK if output == "sigmoid" else 0.0),
        # At any precision: the 8 bits of bfloat16 would show as steps.
        dtype="float32",
        name="output",
    )(x)
    return x if output == "sigmoid" else layers.Subtract(dtype="float32")([image, x])


def _check(filters: Sequence[int], blocks: Sequence[int], output: str, entry: int) -> None:
    check_known("output", output, OUTPUTS)
    if len(filters) < 2 or min(filters) < 1:
        raise ArgumentError(
            "`filters` must be at least two numbers of at least 1, one per level; "
            f"got {tuple(filters)}."
        )
    if len(blocks) != len(filters) or min(blocks) < 0:
        raise ArgumentError(
            f"`blocks` must give one number of at least 0 for each of the {len(filters)} levels; "
            f"got {tuple(blocks)}."
        )
    if entry not in (1, 2):
        raise ArgumentError(
            f"`entry` must be 1 or 2 because it is the first level's stride; got {entry}."
        )
