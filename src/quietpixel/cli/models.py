"""`quietpixel models`: lists the bundled models, the user's own, and their cards."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import Command

if TYPE_CHECKING:
    from quietpixel.card import Card


EXAMPLES = ("quietpixel models", "quietpixel models photo --json")


@click.command(cls=Command, examples=EXAMPLES)
def command() -> None:
    """List the bundled models and your own, and their cards."""
    from quietpixel.inference.engine import read_card
    from quietpixel.inference.model_store import known_models

    models = known_models()
    if not models:
        click.echo("This installation has no models; train one with 'quietpixel train'.")
    for name, path in models.items():
        click.echo(describe_card(name, read_card(path)))


def describe_card(name: str, card: "Card") -> str:
    """Return the name of a model, and below it one line for each field of its card."""
    lines = [f"  {word:<11} {text}" for word, text in _facts(card) if text]
    return "\n".join([name, *lines, ""])


def _facts(card: "Card") -> Iterator[tuple[str, str]]:
    yield "layers", card.architecture
    yield "images", _images(card)
    noise = card.noise or "that of the images it was trained on"
    yield "noise", noise + (" (takes sigma)" if card.sigma_input else "")
    yield "weights", f"{card.parameters:,}" if card.parameters else ""
    yield "cost", f"{card.operations:,} multiply-adds per pixel" if card.operations else ""
    yield "scores", _flat(card.scores)
    yield "trained on", card.data
    yield "licence", card.licence
    yield "not for", card.not_for


def _images(card: "Card") -> str:
    colours = "gray" if card.channels == 1 else "RGB"
    if card.size is None:
        return f"{colours}, any size"
    return f"{colours}, {card.size[1]} x {card.size[0]} pixels only"


def _flat(values: Mapping[str, Any]) -> str:
    """Return nested values as one line of words.

    Examples
    --------
    >>> _flat({"mnist": {"mse": 0.0124, "count": 10000}, "note": "seed 0"})
    'mnist: mse 0.0124, count 10000; note seed 0'
    """
    parts = [
        f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in inner.items())
        if isinstance(inner, Mapping)
        else f"{name} {_short(inner)}"
        for name, inner in values.items()
    ]
    return "; ".join(parts)


def _short(value: Any) -> str:
    """Return a number with four significant digits; the card has all of them."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " to ".join(_short(each) for each in value)
    return str(value)
