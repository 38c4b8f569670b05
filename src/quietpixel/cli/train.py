"""`quietpixel train`: trains a model in a run folder, with a report."""

import json
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

import click

from quietpixel.cli.options import (
    CHANNELS,
    COUNT,
    DATA,
    LAW,
    MODEL,
    PATH,
    PATH_TEXT,
    Command,
    Names,
    data_dir,
    known_data_sets,
    read_counts,
)
from quietpixel.cli.tables import format_table
from quietpixel.errors import ArgumentError, check_known


def read_fields(
    ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    """Return the recipe fields that texts such as ``warmup=1`` set, each of its field's type.

    Raises
    ------
    ArgumentError, UnknownNameError
        If a text is not FIELD=VALUE, or the field or its value does not fit.
    """
    from quietpixel.training.recipe import RENAMED, Recipe

    # These have an option of another name, or none: DATA, --recipe and --from.
    known = {f.name: f for f in fields(Recipe) if f.name not in ("data", "name", "start")}
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        key = RENAMED.get(key, key)
        if not value:
            raise ArgumentError(f"--set must be FIELD=VALUE; got '{text}'. Try warmup=1.")
        check_known("recipe field", key, known)
        try:
            read, kind = READERS.get(type(known[key].default), (read_object, OBJECT))
            new = read(value)
        except (ValueError, KeyError):
            raise ArgumentError(f"--set {key} must be {kind}; got '{value}'.") from None
        if found.setdefault(key, new) != new:
            raise ArgumentError(f"--set {key} takes one value; got '{found[key]}' and '{new}'.")
    return found


def field_options() -> dict[str, str]:
    """Return how a command sets the fields of a recipe that have no option of their own."""
    from quietpixel.training.recipe import Recipe

    return {"images": "DATA"} | {each.name: f"--set {each.name}" for each in fields(Recipe)}


def read_number(text: str) -> float:
    """Return a number, also a fraction such as ``25/255``."""
    from quietpixel.noise.parser import parse_number

    return parse_number(text)


def read_object(text: str) -> dict[str, Any]:
    """Return a JSON object, such as the options of a model."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


OBJECT = 'a JSON object, such as {"dropout": 0.1}'
NUMBER = "a number, such as 0.5"
READERS: dict[type, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    bool: (lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    int: (int, "a whole number, such as 3"),
    float: (read_number, NUMBER),
    type(None): (read_number, NUMBER),  # minutes
}
"""How a field is read, and what it must be, by the type of its default; others are objects."""
EXAMPLES = (
    "quietpixel train photos/ --minutes 60 --name mine",
    "quietpixel train mnist --recipe classic --epochs 20 --run runs/mnist",
)
GROUPS = {
    "Data": "noise pairs target masks structure channels data_dir cache",
    "Model": "model code filters blocks start name",
    "Training": "recipe epochs minutes batch patch learning_rate seed set",
    "Run": "run resume describe devices workers tensorboard",
}


@click.command(cls=Command, examples=EXAMPLES, groups=GROUPS, words=field_options)
@click.argument("data", metavar="[DATA]", type=DATA, required=False)
@click.option(
    "--model",
    type=Names("model", "quietpixel.models:MODELS"),
    metavar="NAME",
    help="Architecture: bottleneck, unet, or one that was added.  [default: by the recipe]",
)
@click.option(
    "--recipe",
    type=Names("recipe", "quietpixel.training.named_recipes:RECIPES"),
    metavar="NAME",
    help="classic, tuned, wide; for folders photo, photo-polish, photo-level, gaussian, pairs, "
    "noisy.  [default: by DATA]",
)
@click.option(
    "--noise",
    type=LAW,
    help="Noise law, such as gaussian:0.5; auto measures it.  [default: by the recipe]",
)
@click.option(
    "--pairs",
    metavar="'A=B'",
    help="Names of the noisy and the clean image of a pair, such as '*_real.*=*_mean.*'.",
)
@click.option(
    "--target",
    type=click.Choice(["clean", "noisy", "none"]),
    metavar="clean|noisy|none",
    help="Targets in a folder: clean images, a second noisy shot, or none.  [default: clean]",
)
@click.option(
    "--structure",
    metavar="h:N|v:N",
    help="With --target none: noise shared along a row or column over N pixels on both sides.",
)
@click.option(
    "--masks",
    metavar="FOLDER|FILE",
    type=PATH_TEXT,
    help="Masks with the names of the images; only pixels where a mask is not 0 count.",
)
@click.option("--epochs", type=COUNT, help="Passes over the data.  [default: by the recipe]")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Duration of the run in minutes, in place of --epochs; loading and report included.",
)
@click.option("--batch", type=COUNT, help="Number of images in a step.  [default: by the recipe]")
@click.option(
    "--patch",
    type=click.IntRange(min=8),
    help="Height and width of the patches of a folder, in pixels.  [default: by the recipe]",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help="Highest learning rate.  [default: by the recipe]",
)
@click.option(
    "--channels", **CHANNELS, help="1 (gray) or 3 (RGB), for a folder.  [default: by its images]"
)
@click.option("--code", type=COUNT, help="Length of the code of the bottleneck.  [default: 16]")
@click.option(
    "--filters",
    metavar="N,N",
    callback=read_counts(1, "64,128"),
    help="Filters of the bottleneck's two convolutions, such as 64,128, or of each unet level.  "
    "[default: by the recipe]",
)
@click.option(
    "--blocks",
    metavar="N,N",
    callback=read_counts(0, "0,1,2,2"),
    help="Blocks of each level of the unet, such as 0,1,2,2; a start model with fewer grows.  "
    "[default: by the recipe]",
)
@click.option(
    "--from",
    "start",
    type=MODEL,
    help="Initial weights: a model name, a run folder, an .onnx or .keras file, or the word "
    "nothing for random ones.  [default: by the recipe]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Random seed.")
@click.option(
    "--set",
    multiple=True,
    metavar="FIELD=VALUE",
    callback=read_fields,
    help="Any other field of the recipe, such as warmup=1; may be repeated.",
)
@click.option("--describe", is_flag=True, help="Print the layers of the model, and stop.")
@click.option("--run", type=PATH, help="Folder of the run.  [default: runs/DATA-TIME]")
@click.option("--resume", is_flag=True, help="Continue the run in --run with its options.")
@click.option("--name", metavar="WORD", help="Keep the model under this name, for --model.")
@click.option(
    "--cache",
    type=PATH,
    help="Folder for decoded pixels of images that take long to decode.  [default: none]",
)
@click.option(
    "--devices", type=COUNT, help="Number of accelerators (KERAS_BACKEND=jax).  [default: all]"
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that make batches ahead of time.  [default: 1 for a folder, else 0]",
)
@click.option("--tensorboard", is_flag=True, help="Write logs for TensorBoard to the run folder.")
@data_dir
def command(data: str | None, *, set: dict[str, Any], describe: bool, **options: Any) -> None:
    """Train a model.

    DATA is a data set ({data_sets}; digits need no network) or a folder: of clean images; of
    pairs, in noisy/ and clean/ or by --pairs; of two noisy shots of each scene, in first/ and
    second/, with --target noisy; of noisy images with --target none. One file or Zarr, such as a
    stack, stands for a folder of its pages.
    """
    if data is None:
        if not options["resume"]:
            raise ArgumentError(
                "DATA is missing: give a folder of images or a data set "
                f"({', '.join(known_data_sets())}). 'quietpixel train digits' takes a minute and "
                "needs no network."
            )
        data = "digits"  # a resumed run has its data in its recipe
    for name in set:
        if name != "seed" and options.get(name) is not None:
            raise ArgumentError(
                f"--set {name} and --{name.replace('_', '-')} say the same; give one of them."
            )
    from quietpixel.cli.library_output import load_training
    from quietpixel.cli.progress import show_progress
    from quietpixel.workflows.train import check_request, list_layers, new_run_path, train

    check_request(data, **options | set | ({"run": None} if describe else {}))
    load_training()
    if describe:
        click.echo(format_table(list_layers(data, **options | set), numbers=[3]))
        return
    # Chosen here, so that a message after Ctrl-C can name the folder.
    options["run"] = run = options["run"] or new_run_path(data)
    with show_progress() as view, interrupted_by(signal.SIGTERM):
        try:
            run = train(data, on_progress=view, **options | set)
        except KeyboardInterrupt:
            view.show_message(describe_interruption(run, data))
            raise
    click.echo(f"Model   {run / 'model.onnx'}")
    click.echo(f"Report  {run / 'report.html'}")


def describe_interruption(run: Path, data: str) -> str:
    """Return what an interrupted run left, and how to continue it."""
    model = run / "model.onnx"
    if (run / "checkpoint.npz").exists():
        words = shlex.join(["quietpixel", "train", data, "--run", str(run), "--resume"])
        return f"The best model so far is {model}. Continue with: {words}"
    if model.exists():
        return (
            f"Training was complete, and its model is {model}. Its error bars, its report and its "
            "copy under --name may be missing."
        )
    return "Stopped before the first step ended; nothing was kept."


@contextmanager
def interrupted_by(number: int) -> Iterator[None]:
    """Treat a signal in the block like Ctrl-C: save the best model so far, and exit."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)
