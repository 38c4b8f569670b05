"""`quietpixel models`: lists the bundled models, the user's own, and their cards."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import MODEL, Command
from quietpixel.cli.tables import format_table

if TYPE_CHECKING:
    from quietpixel.card import Card


EXAMPLES = ("quietpixel models", "quietpixel models photo --json")


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("name", metavar="[NAME]", type=MODEL, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the whole cards as JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the bundled models and your own, or show the card of one.

    NAME is one of the names, a run folder or an .onnx file.
    """
    from quietpixel.inference.model_file import read_card
    from quietpixel.inference.model_store import find_model, known_models

    paths = known_models() if name is None else {name: find_model(name)}
    cards = {each: read_card(path) for each, path in paths.items()}
    if as_json:
        # A model goes by the name of its file, which may differ from that in its card.
        entries = [asdict(card) | {"name": each} for each, card in cards.items()]
        click.echo(json.dumps(entries if name is None else entries[0], indent=2))
    elif name is not None:
        click.echo(describe_card(name, cards[name]))
    elif cards:
        # Colour first: the model that photographs get is among them.
        ordered = sorted(cards.items(), key=lambda entry: -entry[1].channels)
        rows = [("name", "images", "noise", "weights"), *map(_row, ordered)]
        click.echo(format_table(rows, numbers=[3]))
        click.echo("\n'quietpixel models NAME' shows the card of a model.")
    else:
        click.echo("This installation has no models; train one with 'quietpixel train DATA'.")


def _row(entry: "tuple[str, Card]") -> tuple[str, ...]:
    name, card = entry
    # A mixture of laws would be wider than a terminal; the card has all of them.
    laws = [law.partition(",")[0] for law in card.noise.split("|")]
    kinds = dict.fromkeys(law.partition(":")[0].rpartition("*")[2] for law in laws)
    noise = ", ".join(kinds) or "learned from images"
    weights = f"{card.parameters:,}" if card.parameters else ""
    return name, _images(card), laws[0] if len(laws) == 1 and laws[0] else noise, weights


def describe_card(name: str, card: "Card") -> str:
    """Return the name of a model, and below it each field of its card."""
    lines = [
        click.wrap_text(text, 98, initial_indent=f"  {word:<11} ", subsequent_indent=14 * " ")
        for word, text in _facts(card)
        if text
    ]
    return "\n".join([name, *lines])


def _facts(card: "Card") -> Iterator[tuple[str, str]]:
    yield "layers", card.architecture
    yield "images", _images(card)
    noise = card.noise or "that of the images it was trained on"
    if card.training_range:
        low, high = card.training_range
        yield "scale", f"black {low:.6g}, white {high:.6g} in training"
    yield "noise", noise + (" (takes sigma)" if card.sigma_input else "")
    yield "weights", f"{card.parameters:,}" if card.parameters else ""
    yield "cost", f"{card.operations:,} multiply-adds per pixel" if card.operations else ""
    yield "scores", _flat(card.scores)
    yield "trained on", card.data
    yield "licence", card.licence
    yield "not for", card.not_for


def _images(card: "Card") -> str:
    colours = "gray" if card.channels == 1 else "colour and gray"
    if card.only_size is None:
        return f"{colours}, any size"
    return f"{colours}, {card.only_size[1]} x {card.only_size[0]} pixels only"


def _flat(values: Mapping[str, Any]) -> str:
    """Return nested values as one line of words.

    Examples
    --------
    >>> _flat({"mnist": {"mse": 0.0124, "count": 10000}, "note": "seed 0"})
    'mnist: mse 0.0124, count 10000; note seed 0'
    """
    parts = [
        f"{name}: " + ", ".join(_score(key, value) for key, value in inner.items())
        if isinstance(inner, Mapping)
        else f"{name} {_short(inner)}"
        for name, inner in values.items()
    ]
    return "; ".join(parts)


def _score(name: str, value: Any) -> str:
    if name.startswith("negative_"):  # a loss, which training makes small
        return f"{name.removeprefix('negative_')} {_short(-value)}"
    return f"{name} {_short(value)}"


def _short(value: Any) -> str:
    """Return a number with four significant digits; the card has all of them."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " to ".join(_short(each) for each in value)
    return str(value)
