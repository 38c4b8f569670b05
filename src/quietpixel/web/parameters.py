"""Query parameters of requests: their OpenAPI description and their reader."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams

from quietpixel.batch.denoise import Settings
from quietpixel.errors import ArgumentError, unknown_name
from quietpixel.files import writable_formats
from quietpixel.imaging.axes import CHANNELS
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise.parser import parse_number

_SIGMA: list[dict[str, Any]] = [
    {"type": "number", "minimum": 0},
    {"type": "string", "enum": ["auto"]},
    {"type": "string", "pattern": r"^[0-9]{1,3}/255$"},
]
_DESCRIPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"type": "string"}, "A name from /v1/models [default: the model for photographs]."),
    "sigma": (
        {"anyOf": _SIGMA, "default": "auto", "examples": ["25/255"]},
        "Noise level on the [0, 1] scale or as a fraction such as 25/255, for models that take it; "
        "'auto' estimates it.",
    ),
    "strength": (
        {"type": "number", "minimum": 0, "maximum": 2, "default": 1, "examples": [0.8]},
        "From 0 to 1, the share of the result in its blend with the input; from 1 to 2, a factor "
        "on the noise level given to the model.",
    ),
    "colour_strength": (
        {"type": "number", "minimum": 0, "maximum": 2, "examples": [1.5]},
        "As strength, for colour differences alone [default: strength].",
    ),
    "law": (
        {"type": "string", "examples": ["poisson:400+gaussian:0.02"]},
        "Law of the photon noise; 'auto' measures it, 'none' does without "
        "[default: that of the service].",
    ),
    "channels": (
        {"type": "string", "enum": list(CHANNELS)},
        "'rgb' for colours, 'separate' for channels that are denoised one by one, such as those of "
        "fluorescence; 'auto' finds which [default: that of the service].",
    ),
    "format": (
        {"type": "string", "enum": list(writable_formats())},
        "Format of the result [default: that of the image].",
    ),
}
PARAMETERS = [
    {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
    for name, (schema, description) in _DESCRIPTIONS.items()
]


def read_settings(
    query: QueryParams, defaults: DenoiseOptions, max_pixels: int, *, more: Collection[str] = ()
) -> Settings:
    """Return the settings for the image of a request.

    Parameters
    ----------
    query
        Query of the address.
    defaults
        Options for everything that the query does not give, except `model`.
    max_pixels
        Most pixels that the image may have.
    more
        Parameters that the caller reads itself.

    Raises
    ------
    QuietpixelError
        If a parameter is unknown, repeated or invalid.
    """
    check_names(query, (*_DESCRIPTIONS, *more))
    # Only what is given: the service may have other defaults than the library.
    given = {
        name: read_number(name, query[name])
        for name in ("sigma", "strength", "colour_strength")
        if name in query
    }
    given |= {name: query[name] for name in ("law", "channels") if name in query}
    options = replace(defaults, model=query.get("model"), **given)
    return Settings(options=options, format=query.get("format"), max_pixels=max_pixels)


def check_names(query: QueryParams, known: Collection[str]) -> None:
    """Raise unless each parameter of a query is known and given once."""
    seen = set()
    # A query can give a name twice; a mapping would keep one of them without a word.
    for name, _ in query.multi_items():
        if name not in known:
            # Cut, because the text comes from anyone and goes into the reply.
            raise unknown_name("query parameter", name[:100], known)
        if name in seen:
            raise ArgumentError(f"`{name}` must be given once because one image comes back.")
        seen.add(name)


def read_number(name: str, text: str) -> Any:
    """Return the number of a parameter; a noise level may also be ``"auto"``."""
    if name == "sigma" and text == "auto":
        return text
    try:
        return float(parse_number(text))
    except ArgumentError:
        other = "'auto', " if name == "sigma" else ""
        raise ArgumentError(
            f"`{name}` must be {other}a number or a fraction such as 25/255; got '{text[:100]}'."
        ) from None
