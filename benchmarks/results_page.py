"""Writes ``benchmarks/RESULTS.md`` and its plots from the records that benchmarks keep.

    python benchmarks/results_page.py [--records FOLDER] [--out FILE]

A record, ``NAME.json``, holds the tables of one benchmark with command, date, seconds and machine,
as `run_all.py` stores it. The page has one part for each name below, in this order, most of them
folded, so that what is seen at first fits on two pages; what has not been measured is named at the
end.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from record import to_line

from quietpixel.reports.figures import DIGIT_COLOURS, INK, RULE, new_chart, to_png

HERE = Path(__file__).parent
RECORDS = HERE / "results"
INTRODUCTION = """# Results

Written by `make bench`. Below each table: its command, the date, how long it took{minutes},
and the machine if it is not {machine}.
A load is that of other work when the benchmark began, which lengthens times. `FOLDER` holds the
data sets, `BEFORE` is a checkout of commit 3043853, the version before, with which some tables
compare. PSNR is in dB, more is better; levels of noise (sigma) are of 255. In brackets: the 95 %
interval of the mean difference on the same images, by a paired bootstrap. The [log](LOG.md) tells
how the models came about, and what was tried on the way.
"""
SHOWN = {"cbsd68", "polyu", "w2s", "speed"}
"""What is not folded, with the plots: two pages."""
SECTIONS = {
    "Photographs": {
        "cbsd68": (
            "CBSD68, colour, white noise",
            "Models find the level of the noise; other methods are given it or tuned to it. All "
            "get the same noise. `less that of photo` is the difference at the middle level.",
        ),
        "bsd68": ("BSD68, gray, white noise", "As above."),
        "set12": ("Set12, gray, white noise", "As above."),
        "beside-colour": (
            "Quality and speed, colour, sigma 25",
            "Networks compute in bfloat16 where the processor can; FFDNet and CDnCNN have the "
            "weights of their authors.",
        ),
        "beside": ("Quality and speed, gray, sigma 25", "As above."),
        "files": (
            "From file to file: kinds of noise",
            "PSNR of the file that the command writes by default (`file`), and of the same pixels "
            "in Python (`array`). The others are tuned to each kind of noise, or given its level.",
        ),
        "kinds": (
            "Kinds of noise that photographs have, beside the version before",
            "The shift is that of the mean of a colour, which should stay.",
        ),
        "polyu": (
            "Photographs of a camera at high ISO (PolyU)",
            "One shot of each scene, compared with the mean of many.",
        ),
    },
    "Other images": {
        "w2s": (
            "Fluorescence microscopy (W2S)",
            "One shot of each field, compared with the mean of 400. Classical methods are tuned on "
            "four of these images, which favours them.",
        ),
        "hagen2021": (
            "Fluorescence microscopy, exposures of two lengths (Hagen 2021)",
            "As above; a short exposure is compared with a long one.",
        ),
        "documents": (
            "Scanned pages",
            "Stains and creases are no noise: `photo` leaves them; a model trained on pairs "
            "removes them (last table of this part).",
        ),
        "mnist": (
            "Digits (MNIST, test part)",
            "Gaussian noise of half the range from black to white; classical methods are tuned.",
        ),
        "digits": ("Digits (built in)", "As above, on the digits of scikit-learn."),
        "noisy": (
            "Models trained here, without clean images and on pairs",
            "Each row is a training of its own.",
        ),
    },
    "Speed and memory": {
        "speed": (
            "Engine and command",
            "`photo`, level found; medians. Last column: the time divided by that of BEFORE.",
        ),
        "matrix": (
            "Share of the machine's matrix rate",
            "What the engine computes in a second, beside a large product of matrices.",
        ),
        "memory": ("Peak memory of the command", "`quietpixel denoise` on one picture."),
        "workers": (
            "Many files on a cluster of one machine",
            "`denoise --workers`, beside one process on one core.",
        ),
        "service": (
            "Service",
            "JPEGs of one megapixel; each client sends the next when the last has come back.",
        ),
        "page": (
            "Page",
            "In Chromium, from the move of a slider, or the drop of a file, until it is seen.",
        ),
        "training": (
            "Training to the error of the classic project on MNIST, 0.0137",
            "A plain Keras script and the recipe `tuned` learn the same layers.",
        ),
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
    machines = Counter(each["machine"].split(", load ")[0] for each in records.values())
    usual = machines.most_common(1)[0][0]
    seconds = sum(record.get("seconds", 0) for record in records.values())
    minutes = f" ({seconds / 60:.0f} minutes in all)" if seconds else ""
    parts, missing = [INTRODUCTION.format(machine=usual, minutes=minutes)], []
    for section, contents in SECTIONS.items():
        parts.append(f"## {section}\n")
        for name, (title, about) in contents.items():
            if name in records:
                text = show(about, records[name], usual)
                parts.append(f"### {title}\n\n{text}" if name in SHOWN else fold(title, text))
                parts.extend(draw(name, records[name], out.parent / "plots"))
            else:
                missing.append(title)
    if missing:
        parts.append(f"Not measured yet: {'; '.join(missing)}.\n")
    out.write_text("\n".join(parts), encoding="utf-8")


def show(about: str, record: Mapping[str, Any], usual: str) -> str:
    """Return the part of one record as Markdown, with its machine if that is not the usual one."""
    lines = [f"{about}\n"]
    for table in record["tables"]:
        columns = table["columns"]
        lines += [to_line(columns), f"{'|---' * len(columns)}|", *map(to_line, table["rows"]), ""]
    lines += [f"{note}\n" for note in record["notes"]]
    machine = record["machine"].removeprefix(usual).removeprefix(", ")
    took = f"{record['seconds']} s" if "seconds" in record else ""
    how = filter(None, (f"`{record['command']}`", record["date"], took, machine))
    return "\n".join([*lines, ", ".join(how) + "\n"])


def fold(title: str, text: str) -> str:
    """Return a part that opens when its title is chosen."""
    return f"<details><summary><b>{title}</b></summary>\n\n{text}\n</details>\n"


def draw(name: str, record: Mapping[str, Any], plots: Path) -> list[str]:
    """Draw the plot of a record that has one, and return the Markdown that shows it."""
    if name not in PLOTS:
        return []
    title, drawn = PLOTS[name]
    plots.mkdir(parents=True, exist_ok=True)
    (plots / f"{name}.png").write_bytes(drawn(record["tables"][0]))
    return [f'<img src="plots/{name}.png" width="480" alt="{title}">\n']


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
    axes = new_chart(across="gain over the noisy file, dB", up="")
    place_axes(axes, left=0.32, height=0.22 * len(rows))
    axes.grid(visible=False)
    for place in range(0, len(rows), 2):
        axes.axhspan(place - 0.5, place + 0.5, color=RULE, linewidth=0)
    methods = [name for name in table["columns"][2:] if name != "array"]  # as `file` to the eye
    for number, name in enumerate(methods):
        column = table["columns"].index(name)
        lower = 0.64 * (number / (len(methods) - 1) - 0.5)  # side by side: no point covers another
        points = [
            (float(row[column].split()[0]) - float(row[1]), place + lower)
            for place, row in enumerate(rows)
            if row[column]
        ]
        axes.scatter(*zip(*points, strict=True), 18, color=DIGIT_COLOURS[number], label=name)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
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
    "beside-colour": ("Quality against speed, three images of CBSD68", draw_speed),
    "files": ("Gain over the noisy file, by kind of noise", draw_gains),
}


if __name__ == "__main__":
    main()
