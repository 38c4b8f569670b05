"""Losses that Keras does not have."""

import math
from typing import Any

import keras

FLOOR = 1e-5
"""Added to a squared error before its logarithm, so that images above 50 dB hardly count."""


@keras.saving.register_keras_serializable("quietpixel")  # type: ignore[untyped-decorator]
def hidden_squared_error(target: Any, output: Any) -> Any:
    """Return the mean squared error at the hidden pixels.

    Parameters
    ----------
    target
        (N, H, W, 2 C): noisy values, then their weights, 1 on average.
    output
        (N, H, W, C).
    """
    noisy, counts = keras.ops.split(target, 2, axis=-1)
    return keras.ops.mean(counts * keras.ops.square(output - noisy), axis=-1)


@keras.saving.register_keras_serializable("quietpixel")  # type: ignore[untyped-decorator]
def weighted_absolute_error(target: Any, output: Any) -> Any:
    """Return the mean absolute error at the pixels inside a mask.

    Parameters
    ----------
    target, output
        As for `hidden_squared_error`.
    """
    clean, weights = keras.ops.split(target, 2, axis=-1)
    return keras.ops.mean(weights * keras.ops.abs(output - clean), axis=-1)


@keras.saving.register_keras_serializable("quietpixel")  # type: ignore[untyped-decorator]
def weighted_negative_psnr(target: Any, output: Any) -> Any:
    """Return the negative peak signal-to-noise ratio of the pixels inside a mask, in dB.

    Parameters
    ----------
    target, output
        As for `hidden_squared_error`.
    """
    error = keras.ops.mean(hidden_squared_error(target, output), axis=(1, 2))
    return 10 / math.log(10) * keras.ops.log(error + FLOOR)


@keras.saving.register_keras_serializable("quietpixel")  # type: ignore[untyped-decorator]
def negative_psnr(target: Any, output: Any) -> Any:
    """Return the negative peak signal-to-noise ratio of each image in dB.

    An image with little noise counts as much as one with strong noise, which dominates the mean
    squared error of both.

    Parameters
    ----------
    target, output
        (N, H, W, C) in [0, 1].

    References
    ----------
    L. Chen et al., "Simple baselines for image restoration", ECCV 2022.
    """
    error = keras.ops.mean(keras.ops.square(output - target), axis=(1, 2, 3))
    return 10 / math.log(10) * keras.ops.log(error + FLOOR)


def find_loss(name: str) -> Any:
    """Return the loss of a recipe in the form that Keras takes.

    Parameters
    ----------
    name
        A loss of `quietpixel.training.recipe.CHOICES`.
    """
    return negative_psnr if name == "negative_psnr" else name


WEIGHTED = {
    "mean_squared_error": hidden_squared_error,
    "mean_absolute_error": weighted_absolute_error,
    "negative_psnr": weighted_negative_psnr,
}
"""The losses for targets that are followed by the weights of their pixels."""
