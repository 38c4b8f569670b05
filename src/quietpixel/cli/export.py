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
    help="Path of the package, in the format 0.5 of the BioImage Model Zoo.",
)
@click.option(
    "--sigma",
    metavar="LEVEL",
    default="auto",
    callback=read_level,
    help="Noise level that becomes part of the model, such as 25/255; auto: the level of --sample.",
)
@click.option(
    "--sample",
    metavar="IMAGE",
    type=PATH,
    help="Image that the package is tested with and shows as its example.  [default: one that "
    "comes with quietpixel]",
)
@click.option(
    "--author",
    "authors",
    metavar="NAME",
    multiple=True,
    help="Who trained the model; needed for your own models; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def command(model: str, target: Path, **options: Any) -> None:
    """Write a model as a package for programs such as ilastik.

    deepImageJ and others run such packages too. MODEL is a name, a run folder or an .onnx file.
    Those programs give a model only an image, so the noise level becomes a constant of the package.
    """
    from quietpixel.workflows.bioimageio import export_bioimageio

    level = export_bioimageio(model, target, **options)
    fixed = "" if level is None else f", for noise of {level:.4f} ({level * 255:.1f}/255)"
    click.echo(f"Wrote {target}{fixed}.")
