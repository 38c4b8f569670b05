"""`quietpixel noise`: measures the noise of image files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.errors import FileError, QuietpixelError

if TYPE_CHECKING:
    from quietpixel.noise.measure import NoiseMeasure

Measures = dict[str, "NoiseMeasure"]


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--plot", metavar="FILE", help="Draw sigma by brightness, as PNG.")
@click.option("--json", "json_file", metavar="FILE", help="Write the numbers; - for the output.")
@click.pass_context
def command(
    ctx: click.Context, files: Sequence[str], plot: str | None, json_file: str | None
) -> None:
    """Measure the noise of image files.

    Prints sigma, the law that training takes as --noise, and whether the noise is white, correlated
    or in stripes. All numbers are on the [0, 1] scale. A folder stands for the images in it.
    """
    paths = list(_expand(files))
    measures, failed = _measure_all(paths)
    if json_file == "-":
        click.echo(_to_json(measures))
    elif measures:
        click.echo(format_measures(measures))
    if json_file not in (None, "-"):
        _write(str(json_file), _to_json(measures).encode() + b"\n")
    if plot is not None and measures:
        from quietpixel.reports.charts import noise_chart

        _write(plot, noise_chart(measures))
    ctx.exit(1 if failed else 0)


def format_measures(measures: Measures) -> str:
    """Return a plain table, one line for each file."""
    rows: list[tuple[str, ...]] = [
        ("file", "sigma", "of 255", "gain", "read noise", "kind", "as a law")
    ]
    rows += [_row(name, measure) for name, measure in measures.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(name: str, measure: "NoiseMeasure") -> tuple[str, ...]:
    return (
        name,
        f"{measure.sigma:.4f}",
        f"{255 * measure.sigma:.1f}",
        f"{measure.gain:.3g}",
        f"{measure.read_noise:.4f}",
        _describe_kind(measure),
        str(measure.law),
    )


def _describe_kind(measure: "NoiseMeasure") -> str:
    if measure.kind != "stripes":
        return measure.kind
    rows, columns = measure.stripes
    return "stripes in rows" if rows > columns else "stripes in columns"


def _expand(files: Sequence[str]) -> Iterator[Path]:
    from quietpixel.files import list_images

    for path in map(Path, files):
        if not path.is_dir():
            yield path
            continue
        images = list_images(path).images
        if not images:
            raise FileError(f"The folder '{path}' holds no images to measure; name files.")
        yield from images


def _measure_all(paths: Sequence[Path]) -> tuple[Measures, int]:
    """Return what was measured and how many files failed; a file alone that fails is an error."""
    from quietpixel.workflows.measure_noise import measure_noise

    measures: Measures = {}
    failed = 0
    for path in paths:
        try:
            measures[str(path)] = measure_noise(path)
        except QuietpixelError as error:
            if len(paths) == 1:
                raise
            failed += 1
            text = " ".join(str(error).split())
            named = text if str(path) in text else f"{path}: {text}"
            click.echo(f"quietpixel: {named}", err=True)
    return measures, failed


def _to_json(measures: Measures) -> str:
    entries = [
        {
            "file": name,
            "sigma": measure.sigma,
            "gain": measure.gain,
            "read_noise": measure.read_noise,
            "kind": measure.kind,
        }
        for name, measure in measures.items()
    ]
    return json.dumps(entries, indent=2)


def _write(path: str, content: bytes) -> None:
    from quietpixel.files import atomic_file

    with atomic_file(Path(path), overwrite=True) as file:
        file.write(content)
