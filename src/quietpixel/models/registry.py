"""The models by name. To add one, write its builder and enter it here."""

from collections.abc import Callable
from typing import Any

import keras

from quietpixel.errors import ArgumentError, unknown_name
from quietpixel.models.bottleneck import build_bottleneck
from quietpixel.models.unet import build_unet

MODELS: dict[str, Callable[..., keras.Model]] = {
    "bottleneck": build_bottleneck,
    "unet": build_unet,
}
"""The builder of every model by its name."""


def build(name: str, **options: Any) -> keras.Model:
    """Return a new Keras model.

    Parameters
    ----------
    name
        A name in `MODELS`.
    options
        What the builder of that model takes.

    Raises
    ------
    UnknownNameError
        If there is no model of that name.
    ArgumentError
        If the model does not take an option, or an option breaks its rule.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    try:
        return MODELS[name](**options)
    except TypeError as error:
        raise ArgumentError(f"The model '{name}' cannot be built: {error}.") from error
