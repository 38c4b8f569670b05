"""Losses that Keras does not have."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("quietpixel")  # type: ignore[untyped-decorator]
def hidden_squared_error(target: Any, output: Any) -> Any:
    """Return the mean squared error at the hidden pixels.

    Parameters
    ----------
    target
        (N, H, W, 2 C): noisy values, then how much each counts, 1 on average.
    output
        (N, H, W, C).
    """
    noisy, counts = keras.ops.split(target, 2, axis=-1)
    return keras.ops.mean(counts * keras.ops.square(output - noisy), axis=-1)
