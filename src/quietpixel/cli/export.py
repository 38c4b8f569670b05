"""`quietpixel export`: writes a model for other programs."""

from pathlib import Path
from typing import Any

import click

from quietpixel.cli.options import MODEL, PATH, Command, read_level

EXAMPLES = (
    "quietpixel export photo-gray --bioimageio photo-gray.zip",
    "quietpixel export runs/mine --bioimageio mine.zip --author 'A. Example'",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("model", type=MODEL)
@click.option(
    "--bioimageio",
    "target",
    metavar="FILE.zip",
    type=PATH,
    required=True,
    help="Package of the BioImage Model Zoo, format 0.5.",
)
@click.option(
    "--sigma",
    metavar="LEVEL",
    default="auto",
    callback=read_level,
    help="Noise level that becomes part of the model, such as 25/255; auto estimates the sample's.",
)
@click.option(
    "--sample",
    metavar="IMAGE",
    type=PATH,
    help="Example and test of the package.  [default: an image that comes with quietpixel]",
)
@click.option(
    "--author",
    "authors",
    metavar="NAME",
    multiple=True,
    help="Author of the model, repeatable; needed for your own models.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def command(model: str, target: Path, **options: Any) -> None:
    """Write a model as a package for programs such as ilastik.

    deepImageJ and others run such packages too. MODEL is a name, a run folder or an .onnx file. The
    model in the package takes an image and nothing else; those programs know no noise level.
    """
    from quietpixel.workflows.bioimageio import export_bioimageio

    level = export_bioimageio(model, target, **options)
    fixed = "" if level is None else f", for noise of {level:.4f} ({level * 255:.1f}/255)"
    click.echo(f"Wrote {target}{fixed}.")
