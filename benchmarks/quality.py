"""Quality of models and methods on one set of photographs, next to published figures.

    python benchmarks/quality.py FOLDER MODEL [METHOD ...] [--sigmas 15,25,50] [--count N]
                                 [--pairs 'A=B'] [--plots FOLDER] [--precision f32|auto]

All get the same seeded, unclipped noise on whole images; results are clipped to [0, 1], and a
figure is the mean PSNR over the images. Models compute in float32; compare speeds with
--precision auto, the default of the program. Published figures have a column of their own with
their source, and are shown only next to a run over the whole set of that name (`published.py`);
they were made with another draw of the same noise. With --pairs the noise is that of the pictures.
Prints Markdown; plots go into --plots.
"""

import argparse
from pathlib import Path

from plots import keep
from published import COUNTS, FIGURES

import quietpixel
from quietpixel.evaluation.evaluator import Evaluation, Table
from quietpixel.evaluation.image_pairs import describe_noise
from quietpixel.reports.evaluation_report import draw_noise, draw_speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--sigmas", default="15,25,50", help="of 255, between commas")
    parser.add_argument("--count", type=int)
    parser.add_argument("--pairs", default="")
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--precision", choices=("f32", "auto"), default="f32")
    given = parser.parse_args()
    sigmas = [int(text) for text in given.sigmas.split(",")]
    found = quietpixel.compare(
        given.models,
        given.folder,
        noise=None if given.pairs else [f"gaussian:{sigma}/255,clip=no" for sigma in sigmas],
        pairs=given.pairs,
        count=given.count,
        precision=given.precision,
    )
    print(f"{found.count} images, {'gray' if found.channels == 1 else 'RGB'}.\n")
    for table in found.tables:
        print(to_markdown(table))
    if not given.pairs:
        print(beside_published(given.folder.name, found, sigmas))
    if given.plots is not None:
        draw(found, given.plots, given.folder.name)


def to_markdown(table: Table) -> str:
    """Return the numbers at one noise, with paired intervals of the difference to the first."""
    apart = {each.name: each for each in table.differences if each.measure == "psnr"}
    lines = [
        f"{describe_noise(table.noise)}:\n",
        f"| method | PSNR, dB | less that of {table.rows[0].name} | SSIM | megapixels/s "
        "| memory, MB | file, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.rows:
        each = apart.get(row.name)
        between = (
            f"{each.mean:+.2f} [{each.interval[0]:+.2f}, {each.interval[1]:+.2f}]" if each else ""
        )
        numbers = (
            show(row.means["psnr"], ".2f"), between, show(row.means["ssim"], ".4f"),
            show(row.megapixels_per_second, ".3g"),
            show(None if row.memory is None else row.memory / 1e6, ".0f"),
            show(None if row.size is None else row.size / 1e6, ".2f"),
        )  # fmt: skip
        lines.append(f"| {row.name} | {' | '.join(numbers)} |")
    return "\n".join([*lines, ""])


def beside_published(name: str, found: Evaluation, sigmas: list[int]) -> str:
    """Return measured and published PSNR by sigma; empty if they could not be compared."""
    if name not in FIGURES or found.count != COUNTS[name]:
        return (
            f"No published figures: this was not the whole of a set they are known of ({name}).\n"
        )
    rows = []
    for place, row in enumerate(found.tables[0].rows):
        values = (show(table.rows[place].means["psnr"], ".2f") for table in found.tables)
        rows.append(f"| {row.name} | {' / '.join(values)} | | measured here |")
    for each in FIGURES[name]:
        values = " / ".join(show(each.psnr.get(sigma), ".2f") for sigma in sigmas)
        rows.append(f"| {each.method} | | {values} | {each.source} |")
    head = f"| PSNR at sigma {' / '.join(map(str, sigmas))} | measured | published | source |"
    return "\n".join([head, "|---|---|---|---|", *rows, ""])


def draw(found: Evaluation, plots: Path, name: str) -> None:
    """Keep quality against speed and against noise, each where there are several to compare."""
    middle = found.tables[len(found.tables) // 2]
    if sum(row.megapixels_per_second is not None for row in middle.rows) > 1:
        keep(draw_speed(middle), plots, f"{name}-speed", f"{name}: quality against speed")
    if len(found.tables) > 1:
        keep(draw_noise(found.tables), plots, f"{name}-noise", f"{name}: quality against noise")


def show(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)


if __name__ == "__main__":
    main()
