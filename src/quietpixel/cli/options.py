"""Options that click does not know: noise laws, and numbers such as ``25/255``."""

from typing import Any

import click


def read_noise(ctx: click.Context, parameter: click.Parameter, value: Any) -> str | None:
    """Check a noise law at once, before anything heavy is loaded; return it as it is written."""
    if value is None:
        return None
    from quietpixel.imaging.noise import parse_noise

    return str(parse_noise(value))


def read_sigma(ctx: click.Context, parameter: click.Parameter, value: Any) -> float | str:
    """Return a noise level: a number, also given as ``25/255``, or ``"auto"``."""
    if value == "auto":
        return "auto"
    from quietpixel.imaging.noise import parse_number

    return float(parse_number(value))
