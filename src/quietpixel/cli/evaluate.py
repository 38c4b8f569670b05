"""`quietpixel evaluate`: judges models and methods on images whose clean version is known."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from quietpixel.cli.options import read_noise
from quietpixel.errors import ArgumentError

NAMED = ("digits", "mnist", "fashion-mnist")
CLASSICAL = ("median", "wavelet", "tv", "nlm")


def read_sigmas(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """Return one Gaussian law for each number between commas; not clipped, as in published tables.

    Raises
    ------
    ArgumentError
        If one is no number, or is not on the [0, 1] scale.
    """
    if value is None:
        return []
    from quietpixel.noise.parser import parse_noise, parse_number

    numbers = {text.strip(): parse_number(text) for text in value.split(",")}
    for text, sigma in numbers.items():
        if not 0 < sigma <= 1:
            raise ArgumentError(
                f"`sigmas` must lie between 0 and 1, because images do; got {text}. Try {text}/255."
            )
    return [str(parse_noise(f"gaussian:{text},clip=no")) for text in numbers]


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1)
@click.argument("data")
@click.option("--noise", metavar="LAW", callback=read_noise, help="Left out: the law of the model.")
@click.option(
    "--sigmas",
    metavar="LIST",
    callback=read_sigmas,
    help="Gaussian noise of these strengths, not clipped: 15/255,25/255.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For the noise."
)
@click.option("--classical", is_flag=True, help="Judge median, wavelet, tv and nlm too.")
@click.option("--pairs", metavar="'A=B'", default="", help="Names of noisy and clean pictures.")
@click.option("--channels", type=click.Choice(["1", "3"]), help="Judge in gray (1) or RGB (3).")
@click.option(
    "--tuning",
    type=click.Path(path_type=Path),
    help="Folder of other pictures, or pairs, that methods are tuned on.",
)
@click.option("--count", type=click.IntRange(min=1), help="Only the first so many images.")
@click.option("--precision", metavar="TEXT", help="auto, f32 or bf16.  [default: auto]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the data's files.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(allow_dash=True, path_type=Path),
    help="Write the numbers as JSON; - for standard output.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write a report as HTML.")
def command(models: Sequence[str], data: str, json_file: Path | None, **options: Any) -> None:
    """Judge models and methods on the same noisy images.

    MODEL is a bundled name, a run folder, a file, or a method: median, bilateral, tv, wavelet, nlm,
    and opencv-nlm and bm3d if installed. DATA is digits, mnist, fashion-mnist, a folder of clean
    pictures, or one of pairs, in noisy/ and clean/ or by --pairs.
    """
    if not models:
        context = click.get_current_context()
        raise click.MissingParameter(ctx=context, param_hint="'DATA'", param_type="argument")
    words = {key: value for key, value in options.items() if value not in (None, "", [], ())}
    further = words.keys() & {"sigmas", "pairs", "channels", "tuning", "count", "precision"}
    text = (
        _evaluate(models[0], data, words)
        if len(models) == 1 and data in NAMED and not further and not _is_method(models[0])
        else _compare(models, data, words)
    )
    if str(json_file) == "-":
        click.echo(text)
        return
    show_evaluation(text)
    if json_file is not None:
        write_json(json_file, text)


def _is_method(name: str) -> bool:
    from quietpixel.workflows.compare import METHOD_NAMES

    return name in METHOD_NAMES


def _evaluate(model: str, data: str, words: dict[str, Any]) -> str:
    from quietpixel.cli.progress import show_progress
    from quietpixel.workflows.evaluate import evaluate

    with show_progress() as view:
        return evaluate(model, data, on_progress=view, **words).to_json()


def _compare(models: Sequence[str], data: str, words: dict[str, Any]) -> str:
    from quietpixel.cli.progress import show_progress
    from quietpixel.workflows.compare import compare

    if "noise" in words and "sigmas" in words:
        raise ArgumentError("`sigmas` are laws of noise as `noise` is; give one of them.")
    noise = words.pop("sigmas", None) or words.pop("noise", None)
    names = [*models, *(CLASSICAL if words.pop("classical", False) else ())]
    if "channels" in words:
        words["channels"] = int(words["channels"])
    with show_progress() as view:
        found = compare(list(dict.fromkeys(names)), data, noise=noise, on_progress=view, **words)
    return found.to_json()


def show_evaluation(text: str) -> None:
    """Print what was judged, and the table of the methods."""
    from quietpixel.cli.evaluate_tables import format_table

    facts = json.loads(text)
    if "tables" in facts:
        from quietpixel.cli.evaluate_tables import format_comparison

        click.echo(format_comparison(facts))
        return
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
