"""Reads what a request asks for in its address, with the sentences of the command line."""

from collections.abc import Collection

from starlette.datastructures import QueryParams

from quietpixel.errors import ArgumentError, unknown_name
from quietpixel.files import find_format
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise.parser import parse_number
from quietpixel.web.processing import DenoiseRequest

WORDS = ("model", "sigma", "strength", "colour_strength", "format")


def read_denoise_request(query: QueryParams, *, more: Collection[str] = ()) -> DenoiseRequest:
    """Return what a query asks for.

    Parameters
    ----------
    query
        The query of the address.
    more
        Words that others read.

    Raises
    ------
    QuietpixelError
        If a word is not known, said twice, or its value breaks its rule.
    """
    check_words(query, (*WORDS, *more))
    sigma, colour = query.get("sigma", "auto"), query.get("colour_strength")
    format = query.get("format")
    options = DenoiseOptions(
        model=query.get("model"),
        sigma="auto" if sigma == "auto" else _number("sigma", sigma),
        strength=_number("strength", query.get("strength", "1")),
        colour_strength=None if colour is None else _number("colour_strength", colour),
    )
    return DenoiseRequest(options, None if format is None else find_format(format).name)


def check_words(query: QueryParams, known: Collection[str]) -> None:
    """Raise unless each word of a query is known and said once."""
    seen = set()
    for word, _ in query.multi_items():
        if word not in known:
            raise unknown_name("query parameter", word[:100], known)
        if word in seen:
            raise ArgumentError(f"`{word}` must be given once because one picture comes back.")
        seen.add(word)


def _number(word: str, text: str) -> float:
    try:
        return float(parse_number(text))
    except ArgumentError:
        other = "'auto', " if word == "sigma" else ""
        raise ArgumentError(
            f"`{word}` must be {other}a number or a fraction such as 25/255; got '{text[:100]}'."
        ) from None
