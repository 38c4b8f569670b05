"""The command `quietpixel denoise` and its options; signals end its work at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, NoReturn

import click

from quietpixel.cli.options import (
    COUNT,
    LAW,
    MODEL,
    PATH,
    PATH_TEXT,
    Command,
    Names,
    axes_option,
    engine_options,
    fill,
    match_files,
    option_names,
    read_level,
)
from quietpixel.errors import MOST_PIXELS, ArgumentError

ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""The signals that end the process; Windows has no SIGHUP."""
_POLL_SECONDS = 0.1
"""Between checks for signals; the end of the work is seen at once."""
_CLEANUP_SECONDS = 5.0
"""Time limit of the cleanup, in case the work holds a lock that it needs; a busy machine needs more
than half a second for the report."""


def read_range(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float] | str | None:
    """Return the two numbers of ``LOW,HIGH``, or the word."""
    if value in (None, "folder"):
        return value
    try:
        low, high = (float(part) for part in value.split(","))
    except ValueError:
        raise ArgumentError(
            f"--range must be two numbers, black and white, or folder; got '{value}'. Try 0,4095."
        ) from None
    return low, high


def read_quality(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> int | str | None:
    """Return the number of ``NUMBER|source``, or the word."""
    if value is None or value == "source":
        return value
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 100):
        raise ArgumentError(
            f"--jpeg-quality must be a number from 1 to 100, or source; got '{value}'. Try 95."
        )
    return int(value)


class Qualities(Names):
    """Those of denoising; a number is that of a JPEG file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or raise an error that names the option for a number."""
        if value.isdecimal():
            raise ArgumentError(
                f"--quality must be normal or best; got '{value}'. The quality of JPEG files is "
                f"--jpeg-quality {value}."
            )
        return super().convert(value, param, ctx)


EXAMPLES = (
    "quietpixel denoise photo.jpg",
    "quietpixel denoise photos/ -o clean/ --recursive --strength 0.8",
)
GROUPS = {
    "Output": "output suffix in_place backup again overwrite format jpeg_quality dry_run "
    "quiet verbose",
    "Strength": "sigma law strength colour_strength quality range dtype",
    "Model": "model engine precision device threads",
    "Folders and large images": "recursive memory max_pixels axes channels workers scheduler",
    "Reports": "json compare uncertainty",
}


@click.command(cls=Command, examples=EXAMPLES, groups=GROUPS, words=lambda: {"image": "INPUT"})
@click.argument(
    "inputs",
    metavar="INPUT...",
    type=PATH_TEXT,
    callback=match_files,
    nargs=-1,
    required=True,
)
@click.option(
    "-o",
    "--output",
    metavar="FILE|FOLDER|-",
    type=PATH_TEXT,
    help="Output path.  [default: NAME-clean.EXT next to the input]",
)
@click.option(
    "--model",
    type=MODEL,
    help="Model name, run folder or .onnx file; see 'quietpixel models'.  [default: photo]",
)
@click.option(
    "--sigma",
    metavar="auto|NUMBER|FILE",
    type=PATH_TEXT,
    callback=read_level,
    default="auto",
    help="Noise level, such as 25/255, or an image of noise levels.",
)
@click.option(
    "--law",
    type=LAW,
    metavar="auto|none|LAW",
    default="auto",
    show_default=True,
    help="Noise law, such as poisson:400+gaussian:0.01; auto measures photon noise "
    "in images without a colour profile.",
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 2),
    default=1.0,
    help="Up to 1: share of the result in a blend with the input; above 1: factor on the noise "
    "level.",
)
@click.option(
    "--colour-strength",
    "--color-strength",
    "colour_strength",
    type=click.FloatRange(0, 2),
    help="As --strength, for colour alone.  [default: --strength]",
)
@click.option("--recursive", is_flag=True, help="Search subfolders.")
@click.option("--suffix", default="-clean", help="Text added to output names.")
@click.option("--in-place", is_flag=True, help="Replace each input with its result.")
@click.option(
    "--backup",
    metavar="SUFFIX",
    help="With --in-place: keep each original under its name and this suffix, such as .orig.",
)
@click.option("--again", is_flag=True, help="Denoise results of quietpixel too.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--format", metavar="FORMAT", help="Output format, such as png.  [default: that of the input]"
)
@click.option(
    "--quality",
    type=Qualities("quality", ("normal", "best")),
    default="normal",
    help="best: mean of 8 flipped and rotated versions, which takes 8 times as long.",
)
@click.option(
    "--jpeg-quality",
    metavar="NUMBER|source",
    callback=read_quality,
    help="Quality of JPEG, WebP, AVIF and HEIC files from 1 to 100; source: that of the input.  "
    "[default: 98, at which writing a JPEG loses 0.1 to 0.2 dB]",
)
@engine_options
@click.option(
    "--memory",
    metavar="SIZE",
    default="512MB",
    help="Memory limit for tiles and queued images, such as 2GB.",
)
@click.option(
    "--max-pixels", type=COUNT, default=MOST_PIXELS, help="Size limit of an image in pixels."
)
@click.option(
    "--range",
    metavar="LOW,HIGH|folder",
    callback=read_range,
    help="Values of black and white; folder: those found for all images together.  [default: found "
    "for each image]",
)
@click.option(
    "--dtype",
    type=Names("dtype", ("float32",)),
    help="float32: results with fractions, in the input's units.  [default: type of the input]",
)
@axes_option
@click.option(
    "--channels",
    type=Names("channels", ("auto", "rgb", "separate")),
    default="auto",
    show_default=True,
    help="rgb: three channels are colours; separate: each is denoised on its own; auto: colours "
    "unless one has nothing in common with the others.",
)
@click.option("--workers", type=COUNT, help="Number of Dask worker processes on this machine.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    envvar="DASK_SCHEDULER_ADDRESS",  # the one that Dask itself reads
    help="Address of a Dask scheduler, such as tcp://host:8786; or DASK_SCHEDULER_ADDRESS.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print model, engine and a line per file.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and stop.")
