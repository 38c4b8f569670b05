"""Options that click does not know: noise laws, and numbers such as ``25/255``."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import click

from quietpixel.errors import ArgumentError

Record = TypeVar("Record")


def fill(kind: type[Record], values: Mapping[str, Any], **more: Any) -> Record:
    """Return a dataclass whose fields have the values of the options of their names."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names}, **more)


def option_names(command: click.Command) -> frozenset[str]:
    """Return the names of the arguments that a command takes as options."""
    options = (each for each in command.params if isinstance(each, click.Option))
    return frozenset(each.name for each in options if each.name)


def read_noise(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check a noise law at once, before anything heavy is loaded; ``"auto"`` is none to check."""
    if value is None or value == "auto":
        return value
    from quietpixel.noise.parser import parse_noise

    return str(parse_noise(value))


def read_sigma(ctx: click.Context, parameter: click.Parameter, value: Any) -> float | str:
    """Return a noise level: a number, also given as ``25/255``, or ``"auto"``."""
    if value == "auto":
        return "auto"
    from quietpixel.noise.parser import parse_number

    return float(parse_number(value))


def read_level(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Return a noise level as `read_sigma` does, or a map of it where the value names a file."""
    from pathlib import Path

    if value != "auto" and Path(value).is_file():
        from quietpixel.inference.level import read_map

        return read_map(Path(value))
    return read_sigma(ctx, parameter, value)


def read_counts(lowest: int, example: str) -> Callable[..., tuple[int, ...] | None]:
    """Return a callback that reads whole numbers with commas between, such as ``64,128``."""

    def read(
        ctx: click.Context, parameter: click.Parameter, value: str | None
    ) -> tuple[int, ...] | None:
        if value is None:
            return None
        parts = value.split(",")
        if not all(part.strip().isdecimal() and int(part) >= lowest for part in parts):
            raise ArgumentError(
                f"--{parameter.name} must be whole numbers of at least {lowest} with commas "
                f"between; got '{value}'. Try {example}."
            )
        return tuple(int(part) for part in parts)

    return read


SPELLED = {"start": "from"}
"""Arguments of the library whose option has another name."""


def name_options(sentence: str, names: Collection[str]) -> str:
    """Return a sentence of the library with its arguments named as options.

    Examples
    --------
    >>> name_options("`max_pixels` of `image` is 9.", {"max_pixels"})
    '--max-pixels of `image` is 9.'
    >>> name_options("Omit `start`.", {"start"})
    'Omit --from.'
    """

    def name(match: re.Match[str]) -> str:
        word = SPELLED.get(match[1], match[1])
        return f"--{word.replace('_', '-')}" if match[1] in names else match[0]

    return re.sub(r"`(\w+)`", name, sentence)
