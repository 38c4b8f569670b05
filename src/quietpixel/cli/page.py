"""`quietpixel page`: writes the page as a folder of files for any web host."""

from pathlib import Path
from typing import Any

import click

from quietpixel.cli.options import Command, replacing_model

EXAMPLES = (
    "quietpixel page --static site",
    "quietpixel page --static site --runtime onnxruntime-web-1.30.0.tgz",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--static",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the page; an earlier page in it is replaced.",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="The package onnxruntime-web from npm, as an archive (.tgz) or a folder.  [default: "
    "fetched with npm]",
)
@replacing_model
def command(folder: Path, runtime: Path | None, model: Any) -> None:
    """Write the web page as files that need no server program.

    Any web host can serve the folder, over HTTPS or from this machine. Models run in the browser
    with onnxruntime-web; pictures stay there, and after the first visit no network is needed.
    """
    from quietpixel.inference.options import DenoiseOptions
    from quietpixel.web.static_page import write_page

    size = write_page(folder, runtime=runtime, options=DenoiseOptions(model=model))
    click.echo(
        f"Wrote the page, {size / 1e6:.0f} MB, to {folder}; try: python -m http.server -d {folder}"
    )
