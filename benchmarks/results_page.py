"""Writes ``benchmarks/RESULTS.md`` and its plots from the records that benchmarks keep.

    python benchmarks/results_page.py [--records FOLDER] [--out FILE]

A record, ``NAME.json``, holds the tables of one benchmark with command, date and machine, as
`run_all.py` stores it. The page has one part for each name below, in this order; what has not been
measured is named at the end.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from record import to_line

from quietpixel.reports.figures import DIGIT_COLOURS, INK, new_chart, to_png

HERE = Path(__file__).parent
RECORDS = HERE / "results"
INTRODUCTION = """# Results

Written by `make bench`; each table has its command and date below it. Machine, unless stated there:
{machine}. `FOLDER` holds the data sets; `BEFORE` is a checkout of commit 3043853,
the version before, with which some tables compare. PSNR is in dB; more is better. In brackets: the
95 % interval of the mean difference on the same images, by a paired bootstrap. How the models
came about, and what was tried on the way, is in the [log](LOG.md).
"""
SECTIONS = {
    "Photographs": {
        "cbsd68": "CBSD68, colour, white noise",
        "bsd68": "BSD68, gray, white noise",
        "set12": "Set12, gray, white noise",
        "beside": "Quality and speed, gray, sigma 25 of 255",
        "beside-colour": "Quality and speed, colour, sigma 25 of 255",
        "files": "From file to file: kinds of noise",
        "kinds": "Kinds of noise that photographs have",
        "polyu": "Photographs of a camera at high ISO (PolyU)",
    },
    "Other images": {
        "mnist": "Digits (MNIST, test part)",
        "digits": "Digits (built in)",
        "documents": "Scanned pages",
        "w2s": "Fluorescence microscopy (W2S)",
        "hagen2021": "Fluorescence microscopy, exposures of two lengths (Hagen 2021)",
        "noisy": "Models trained here, without clean images and on pairs",
    },
    "Speed and memory": {
        "speed": "Engine and command",
        "matrix": "Share of the machine's matrix rate",
        "memory": "Peak memory of the command",
        "workers": "Many files on a cluster of one machine",
        "service": "Service",
        "page": "Page",
        "training": "Training to the error of the classic project on MNIST, 0.0137",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args()
    write_page(given.records, given.out)


def write_page(folder: Path, out: Path) -> None:
    """Write the page, with its plots in ``plots`` beside it."""
    records = {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    machines = Counter(record["machine"] for record in records.values())
    usual = machines.most_common(1)[0][0]
    parts, missing = [INTRODUCTION.format(machine=usual)], []
    for section, titles in SECTIONS.items():
        parts.append(f"## {section}\n")
        for name, title in titles.items():
            if name in records:
                parts.append(show(title, records[name], usual))
                parts.extend(draw(name, records[name], out.parent / "plots"))
            else:
                missing.append(title)
    if missing:
        parts.append(f"Not measured yet: {'; '.join(missing)}.\n")
    out.write_text("\n".join(parts), encoding="utf-8")


def show(title: str, record: Mapping[str, Any], usual: str) -> str:
    """Return the part of one record as Markdown, with its machine if that is not the usual one."""
    lines = [f"### {title}\n"]
    for table in record["tables"]:
        columns = table["columns"]
        lines += [to_line(columns), f"{'|---' * len(columns)}|", *map(to_line, table["rows"]), ""]
    lines += [f"{note}\n" for note in record["notes"]]
    machine = "" if record["machine"] == usual else f", {record['machine']}"
    return "\n".join([*lines, f"`{record['command']}`, {record['date']}{machine}\n"])


def draw(name: str, record: Mapping[str, Any], plots: Path) -> list[str]:
    """Draw the plot of a record that has one, and return the Markdown that shows it."""
    if name not in PLOTS:
        return []
    title, drawn = PLOTS[name]
    plots.mkdir(parents=True, exist_ok=True)
    (plots / f"{name}.png").write_bytes(drawn(record["tables"][0]))
    return [f"![{title}](plots/{name}.png)\n"]


def draw_speed(table: Mapping[str, Any]) -> bytes:
    """Return PSNR against speed, a point for each method, as a PNG."""
    quality, speed = 1, table["columns"].index("megapixels/s")
    axes = new_chart(across="megapixels/s (log scale)", up="PSNR, dB")
    place_axes(axes, left=0.1, height=2.6)
    axes.set_xscale("log")
    rows = [row for row in table["rows"] if row[speed]]
    for row, colour in zip(rows, DIGIT_COLOURS, strict=False):
        axes.plot(float(row[speed]), float(row[quality]), "o", color=colour, label=row[0])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
    axes.margins(0.1)
    add_legend(axes)
    return to_png(axes.figure)


def draw_gains(table: Mapping[str, Any]) -> bytes:
    """Return the gain of each method over the noisy file by kind of noise, as a PNG."""
    rows = [row for row in table["rows"] if np.isfinite(float(row[1]))]
    axes = new_chart(across="dB", up="")
    place_axes(axes, left=0.32, height=0.26 * len(rows))
    for column in range(2, len(table["columns"])):
        points = [
            (float(row[column].split()[0]) - float(row[1]), place)
            for place, row in enumerate(rows)
            if row[column]
        ]
        size = 60 if column == 2 else 24
        colour, label = DIGIT_COLOURS[column - 2], table["columns"][column]
        axes.scatter(*zip(*points, strict=True), size, color=colour, label=label, zorder=9 - column)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    add_legend(axes)
    return to_png(axes.figure)


def place_axes(axes: Any, *, left: float, height: float) -> None:
    """Give axes a height in inches, with room for names on the left and a legend below."""
    total = height + 1.25  # 1 below; above, the quarter that the name of the upright axis takes
    axes.figure.set_figheight(total)
    axes.set_position((left, 1.0 / total, 0.96 - left, height / total))


def add_legend(axes: Any) -> None:
    """Name the methods below the axes, where no point can be covered."""
    axes.figure.legend(loc="lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)


PLOTS: dict[str, tuple[str, Callable[[Mapping[str, Any]], bytes]]] = {
    "beside": ("Quality against speed, six images of BSD68", draw_speed),
    "files": ("Gain over the noisy file, by kind of noise", draw_gains),
}


if __name__ == "__main__":
    main()
