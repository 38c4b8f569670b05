"""The denoising autoencoder with a dense code: it represents an image by 16 numbers."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
from keras import layers

from quietpixel.array_types import FloatArray
from quietpixel.errors import ArgumentError

Half = Callable[[FloatArray], FloatArray]

CODE = "code"
"""The name of the layer whose output is the code."""


def build_bottleneck(
    *,
    channels: int = 1,
    size: int = 28,
    filters: Sequence[int] = (32, 64),
    kernel_sizes: Sequence[int] = (3, 3),
    code: int = 16,
    dropout: float = 0.1,
) -> keras.Model:
    """Return the convolutional autoencoder with a dense code.

    The encoder has two convolutions with ReLU and stride 2, dropout, and a dense code; the decoder
    a dense layer, two transposed convolutions with ReLU and stride 2, and a sigmoid output.
    `encoder` and `decoder` give its two halves.

    Parameters
    ----------
    channels
        1 (gray) or 3 (RGB).
    size
        Height and width of the images in pixels, a multiple of 4.
    filters
        Filters of the two convolutions.
    kernel_sizes
        Height and width of the filters of these two; those of the decoder are 3 x 3.
    code
        Length of the code.
    dropout
        Fraction of the features dropped before the code in training, in [0, 1).

    Raises
    ------
    ArgumentError
        If a parameter breaks its rule.

    References
    ----------
    P. Vincent et al., "Extracting and composing robust features with denoising autoencoders",
    ICML 2008.
    """
    _check(size, filters, kernel_sizes, code, dropout)
    inner = (size // 4, size // 4, filters[1])  # after two strides of 2
    image = keras.Input((size, size, channels), name="image")
    x = image
    for count, side in zip(filters, kernel_sizes, strict=True):
        x = layers.Conv2D(count, side, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.Dropout(dropout)(x))
    x = layers.Dense(code, name=CODE)(x)
    x = layers.Reshape(inner)(layers.Dense(math.prod(inner))(x))
    x = layers.Conv2DTranspose(filters[1], 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(filters[0], 3, strides=2, padding="same", activation="relu")(x)
    # In float32 at any precision: the 8 bits of bfloat16 would show as steps.
    x = layers.Conv2D(channels, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    return keras.Model(image, x, name="bottleneck")


def encoder(model: keras.Model) -> keras.Model:
    """Return the half of `model` that maps images to codes, (N, code) float32."""
    return keras.Model(model.input, model.get_layer(CODE).output, name="encoder")


def decoder(model: keras.Model) -> keras.Model:
    """Return the half of `model` that maps codes to images."""
    return keras.Model(model.get_layer(CODE).output, model.output, name="decoder")


def _check(
    size: int, filters: Sequence[int], kernel_sizes: Sequence[int], code: int, dropout: float
) -> None:
    if size < 4 or size % 4:
        raise ArgumentError(
            "`size` must be a multiple of 4 because the bottleneck halves the image twice; "
            f"got {size}. Try {max(4, round(size / 4) * 4)}."
        )
    for name, values in (("filters", filters), ("kernel_sizes", kernel_sizes)):
        if len(values) != 2 or min(values) < 1:
            raise ArgumentError(
                f"`{name}` must be two numbers of at least 1, one per convolution; "
                f"got {tuple(values)}."
            )
    if code < 1:
        raise ArgumentError(f"`code` must be at least 1 because it is a length; got {code}.")
    if not 0 <= dropout < 1:
        raise ArgumentError(
            f"`dropout` must lie in [0, 1) because it is a fraction of the features; got {dropout}."
        )


def open_halves(path: Path) -> tuple[Half, Half]:
    """Return `encode` and `decode` of a model with a code, saved as a ``.keras`` file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    encode
        Maps images (N, H, W, C) in [0, 1] to codes (N, code), both float32.
    decode
        Maps codes to images.
    """
    model = keras.models.load_model(path)
    # `predict` in batches, because one call on thousands of images would need all their features.
    halves = [
        partial(half(model).predict, batch_size=250, verbose=0) for half in (encoder, decoder)
    ]
    return halves[0], halves[1]
