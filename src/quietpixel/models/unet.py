"""The autoencoder with skip connections and no dense code: it takes images of any size."""

from collections.abc import Sequence

import keras
from keras import layers

from quietpixel.errors import ArgumentError, unknown_name
from quietpixel.models.blocks import residual_block

OUTPUTS = ("sigmoid", "residual")


def build_unet(
    *,
    channels: int = 1,
    filters: Sequence[int] = (16, 40, 80),
    blocks: Sequence[int] = (0, 1, 1),
    output: str = "sigmoid",
) -> keras.Model:
    """Return the skip-connected convolutional autoencoder.

    Each level halves the image; what a level knew is added back on the way up. There is no
    whole-image normalisation, so a tile sees what the whole would.

    Parameters
    ----------
    channels
        1 (gray) or 3 (RGB).
    filters
        Filters of each level, from full resolution down; each further level halves the image.
    blocks
        Residual blocks of each level, on the way down and again on the way up.
    output
        ``"sigmoid"`` for images that fill [0, 1], or ``"residual"``: the output is the input less
        the noise that was found.

    Raises
    ------
    ArgumentError, UnknownNameError
        If a parameter breaks its rule.

    References
    ----------
    O. Ronneberger et al., "U-Net", MICCAI 2015; K. Zhang et al., "Beyond a Gaussian denoiser",
    IEEE TIP 2017 (residual learning).
    """
    _check(filters, blocks, output)
    image = keras.Input((None, None, channels), name="image")
    x = layers.Conv2D(filters[0], 3, padding="same")(image)
    skips = []
    for level in range(len(filters) - 1):
        x = _repeat(x, blocks[level])
        skips.append(x)
        x = layers.Conv2D(filters[level + 1], 2, strides=2)(x)
    x = _repeat(x, blocks[-1])
    for level in reversed(range(len(filters) - 1)):
        x = layers.Conv2DTranspose(filters[level], 2, strides=2)(x)
        x = _repeat(layers.Add()([x, skips[level]]), blocks[level])
    return keras.Model(image, _finish(x, image, output), name="unet")


def _repeat(x: keras.KerasTensor, count: int) -> keras.KerasTensor:
    for _ in range(count):
        x = residual_block(x)
    return x


def _finish(x: keras.KerasTensor, image: keras.KerasTensor, output: str) -> keras.KerasTensor:
    channels = image.shape[-1]
    if output == "sigmoid":
        x = layers.Activation("relu")(x)
        return layers.Conv2D(channels, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    noise = layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros", dtype="float32")(
        x
    )
    return layers.Subtract(dtype="float32")([image, noise])


def _check(filters: Sequence[int], blocks: Sequence[int], output: str) -> None:
    if output not in OUTPUTS:
        raise unknown_name("output", output, OUTPUTS)
    if len(filters) < 2 or min(filters) < 1:
        raise ArgumentError(
            "`filters` must be at least two numbers of at least 1, one a level; "
            f"got {tuple(filters)}."
        )
    if len(blocks) != len(filters) or min(blocks) < 0:
        raise ArgumentError(
            f"`blocks` must give one number of at least 0 for each of the {len(filters)} levels; "
            f"got {tuple(blocks)}."
        )
