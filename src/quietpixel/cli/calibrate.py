"""`quietpixel calibrate`: fits the error bars of a model to images of its future use."""

from pathlib import Path
from typing import Any

import click

from quietpixel.cli.denoise import read_range
from quietpixel.cli.options import MODEL, PATH, Command

EXAMPLES = (
    "quietpixel calibrate runs/mine clean/",
    "quietpixel calibrate runs/mine noisy/ --second again/ -o mine.onnx",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("model", type=MODEL)
@click.argument("images", metavar="FOLDER", type=PATH)
@click.option("--noisy", metavar="FOLDER", type=PATH, help="The clean images of FOLDER with noise.")
@click.option(
    "--second",
    metavar="FOLDER",
    type=PATH,
    help="Second shots of the noisy images of FOLDER; no clean images are needed.",
)
@click.option(
    "--noise",
    metavar="LAW",
    help="Noise law for clean images without --noisy.  [default: that of the model]",
)
@click.option(
    "--range",
    metavar="LOW,HIGH",
    callback=read_range,
    help="Values of black and white.  [default: found in each image]",
)
@click.option("--seed", type=int, default=0, help="Seed of that noise.")
@click.option(
    "-o", "--output", metavar="FILE.onnx", type=PATH, help="Output path.  [default: MODEL itself]"
)
def command(
    model: str, images: Path, *, noisy: Path | None, second: Path | None, **options: Any
) -> None:
    """Fit the error bars of a model to images that are new to it.

    FOLDER holds clean images like those that the model is used on, but not used in training; or,
    with --second, noisy ones. Files of both folders of a pair have the same names. 'quietpixel
    denoise --uncertainty' then writes the error bars, and warns where an image is unlike those of
    the calibration. Slope, offset and bias in the dark say whether brightness is still a
    measurement.
    """
    # Imported here, so that --help need not load a runtime.
    from quietpixel.workflows.calibrate import calibrate

    # With --second, FOLDER itself is noisy and there is nothing clean.
    clean, shots = (images, noisy) if second is None else (None, noisy or images)
    coverage = calibrate(model, clean, noisy=shots, second=second, **options)
    click.echo(f"{options['output'] or model}: {coverage.describe()}.")
    if coverage.brightness is not None:
        click.echo(f"Brightness, {coverage.brightness.describe()}.")
