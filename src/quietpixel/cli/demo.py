"""`quietpixel demo`: from nothing to a trained, judged and shown model in a minute or two."""

from pathlib import Path

import click

EPOCHS = 25
"""Enough for the error to level off, few enough for two slow cores in three minutes."""


@click.command()
@click.option("--run", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=EPOCHS,
    show_default=True,
    help="Passes over the data.",
)
def command(run: Path | None, epochs: int) -> None:
    """Train, judge and show, in minutes.

    Learns the built-in digits, judges against the classical methods, needs no network.
    """
    from quietpixel.cli.evaluate import show_evaluation
    from quietpixel.cli.progress import show_progress
    from quietpixel.cli.silence_stderr import load_training
    from quietpixel.workflows.evaluate import evaluate
    from quietpixel.workflows.train import train

    click.echo("A denoising autoencoder learns to clean noisy digits through 16 numbers.")
    load_training()
    with show_progress() as view:
        folder = train("digits", epochs=epochs, run=run, on_progress=view)
        evaluation = evaluate(folder, "digits", classical=True, on_progress=view)
    show_evaluation(evaluation.to_json())
    click.echo(f"Originals, noisy and denoised digits: {(folder / 'samples.png').resolve()}")
    click.echo(f"The whole report: {(folder / 'report.html').resolve()}")
