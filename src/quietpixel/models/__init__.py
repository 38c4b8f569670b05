"""The autoencoders, built in Keras and registered by name; Keras is loaded where one is built."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from quietpixel.errors import ArgumentError, check_known, check_number

if TYPE_CHECKING:
    import keras

__all__ = ["MODELS", "build", "complete_options", "model_options"]


MODELS: dict[str, "str | Callable[..., keras.Model]"] = {
    "bottleneck": "quietpixel.models.bottleneck:build_bottleneck",
    "unet": "quietpixel.models.unet:build_unet",
}
"""The builder of every model by its name, or where it is: module and function.

The parameters of a builder are the options of its model. Five names have a meaning elsewhere:
`channels` (of the images), `size` (the only height and width it takes), `code` (length of the
output of the layer ``code``), `sigma` (whether it takes the noise level) and `blocks` (one number
for each of `filters`).
"""


def model_options(name: str) -> dict[str, Any]:
    """Return the options of a model with their defaults, from the signature of its builder.

    Parameters
    ----------
    name
        A name in `MODELS`.

    Raises
    ------
    UnknownNameError
        If there is no model of that name.

    Examples
    --------
    >>> model_options("bottleneck")["code"]
    16
    """
    parameters = inspect.signature(_find_builder(name)).parameters
    return {key: one.default for key, one in parameters.items()}


def _find_builder(name: str) -> "Callable[..., keras.Model]":
    check_known("model", name, MODELS)
    found = MODELS[name]
    return resolve_name(found) if isinstance(found, str) else found


def complete_options(
    name: str, options: Mapping[str, Any], *, channels: int, size: int | None = None
) -> dict[str, Any]:
    """Return `options` with `channels` and `size` of the images where the model takes them.

    Parameters
    ----------
    name
        A name in `MODELS`.
    options
        Options of the model; they take precedence.
    channels
        1 (gray) or 3 (RGB).
    size
        Height and width of the images in pixels; None if they have several sizes.

    Raises
    ------
    UnknownNameError
        If there is no model of that name.
    """
    # Options win, because a model may be made for other images than those at hand.
    images = {"channels": channels} | ({} if size is None else {"size": size})
    known = model_options(name)
    return {key: value for key, value in images.items() if key in known} | dict(options)


def build(name: str, **options: Any) -> "keras.Model":
    """Return a new Keras model.

    Parameters
    ----------
    name
        A name in `MODELS`.
    options
        Options of that model; see `model_options`.

    Raises
    ------
    UnknownNameError
        If there is no model of that name.
    ArgumentError
        If the model has no such option, or an option breaks its rule.
    """
    known = model_options(name)
    # Python's own error would name the builder and not the model.
    for option, value in options.items():
        if option not in known:
            raise ArgumentError(
                f"The model '{name}' cannot be built with `{option}` because it has no such "
                f"option; its options are {', '.join(known)}."
            )
        several = isinstance(known[option], tuple)
        if several and not isinstance(value, Sequence):
            raise ArgumentError(f"`{option}` must be several whole numbers; got {value!r}.")
        if several or type(known[option]) is int:
            for each in value if several else (value,):
                check_number(option, each)
    return _find_builder(name)(**options)
