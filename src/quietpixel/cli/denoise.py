"""`quietpixel denoise`: image files in, the same files out, clean."""

from collections.abc import Sequence
from typing import Any

import click

from quietpixel.cli.options import read_level
from quietpixel.errors import ArgumentError


def read_range(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Return the two numbers of ``LOW,HIGH``."""
    if value is None:
        return None
    try:
        low, high = (float(part) for part in value.split(","))
    except ValueError:
        raise ArgumentError(
            f"--range must be two numbers, black and white; got '{value}'. Try 0,4095."
        ) from None
    return low, high


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE|FOLDER|-", help="Left out: name-clean.ext beside it.")
@click.option("--model", help="A name, a run folder or a file; see 'quietpixel models'.")
@click.option(
    "--sigma",
    metavar="auto|NUMBER|FILE",
    callback=read_level,
    default="auto",
    show_default=True,
    help="Noise level, such as 25/255, or an image of it.",
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Less gives texture back; 0 changes nothing.",
)
@click.option("--recursive", is_flag=True, help="Search folders to the bottom.")
@click.option("--suffix", default="-clean", show_default=True, help="Added to the name.")
@click.option("--in-place", is_flag=True, help="Put each result in the place of its source.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--format", help="Write another format, such as png.")
@click.option(
    "--quality",
    default="normal",
    show_default=True,
    help="normal, or best: the mean over 8 flips and turns, in 8 times the time.",
)
@click.option(
    "--jpeg-quality",
    type=click.IntRange(1, 100),
    help="Also of WebP and AVIF. Left out: that of the source.",
)
@click.option("--engine", default="openvino", show_default=True, help="openvino or onnxruntime.")
@click.option("--precision", default="auto", show_default=True, help="auto, f32 or bf16.")
@click.option("--threads", type=click.IntRange(min=1), help="Left out: all cores.")
@click.option(
    "--memory",
    default="512MB",
    show_default=True,
    help="What one tile, or pictures in work, may take.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=500_000_000,
    show_default=True,
    help="Refuse larger images.",
)
@click.option("--range", metavar="LOW,HIGH", callback=read_range, help="Values of black and white.")
@click.option("--axes", help="Dimensions of a Zarr or a stack, such as tzyx or yxc.")
@click.option("--workers", type=click.IntRange(min=1), help="Work with N processes (cluster).")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    envvar="DASK_SCHEDULER_ADDRESS",
    help="Work on a Dask cluster, such as tcp://host:8786; or DASK_SCHEDULER_ADDRESS.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", metavar="FILE", help="Write what became of each file.")
@click.option("--compare", metavar="FILE", help="Write before, after and the difference.")
@click.option(
    "--uncertainty", metavar="FILE.tif", help="Write how far the truth may lie, for each pixel."
)
@click.pass_context
def command(ctx: click.Context, /, *, inputs: Sequence[str], **options: Any) -> None:
    """Take the noise out of image files.

    Size, depth, alpha, colour profile and metadata stay as they are. A folder keeps its tree; '-'
    stands for standard input and output. A Zarr, a TIFF file above --max-pixels and a URL are
    treated in parts.
    """
    from quietpixel.cli.denoise_large import LargeRun, is_large
    from quietpixel.cli.denoise_run import DenoiseRun
    from quietpixel.cli.interrupt import run_interruptibly

    kind = LargeRun if is_large(inputs, options) else DenoiseRun
    run = kind(tuple(inputs), options)
    ctx.exit(run_interruptibly(run, run.stop))
