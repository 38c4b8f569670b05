"""`quietpixel evaluate`: models and methods on images whose clean version is known."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import (
    CHANNELS,
    COUNT,
    DATA,
    LAW,
    PATH,
    PRECISION,
    Command,
    Names,
    check_report,
    data_dir,
    known_data_sets,
    known_models,
)
from quietpixel.cli.tables import format_table
from quietpixel.errors import ArgumentError

if TYPE_CHECKING:
    from quietpixel.evaluation.evaluator import Evaluation, Table

PIPE_WIDTH = 120
"""Most characters in a line of a table where there is no terminal."""


def read_sigmas(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """Return one Gaussian law for each number between commas; not clipped, as in published tables.

    Raises
    ------
    ArgumentError
        If one is not a number on the [0, 1] scale.
    """
    if value is None:
        return []
    from quietpixel.noise.parser import parse_noise, parse_number

    # By text, so that a level is shown as it was given, such as 25/255.
    numbers = {text.strip(): parse_number(text) for text in value.split(",")}
    for text, sigma in numbers.items():
        if not 0 < sigma <= 1:
            raise ArgumentError(
                f"`sigmas` must lie between 0 and 1, the scale of the images; got {text}. "
                f"Try {text}/255."
            )
    return [str(parse_noise(f"gaussian:{text},clip=no")) for text in numbers]


def known_words() -> list[str]:
    """Return the names that the command takes: of models, methods and data sets."""
    from quietpixel.evaluation.methods import METHODS

    return [*known_models(), *METHODS, *known_data_sets()]


EXAMPLES = (
    "quietpixel evaluate mnist-unet median mnist",
    "quietpixel evaluate photo nlm photos/ --sigmas 15/255 --report r.html",
)
GROUPS = {
    "Noise": "noise sigmas seed",
    "Data": "pairs channels count tuning data_dir",
    "Methods": "classical precision",
    "Reports": "json_file report",
}


@click.command(cls=Command, examples=EXAMPLES, groups=GROUPS)
# For a shell, every word is one of MODEL..., so the names of DATA are among them.
@click.argument("models", metavar="MODEL...", type=Names("model", known_words, open=True), nargs=-1)
@click.argument("data", metavar="DATA", type=DATA)
@click.option(
    "--noise",
    type=LAW,
    help="Noise law.  [default: that of the model]",
)
@click.option(
    "--sigmas",
    metavar="LIST",
    callback=read_sigmas,
    help="Levels of Gaussian noise, not clipped, such as 15/255,25/255.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the noise.")
@click.option(
    "--classical", is_flag=True, help="Add median, wavelet, tv and nlm, on the first 500 images."
)
@click.option("--pairs", metavar="'A=B'", help="Name patterns of noisy and clean images.")
@click.option("--channels", **CHANNELS, help="Evaluate in gray (1) or RGB (3).")
@click.option(
    "--tuning", type=PATH, help="Folder of other images or pairs, on which methods are tuned."
)
@click.option("--count", type=COUNT, help="Use only the first N images.  [default: all]")
@click.option("--precision", type=PRECISION, help="Arithmetic of the models.  [default: auto]")
@data_dir
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(allow_dash=True, path_type=Path),
    help="Write all results as JSON; - for standard output.",
)
@click.option("--report", metavar="FILE", type=PATH, help="Write an HTML report.")
def command(
    *,
    models: Sequence[str],
    data: str,
    noise: str | None,
    sigmas: list[str],
    json_file: Path | None,
    **options: Any,
) -> None:
    """Evaluate models and methods on the same noisy images.

    MODEL is a model name, a run folder, a file or a method: median, bilateral, tv, wavelet, nlm,
    and opencv-nlm and bm3d if installed. DATA is a data set ({data_sets}), a folder of clean
    images, or one of pairs, in noisy/ and clean/ or by --pairs.

    A model that was trained for several laws or a range of levels is evaluated at one law: the
    first Gaussian one, at the middle of its range.
    """
    # click takes a single word for DATA.
    if not models:
        context = click.get_current_context()
        raise click.MissingParameter(ctx=context, param_hint="'DATA'", param_type="argument")
    if noise and sigmas:
        raise ArgumentError("`sigmas` and `noise` both say which noise to add; give one of them.")
    check_report("--json", json_file, "JSON")
    # Loaded here, so that --help and wrong options are answered at once.
    from quietpixel.evaluation.methods import METHODS

    if data in {*known_models(), *METHODS} and not Path(data).exists():
        raise ArgumentError(
            f"DATA, the last word, must be a data set or a folder; got '{data}', the name of a "
            "model or method."
        )
    from quietpixel.cli.progress import show_progress
    from quietpixel.workflows.evaluate import compare

    given = {key: value for key, value in options.items() if value is not None}
    # A shell pattern may name a model twice.
    models = list(dict.fromkeys(models))
    with show_progress() as view:
        evaluation = compare(models, data, noise=sigmas or noise, on_progress=view, **given)
    if str(json_file) == "-":
        click.echo(evaluation.to_json())
        return
    click.echo(format_evaluation(evaluation))
    if json_file is not None:
        from quietpixel.files import atomic_file

        with atomic_file(json_file, overwrite=True) as file:
            file.write(evaluation.to_json().encode() + b"\n")


def format_evaluation(evaluation: "Evaluation") -> str:
    """Return the tables of an evaluation as plain text, for people and for pipes.

    Examples
    --------
    >>> from quietpixel import compare
    >>> text = format_evaluation(compare(["noisy"], "digits", noise="gaussian:0.5", count=2))
    >>> text.splitlines()[0]
    '2 images of digits (test) in gray, seed 0'
    """
    from quietpixel.evaluation.image_pairs import describe_noise

    split = f" ({evaluation.split})" if evaluation.split else ""
    kind = "gray" if evaluation.channels == 1 else "RGB"
    lines = [
        f"{evaluation.count:,} image{'s' * (evaluation.count != 1)} of {evaluation.data}{split} in "
        f"{kind}, seed {evaluation.seed}"
    ]
    for table in evaluation.tables:
        lines += ["", describe_noise(table.noise), _format_table(table)]
    lines.append("")
    if evaluation.trained_noise:
        trained = describe_noise(evaluation.trained_noise)
        lines.append(f"The noise is derived from the law of the model, {trained}.")
    for name, data in evaluation.trained_elsewhere.items():
        # Models of digits lose to a median filter on the digits of another set.
        lines.append(f"{name} was trained on {data}; it does worse on other images, such as these.")
    if evaluation.tuned_on:
        lines.append(f"Classical methods are tuned on {evaluation.tuned_on}.")
    return "\n".join(lines).rstrip()


def _format_table(table: "Table") -> str:
    from quietpixel.evaluation.tables import build_columns

    columns = [["method", *(row.name for row in table.rows)]]
    for column in build_columns(table):
        cells = column.cells
        words = [f"{c.text} ({' to '.join(c.interval)})" if c.interval else c.text for c in cells]
        columns.append([column.title, *words])
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    return format_table(zip(*columns, strict=True), numbers=range(1, len(columns)), width=width)
