"""`quietpixel demo`: trains, evaluates and reports a model in a minute or two."""

from pathlib import Path

import click

from quietpixel.cli.options import COUNT, PATH, Command

EPOCHS = 25
"""Enough for the error to level off, few enough for two slow cores in three minutes."""


EXAMPLES = ("quietpixel demo", "quietpixel demo --epochs 5 --run runs/demo")


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--run", type=PATH, help="Folder of the run.")
@click.option("--epochs", type=COUNT, default=EPOCHS, help="Passes over the data.")
def command(run: Path | None, epochs: int) -> None:
    """Train, evaluate and report, in minutes.

    Trains on the built-in digits and compares with the classical methods; needs no network.
    """
    from quietpixel.cli.evaluate import format_evaluation
    from quietpixel.cli.progress import show_progress
    from quietpixel.cli.silence_stderr import load_training
    from quietpixel.workflows.evaluate import evaluate
    from quietpixel.workflows.train import train

    click.echo("Training an autoencoder that denoises digits through a code of 16 numbers.")
    load_training()
    with show_progress() as view:
        folder = train("digits", epochs=epochs, run=run, on_progress=view)
        evaluation = evaluate(folder, "digits", classical=True, on_progress=view)
    click.echo(format_evaluation(evaluation))
    click.echo(f"Originals, noisy and denoised digits: {(folder / 'samples.png').resolve()}")
    click.echo(f"Report: {(folder / 'report.html').resolve()}")
