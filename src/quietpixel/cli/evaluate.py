"""`quietpixel evaluate`: judges a model on the test split of a data set."""

import json
from pathlib import Path
from typing import Any

import click

from quietpixel.cli.options import read_noise


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--noise", metavar="LAW", callback=read_noise, help="Left out: the law of the model.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For the noise."
)
@click.option("--classical", is_flag=True, help="Judge the classical methods too.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the data's files.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(allow_dash=True, path_type=Path),
    help="Write the numbers as JSON; - for standard output.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write a report as HTML.")
def command(model: str, data: str, json_file: Path | None, **options: Any) -> None:
    """Judge a model on test images.

    MODEL is a bundled name, a run folder or a file. DATA is digits, mnist or fashion-mnist.
    """
    from quietpixel import api
    from quietpixel.cli.progress import show_progress

    with show_progress() as view:
        evaluation = api.evaluate(model, data, on_progress=view, **options)
    text = evaluation.to_json()
    if str(json_file) == "-":
        click.echo(text)
        return
    show_evaluation(text)
    if json_file is not None:
        write_json(json_file, text)


def show_evaluation(text: str) -> None:
    """Print what was judged, and the table of the methods."""
    from quietpixel.cli.table import format_table

    facts = json.loads(text)
    click.echo(
        f"{facts['count']:,} images of {facts['data']} ({facts['split']}), "
        f"{facts['noise']}, seed {facts['seed']}"
    )
    click.echo(format_table(facts["methods"]))


def write_json(path: Path, text: str) -> None:
    """Write `text` so that no half file is ever there under this name."""
    from quietpixel.files.atomic import atomic_file

    with atomic_file(path, overwrite=True) as file:
        file.write(text.encode() + b"\n")
