"""`quietpixel calibrate`: fits the error bars of a model to images of its future use."""

from pathlib import Path
from typing import Any

import click

from quietpixel.cli.denoise import read_range
from quietpixel.cli.options import LAW, MODEL, PATH, Command
from quietpixel.errors import ArgumentError

EXAMPLES = (
    "quietpixel calibrate runs/mine clean/",
    "quietpixel calibrate runs/mine noisy/ --second again/ -o mine.onnx",
)


@click.command(cls=Command, examples=EXAMPLES, words=lambda: {"clean": "FOLDER"})
@click.argument("model", type=MODEL)
@click.argument("images", metavar="FOLDER", type=PATH)
@click.option(
    "--noisy",
    metavar="FOLDER",
    type=PATH,
    help="Noisy versions of the images in FOLDER, under the same names.",
)
@click.option(
    "--second",
    metavar="FOLDER",
    type=PATH,
    help="Second noisy shots of the scenes in FOLDER, which then holds the first ones; no clean "
    "images are needed.",
)
@click.option(
    "--noise",
    type=LAW,
    help="Law of the noise that is added to clean images.  [default: that of the model]",
)
@click.option(
    "--range",
    metavar="LOW,HIGH",
    callback=read_range,
    help="Values of black and white.  [default: found in each image]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the added noise.")
@click.option(
    "-o",
    "--output",
    metavar="FILE.onnx",
    type=PATH,
    help="Path of the calibrated model; needed for a bundled one.  [default: MODEL itself]",
)
def command(
    model: str, images: Path, *, noisy: Path | None, second: Path | None, **options: Any
) -> None:
    """Fit the error bars of a model to images that are new to it.

    FOLDER holds a few dozen clean images of the kind that the model is for, none of them from its
    training; a stack stands for a folder of its pages. Noise is added to them, unless --noisy or
    --second names a second folder with the same file names. 'quietpixel denoise --uncertainty' then
    writes error bars, and warns about an image unlike those in FOLDER.

    The command prints what share of the true values lies within the error bars, and how the
    brightness of results differs from that of the noisy images: where it does not, the slope is 1,
    and the offset and the bias in the dark are 0.
    """
    # Imported here, so that --help need not load a runtime.
    from quietpixel.cli.progress import show_progress
    from quietpixel.workflows.calibrate import calibrate

    if second is not None and (noisy is not None or options["noise"] is not None):
        raise ArgumentError(
            "--second names second shots of the scenes in FOLDER, which take the place of clean "
            "images; omit --noisy and --noise, and give the first shots as FOLDER."
        )

    # With --second, FOLDER itself is noisy and there is nothing clean.
    clean, shots = (images, noisy) if second is None else (None, images)
    with show_progress() as view:
        coverage = calibrate(
            model,
            clean,
            noisy=shots,
            second=second,
            notify=view.show_message,
            on_progress=view,
            **options,
        )
    click.echo(f"{options['output'] or model}: {coverage.describe()}.")
    if coverage.brightness is not None:
        click.echo(f"Brightness, {coverage.brightness.describe()}.")
