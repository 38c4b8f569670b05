"""`quietpixel denoise`: image files in, the same files out, clean."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import read_sigma
from quietpixel.errors import ArgumentError, FileError, QuietpixelError

if TYPE_CHECKING:
    from quietpixel.inference.denoiser import Denoiser


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE|FOLDER", help="Left out: name-clean.ext beside it.")
@click.option("--model", help="A name, a run folder or a file; see 'quietpixel models'.")
@click.option("--sigma", callback=read_sigma, default="auto", help="Noise level, such as 25/255.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Less gives texture back; 0 changes nothing.",
)
@click.option("--suffix", default="-clean", show_default=True, help="Added to the name.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--engine", default="openvino", show_default=True, help="openvino or onnxruntime.")
@click.option("--precision", default="auto", show_default=True, help="auto, f32 or bf16.")
@click.option("--threads", type=click.IntRange(min=1), help="Left out: all cores.")
@click.option("--memory", default="512MB", show_default=True, help="What one tile may take.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    inputs: Sequence[str],
    output: str | None,
    suffix: str,
    overwrite: bool,
    sigma: float | str,
    strength: float,
    **options: Any,
) -> None:
    """Take the noise out of image files.

    Size, depth, alpha, colour profile and metadata stay as they are.
    """
    pairs = plan_outputs([Path(name) for name in inputs], output, suffix)
    denoiser = open_denoiser(**options)
    failures = 0
    for source, target in pairs:
        try:
            denoise_file(
                denoiser, source, target, overwrite=overwrite, sigma=sigma, strength=strength
            )
        except QuietpixelError as error:
            if len(pairs) == 1:
                raise
            failures += 1
            click.echo(f"quietpixel: {_with_name(source, error)}", err=True)
    if failures:
        click.echo(f"{len(pairs) - failures} of {len(pairs)} images are done.", err=True)
        ctx.exit(1)


def plan_outputs(
    sources: Sequence[Path], output: str | None, suffix: str
) -> list[tuple[Path, Path]]:
    """Return each input with the file that it becomes; collisions are found before any work.

    Raises
    ------
    ArgumentError
        If an input is a folder, many would go into one file, or two into the same.

    Examples
    --------
    >>> plan_outputs([Path("a/b.png")], None, "-clean")[0][1].as_posix()
    'a/b-clean.png'
    """
    targets = [_target(source, output, suffix, alone=len(sources) == 1) for source in sources]
    twice = [target for target, count in Counter(targets).items() if count > 1]
    if twice:
        raise ArgumentError(
            f"Two inputs would both become '{twice[0]}'; give them to two runs with other folders."
        )
    return list(zip(sources, targets, strict=True))


def _target(source: Path, output: str | None, suffix: str, *, alone: bool) -> Path:
    if source.is_dir():
        raise ArgumentError(f"INPUT must be files, and '{source}' is a folder; name its files.")
    if output is None:
        return source.with_name(f"{source.stem}{suffix}{source.suffix}")
    path = Path(output)
    if path.is_dir() or output.endswith(("/", "\\")):
        return path / source.name
    if alone:
        return path
    if path.exists():
        raise ArgumentError(
            f"--output must be a folder because there are many inputs; '{output}' is a file."
        )
    return path / source.name


def open_denoiser(*, model: str | None, **options: Any) -> "Denoiser":
    """Return the denoiser; a model that is not there is told before the first image is read."""
    from quietpixel.inference.denoiser import Denoiser
    from quietpixel.inference.store import default_model

    if model is None:
        default_model(3)
    return Denoiser(model, **options)


def denoise_file(
    denoiser: "Denoiser", source: Path, target: Path, *, overwrite: bool, **settings: Any
) -> None:
    """Denoise one file into another, and say what was done."""
    from quietpixel.files import check_writable, read_picture, write_picture

    start = time.perf_counter()
    picture = read_picture(source)
    check_writable(picture, target, overwrite=overwrite)
    clean = picture.with_pixels([denoiser(page, **settings) for page in picture.pages])
    _make_folder(target.parent)
    notes = write_picture(clean, target, overwrite=overwrite, like=source)
    for note in (*clean.notes, *notes):
        click.echo(f"{source}: {note}", err=True)
    click.echo(f"{source} -> {target}  ({time.perf_counter() - start:.1f} s)")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder '{folder}' cannot be made: {error.strerror}.") from error


def _with_name(source: Path, error: QuietpixelError) -> str:
    """Return the error's sentence, with the file's name where it does not hold it."""
    return str(error) if str(source) in str(error) else f"{source}: {error}"
