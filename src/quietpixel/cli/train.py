"""`quietpixel train`: trains a model in a run folder, with a report."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from quietpixel.cli.options import MODEL, Command, Names, read_counts, read_noise


def known_recipes() -> list[str]:
    """Return the names of the recipes."""
    from quietpixel.training.named_recipes import RECIPES

    return list(RECIPES)


EXAMPLES = (
    "quietpixel train photos/ --minutes 60 --name mine",
    "quietpixel train mnist --recipe classic --epochs 20 --run runs/mnist",
)
GROUPS = {
    "Data": "noise pairs target structure channels data_dir cache",
    "Model": "model code filters blocks start name",
    "Training": "recipe epochs minutes batch patch learning_rate seed",
    "Run": "run resume devices workers tensorboard",
}


@click.command(cls=Command, examples=EXAMPLES, groups=GROUPS)
@click.argument("data", default="digits")
@click.option("--model", help="bottleneck or unet.  [default: by the recipe]")
@click.option(
    "--recipe",
    type=Names("recipe", known_recipes),
    metavar="NAME",
    help="classic, tuned, wide; for folders photo, photo-polish, photo-level, gaussian, pairs, "
    "noisy.  [default: by DATA]",
)
@click.option(
    "--noise", metavar="LAW", callback=read_noise, help="Such as gaussian:0.5, or auto (measured)."
)
@click.option(
    "--pairs",
    metavar="'A=B'",
    help="Names of the noisy and the clean image of a pair, such as '*_real.*=*_mean.*'.",
)
@click.option(
    "--target",
    type=click.Choice(["clean", "noisy", "none"]),
    help="Targets in a folder: clean images, a second noisy shot, or none.",
)
@click.option(
    "--structure",
    metavar="h:N|v:N",
    help="With --target none: noise shared along a row or column over N pixels on both sides.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Duration of the run instead, loading and report included.",
)
@click.option("--batch", type=click.IntRange(min=1), help="Images in a step.")
@click.option(
    "--patch", type=click.IntRange(min=8), help="Height and width of the patches of a folder."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help="Highest learning rate.",
)
@click.option(
    "--channels",
    type=click.Choice(["1", "3"]),
    callback=lambda ctx, parameter, value: value and int(value),
    help="1 (gray) or 3 (RGB), for a folder.  [default: by its images]",
)
@click.option(
    "--code",
    type=click.IntRange(min=1),
    help="Length of the code of the bottleneck.  [default: 16]",
)
@click.option(
    "--filters",
    metavar="N,N",
    callback=read_counts(1, "64,128"),
    help="Of the bottleneck's two convolutions, such as 64,128, or of each level of the unet.",
)
@click.option(
    "--blocks",
    metavar="N,N",
    callback=read_counts(0, "0,1,2,2"),
    help="Of each level of the unet, such as 0,1,2,2; a start with fewer grows.",
)
@click.option(
    "--from",
    "start",
    type=MODEL,
    help="Begin with the weights of a name, a run, an .onnx or .keras file; or nothing.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of all randomness.",
)
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Continue the run in --run with its options.")
@click.option("--name", metavar="WORD", help="Name under which the model is added to your own.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for decoded pixels of an image folder."
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    help="Number of accelerators (KERAS_BACKEND=jax).  [default: all]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that make batches ahead of time.  [default: 1 for a folder, else 0]",
)
@click.option("--tensorboard", is_flag=True, help="Logs for TensorBoard in the run folder.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the data's files.")
def command(data: str, **options: Any) -> None:
    """Train a model.

    DATA is digits (built in, needs no network), mnist, fashion-mnist, or a folder: of clean
    images; of pairs, in noisy/ and clean/ or by --pairs; of noisy images with --target none.
    """
    from quietpixel.cli.progress import show_progress
    from quietpixel.cli.silence_stderr import load_training
    from quietpixel.workflows.train import train

    load_training()
    with show_progress() as view, interrupted_by(signal.SIGTERM):
        run = train(data, on_progress=view, **options)
    click.echo(f"Model   {run / 'model.onnx'}")
    click.echo(f"Report  {run / 'report.html'}")


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