@click.option(
    "--json",
    metavar="FILE",
    type=PATH,
    help="Write a JSON report with one entry per file; - for standard output.",
)
@click.option(
    "--compare",
    metavar="FILE",
    type=PATH,
    help="Write an image of before, after and the difference.",
)
@click.option(
    "--uncertainty", metavar="FILE.tif", type=PATH, help="Write the error bars of each pixel."
)
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Remove the noise from image files.

    Size, depth, alpha, colour profile and metadata stay as they are. A folder keeps its tree; '-'
    stands for standard input and output, FILE::NAME for an image in an HDF5, FITS or LIF file. A
    Zarr, a TIFF file above --max-pixels and a URL are processed in parts.
    """
    # NumPy's share is small, and its threads would wait for cores that the engine computes on.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imported here because NumPy and libvips take 0.2 s that --help does not need.
    from quietpixel.batch.denoise import Settings
    from quietpixel.cli.denoise_call import DenoiseCall
    from quietpixel.cli.denoise_large import LargeRun, is_large
    from quietpixel.cli.denoise_run import DenoiseRun
    from quietpixel.files import split_name
    from quietpixel.inference.options import DenoiseOptions

    named = [split_name(name) for name in values["inputs"]]
    parts = {part for _, part in named}
    if len(parts) > 1:
        raise ArgumentError("All inputs must name the same image after '::'; use separate calls.")
    values |= {"inputs": tuple(path for path, _ in named), "part": parts.pop()}
    if values["range"] == "folder":
        values |= {"range": None, "folder_range": True}
    settings = fill(Settings, values, options=fill(DenoiseOptions, values))
    # Reasons name arguments of the library, and the view turns them into options.
    names = option_names(ctx.command)
    call = fill(DenoiseCall, values, settings=settings, option_names=names)
    run = LargeRun(call) if is_large(call) else DenoiseRun(call)
    ctx.exit(run_interruptibly(run, run.stop))


def run_interruptibly(work: Callable[[], int], cleanup: Callable[[], None]) -> int:
    """Return what `work` returns, computed on a thread of its own.

    The main thread only waits, so that no signal has to wait for a library. After a signal the
    process ends at once, whatever the work does; its exit code is 130 after Ctrl-C, 143 after
    SIGTERM and 129 after SIGHUP, which a terminal sends when it is closed.

    Parameters
    ----------
    work
        Does everything; what it raises is raised here.
    cleanup
        Called after a signal, while the work may still go on, to clean up and report briefly.
    """
    # Python delivers signals to the main thread only, so elsewhere there is nothing to gain.
    if threading.current_thread() is not threading.main_thread():
        return work()
    # What is ignored stays so: nohup is there to ignore SIGHUP.
    caught = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, partial(_exit, cleanup)) for each in caught}
    try:
        return _wait_for(work)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for(work: Callable[[], int]) -> int:
    done: Future[int] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # raised again in the main thread
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    # Waiting without a timeout would hold signals back on Windows.
    while not done.done():
        wait([done], _POLL_SECONDS)
    return done.result()


def _exit(cleanup: Callable[[], None], number: int, frame: object) -> NoReturn:
    """Leave by `os._exit`, because the interpreter would wait for threads inside libraries."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)

    def clean() -> None:
        try:
            cleanup()
        except OSError as error:  # such as a report that cannot be written
            click.echo(f"quietpixel: {error}", err=True)

    cleaner = threading.Thread(target=clean, daemon=True)
    cleaner.start()
    cleaner.join(_CLEANUP_SECONDS)
    click.echo("quietpixel: interrupted", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + number)
