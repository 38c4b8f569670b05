"""`quietpixel noise`: measures the noise of image files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.cli.denoise import read_range
from quietpixel.cli.options import (
    PATH_TEXT,
    Command,
    axes_option,
    check_report,
    explain,
    match_files,
    notify,
    option_names,
)
from quietpixel.cli.tables import format_table
from quietpixel.errors import ArgumentError, FileError, QuietpixelError

if TYPE_CHECKING:
    from quietpixel.noise.measure import NoiseMeasure

HEADER = ("file", "sigma", "of 255", "gain", "read noise", "kind", "law")


EXAMPLES = ("quietpixel noise photo.jpg", "quietpixel noise photos/ --plot noise.png")


@click.command(cls=Command, examples=EXAMPLES, words=lambda: {"images": "FILE"})
@click.argument(
    "files", metavar="FILE...", type=PATH_TEXT, callback=match_files, nargs=-1, required=True
)
@click.option(
    "--range",
    metavar="LOW,HIGH",
    callback=read_range,
    help="Values of black (no light) and white.  [default: found in each image]",
)
@axes_option
@click.option("--plot", metavar="FILE", type=PATH_TEXT, help="Draw sigma by brightness, as PNG.")
@click.option(
    "--json", "json_file", metavar="FILE", type=PATH_TEXT, help="Write JSON; - for standard output."
)
@click.pass_context
def command(
    ctx: click.Context,
    files: Sequence[str],
    *,
    range: tuple[float, float] | None,
    axes: str | None,
    plot: str | None,
    json_file: str | None,
) -> None:
    """Measure the noise of image files.

    Prints sigma, the law that training takes as --noise, and whether the noise is white,
    correlated, in stripes, impulses or speckle. The numbers of the table are on the [0, 1] scale;
    below it they are repeated in the units of images that have another. A folder stands for the
    images in it, a Zarr is one image, and each channel of a stack has a line of its own.
    """
    from quietpixel.cli.progress import show_progress
    from quietpixel.containers import measure_channels
    from quietpixel.files import atomic_file
    from quietpixel.training.progress import count_images

    if plot is not None and Path(plot).suffix.lower() != ".png":
        raise ArgumentError(f"--plot must end in .png because a PNG is drawn; got '{plot}'.")
    check_report("--plot", plot, "chart")
    check_report("--json", json_file, "JSON")
    paths = _list_files(files)
    measures, failed = {}, False
    options = option_names(click.get_current_context().command)
    with show_progress() as view:
        count = count_images("Measuring", view)
        for place, path in enumerate(paths):
            count(place, len(paths))
            try:
                if _is_folder(path):
                    raise FileError(f"The folder '{path}' holds no images to measure; name files.")
                channels = measure_channels(path, range=range, axes=axes)
                for number, measure in channels.items():
                    name = f"{path}, channel {number + 1}" if len(channels) > 1 else str(path)
                    measures[name] = measure
            except QuietpixelError as error:
                # One file that fails is an error; of several, the others are still measured.
                if len(paths) == 1:
                    raise
                failed, text = True, " ".join(explain(error, options).split())
                named = text if str(path) in text else f"{path}: {text}"
                click.echo(f"quietpixel: {named}", err=True)
    text = json.dumps([_entry(name, measure) for name, measure in measures.items()], indent=2)
    # JSON on standard output goes to a program, which wants no table.
    if json_file == "-":
        click.echo(text)
    elif measures:
        click.echo(format_measures(measures))
        for sentence, names in collect_sentences(measures).items():
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            click.echo(f"{', '.join(names[:3])}{more}: {sentence}")
    outputs = {} if json_file in (None, "-") else {json_file: text.encode() + b"\n"}
    if plot is not None and measures:
        from quietpixel.reports.charts import noise_chart

        outputs[plot] = noise_chart(measures)
    # Written after all measurements, so that an error leaves no half of the outputs.
    for name, content in outputs.items():
        with atomic_file(Path(str(name)), overwrite=True) as file:
            file.write(content)
    ctx.exit(int(failed))


def format_measures(measures: "dict[str, NoiseMeasure]") -> str:
    """Return a plain table, one line for each file."""
    rows = [HEADER]
    for name, measure in measures.items():
        kind = measure.kind
        if kind == "stripes":
            kind += " in rows" if measure.stripes[0] > measure.stripes[1] else " in columns"
        rows.append((
            name, f"{measure.sigma:.4f}", f"{255 * measure.sigma:.1f}", f"{measure.gain:.3g}",
            f"{measure.read_noise:.4f}", kind, "none" if measure.warning else str(measure.law),
        ))  # fmt: skip
    return format_table(rows)


def collect_sentences(measures: "dict[str, NoiseMeasure]") -> dict[str, list[str]]:
    """Return each sentence once, with the files that it holds for."""
    found: dict[str, list[str]] = {}
    for name, measure in measures.items():
        for sentence in describe_measure(measure):
            found.setdefault(sentence, []).append(name)
    return found


def describe_measure(measure: "NoiseMeasure") -> list[str]:
    """Return sentences on what the table does not show: units, outliers, a law that is too weak."""
    sentences = []
    if (measure.black, measure.white) not in ((0, 1), (0, 255)) or measure.offset:
        counts = measure.counts.items()
        values = ", ".join(f"{word.replace('_', ' ')} {value:.4g}" for word, value in counts)
        scale = f"black {measure.black:.6g} as 0 and white {measure.white:.6g} as 1"
        sentences.append(f"in its units, {values}; the table has {scale}.")
    if any(measure.outliers):
        dark, bright = (100 * share for share in measure.outliers)
        sentences.append(f"single outlying pixels, {dark:.2g} % dark and {bright:.2g} % bright.")
    if measure.speckle:
        sentences.append(f"speckle, a standard deviation of {100 * measure.speckle:.3g} %.")
    if measure.warning:
        sentences.append(measure.warning)
    return sentences


def _list_files(names: Sequence[str]) -> list[Path]:
    """Return the files, with the images of a folder, if it has any, in place of the folder."""
    from quietpixel.data.image_folder import list_scenes

    paths: list[Path] = []
    for path in map(Path, names):
        paths += (list_scenes(path, notify, recursive=False) if _is_folder(path) else ()) or [path]
    return paths


def _is_folder(path: Path) -> bool:
    from quietpixel.files.zarr_store import is_store

    return path.is_dir() and not is_store(path)


def _entry(name: str, measure: "NoiseMeasure") -> dict[str, object]:
    words = (
        "sigma", "gain", "read_noise", "kind", "offset", "outliers", "speckle", "black", "white",
        "counts", "warning",
    )  # fmt: skip
    law = None if measure.warning else str(measure.law)
    return {"file": name, **{word: getattr(measure, word) for word in words}, "law": law}
