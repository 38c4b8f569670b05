"""`quietpixel denoise`: image files in, the same files out, clean."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import read_sigma
from quietpixel.errors import ArgumentError

if TYPE_CHECKING:
    from quietpixel.inference.denoiser import Denoiser
    from quietpixel.inference.folders import Plan


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
@click.option("--sigma", callback=read_sigma, default="auto", help="Noise level, such as 25/255.")
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
@click.option("--engine", default="openvino", show_default=True, help="openvino or onnxruntime.")
@click.option("--precision", default="auto", show_default=True, help="auto, f32 or bf16.")
@click.option("--threads", type=click.IntRange(min=1), help="Left out: all cores.")
@click.option("--memory", default="512MB", show_default=True, help="What one tile may take.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=500_000_000,
    show_default=True,
    help="Refuse larger images.",
)
@click.option("--range", metavar="LOW,HIGH", callback=read_range, help="Values of black and white.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", metavar="FILE", help="Write what became of each file.")
@click.option("--compare", metavar="FILE", help="Write before, after and the difference.")
@click.pass_context
def command(ctx: click.Context, /, *, inputs: Sequence[str], **options: Any) -> None:
    """Take the noise out of image files.

    Size, depth, alpha, colour profile and metadata stay as they are. A folder keeps its tree; '-'
    stands for standard input and output.
    """
    if "-" in inputs or options["output"] == "-":
        _run_stream(inputs, options)
        return
    words = ("recursive", "suffix", "in_place", "format")
    from quietpixel.inference.folders import make_plan

    paths = [Path(name) for name in inputs]
    plan = make_plan(paths, options["output"], **{word: options[word] for word in words})
    if options["compare"] and len(plan.jobs) != 1:
        raise ArgumentError(f"--compare needs one image; got {len(plan.jobs)}.")
    for path, reason in plan.skipped:
        click.echo(f"{path} is left out: {reason}.", err=True)
    if options["dry_run"]:
        for job in plan.jobs:
            click.echo(f"{job.source} -> {job.target}")
        return
    ctx.exit(_run_plan(plan, options))


def open_denoiser(options: dict[str, Any]) -> "Denoiser":
    """Return the denoiser; a model that is not there is told before the first image is read."""
    from quietpixel.inference.denoiser import Denoiser
    from quietpixel.inference.store import default_model

    if options["model"] is None:
        default_model(3)
    words = ("engine", "precision", "threads", "memory")
    return Denoiser(options["model"], **{word: options[word] for word in words})


def make_settings(options: dict[str, Any]) -> Any:
    """Return the settings that the options ask for."""
    from quietpixel.inference.folders import Settings

    words = ("sigma", "strength", "range", "format", "max_pixels")
    overwrite = options["overwrite"] or options["in_place"]
    return Settings(overwrite=overwrite, **{word: options[word] for word in words})


def _run_plan(plan: "Plan", options: dict[str, Any]) -> int:
    """Do the work, show it, and return the exit code."""
    from quietpixel.cli.denoise_show import FolderView, write_json
    from quietpixel.files import remove_leftovers
    from quietpixel.inference.folders import run_jobs

    denoiser, settings = open_denoiser(options), make_settings(options)
    if options["compare"]:
        return _compare(plan, denoiser, settings, options)
    for folder in {job.target.parent for job in plan.jobs}:
        remove_leftovers(folder)
    ledger = _open_ledger(plan, options)
    view = FolderView(len(plan.jobs), alone=plan.root is None and len(plan.jobs) == 1)
    with view:
        for outcome in run_jobs(denoiser, plan.jobs, settings, ledger=ledger):
            view.show(outcome)
    if options["json"]:
        write_json(Path(options["json"]), view.outcomes)
    return view.summarize()


def _open_ledger(plan: "Plan", options: dict[str, Any]) -> Any:
    """Return the ledger of a folder run; one file alone needs none."""
    if plan.root is None:
        return None
    from quietpixel.errors import FileError
    from quietpixel.inference.folders import Ledger
    from quietpixel.inference.folders.fingerprint import fingerprint

    words = ("sigma", "strength", "range", "format", "precision", "engine")
    try:
        plan.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder '{plan.root}' cannot be made: {error.strerror}.") from error
    return Ledger(plan.root, fingerprint(options["model"], [options[word] for word in words]))


def _compare(plan: "Plan", denoiser: "Denoiser", settings: Any, options: dict[str, Any]) -> int:
    from quietpixel.inference.folders.single import denoise_one

    sentences = denoise_one(
        denoiser, plan.jobs[0].source, plan.jobs[0].target, settings, compare=options["compare"]
    )
    for sentence in sentences:
        click.echo(sentence, err=True)
    return 0


def _run_stream(inputs: Sequence[str], options: dict[str, Any]) -> None:
    """Denoise one image where its source, its target or both are a stream."""
    from quietpixel.inference.folders.single import denoise_one

    if len(inputs) > 1 or Path(inputs[0]).is_dir() or options["in_place"]:
        raise ArgumentError("'-' stands for one image; give one INPUT, and no --in-place.")
    name, output = inputs[0], options["output"] or "-"
    if options["dry_run"]:
        click.echo(f"{name} -> {output}", err=True)
        return
    denoiser, settings = open_denoiser(options), make_settings(options)
    source = sys.stdin.buffer.read() if name == "-" else Path(name)
    target = sys.stdout.buffer if output == "-" else Path(output)
    for sentence in denoise_one(denoiser, source, target, settings, compare=options["compare"]):
        click.echo(sentence, err=True)
