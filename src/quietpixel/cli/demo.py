"""`quietpixel demo`: digits and a photo, each beside the classical methods, in minutes."""

from pathlib import Path

import click

from quietpixel.cli.options import COUNT, PATH, Command
from quietpixel.errors import naming_missing

EPOCHS = 25
"""Enough for the error to level off, few enough for two slow cores in three minutes."""


EXAMPLES = ("quietpixel demo", "quietpixel demo --epochs 5 --run runs/demo")


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--run", type=PATH, help="Folder of the run.  [default: runs/digits-TIME]")
@click.option("--epochs", type=COUNT, default=EPOCHS, help="Passes over the data.")
def command(run: Path | None, epochs: int) -> None:
    """Train on digits, denoise a photo and write a report.

    Both are compared with the classical methods. It takes a few minutes and needs no network.
    """
    from quietpixel.cli.evaluate import format_evaluation
    from quietpixel.cli.library_output import load_training
    from quietpixel.cli.progress import show_progress

    load_training()
    with naming_missing("The demo needs", "train"):
        from quietpixel.workflows.demo import run_demo

    click.echo("Training an autoencoder that denoises digits through a code of 16 numbers.")
    with show_progress() as view:
        folder, evaluations = run_demo(run, epochs=epochs, on_progress=view)
    for evaluation in evaluations:
        click.echo(format_evaluation(evaluation) + "\n")
    click.echo(f"Photo before and after: {(folder / 'photo-noisy.png').resolve()}, photo-clean.png")
    click.echo(f"Report: {(folder / 'report.html').resolve()}")
