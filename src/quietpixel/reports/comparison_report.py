"""The page of a comparison: tables, quality against speed, quality against noise."""

from collections.abc import Sequence
from pathlib import Path

from quietpixel.evaluation.comparison import Comparison, Difference, Row, Table
from quietpixel.evaluation.metrics import MEASURES
from quietpixel.evaluation.trials import count_image, describe_noise
from quietpixel.reports.crops import SCRIPT
from quietpixel.reports.figures import DIGIT_COLOURS, INK, new_chart, to_png
from quietpixel.reports.page import (
    Picture,
    _escape,
    _facts,
    _picture,
    _write_whole,
    fill_page,
)
from quietpixel.reports.paired_differences import NameOf, build_apart, is_apart


def write_comparison_report(
    path: Path,
    comparison: Comparison,
    *,
    pictures: Sequence[Picture] = (),
    crops: Sequence[str] = (),
    name_of: NameOf = count_image,
) -> Path:
    """Write a comparison as one HTML file that needs no network, and return where it lies.

    Parameters
    ----------
    path
        Of the file.
    comparison
        The numbers.
    pictures
        Title, caption and PNG of further pictures.
    crops
        Sections made by `quietpixel.reports.crops.build_crops`, shown last.
    name_of
        From the number of an image to what it is called; left out, they are counted from 1.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    _write_whole(path, build_comparison_report(comparison, pictures, crops, name_of=name_of))
    return path


def build_comparison_report(
    comparison: Comparison,
    pictures: Sequence[Picture] = (),
    crops: Sequence[str] = (),
    *,
    name_of: NameOf = count_image,
) -> str:
    """Return the page of `write_comparison_report` as HTML."""
    title = f"Methods on {comparison.data}"
    facts = {
        "Images": f"{comparison.count:,}, {'gray' if comparison.channels == 1 else 'RGB'}",
        "Seed of the noise": comparison.seed,
        "Classical methods tuned on": comparison.tuned_on or "none was judged",
    }
    parts = [f"<h1>{_escape(title)}</h1>", _facts(facts), *map(_section, comparison.tables)]
    caption = "Up is better, right is faster. Both axes as measured in this run, on this machine."
    parts += [
        _picture(
            f"Quality against speed, {describe_noise(table.noise)}", caption, draw_speed(table)
        )
        for table in comparison.tables
        if any(row.megapixels_per_second for row in table.rows)
    ]
    if len(comparison.tables) > 1:
        drawn = draw_noise(comparison.tables)
        parts.append(_picture("Quality against noise", "Mean of the PSNR of each image.", drawn))
    parts += [build_apart(table, name_of) for table in comparison.tables if is_apart(table)]
    parts += [_picture(*each) for each in pictures]
    return fill_page(title, "\n".join([*parts, *crops]), SCRIPT if crops else "")


def draw_speed(table: Table) -> bytes:
    """Return PSNR against megapixels per second of each method, as a PNG."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes = new_chart("Quality against speed", across="megapixels/s (log scale)", up="PSNR, dB")
    axes.set_xscale("log")
    axes.margins(0.15)
    for row, colour in zip(table.rows, DIGIT_COLOURS * len(table.rows), strict=False):
        quality = row.means["psnr"]
        if quality is None or row.megapixels_per_second is None:
            continue
        axes.plot(row.megapixels_per_second, quality, "o", color=colour)
        axes.annotate(
            row.name, (row.megapixels_per_second, quality), (0, 8), textcoords="offset points",
            ha="center", color=INK, fontsize=8.5,
        )  # fmt: skip
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else range(1, 10)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
    return to_png(axes.figure)


def draw_noise(tables: Sequence[Table]) -> bytes:
    """Return PSNR of each method at each noise, as a PNG."""
    axes = new_chart("Quality against noise", across="", up="PSNR, dB")
    places = range(len(tables))
    for number, row in enumerate(tables[0].rows):
        values = [table.rows[number].means["psnr"] for table in tables]
        colour = DIGIT_COLOURS[number % len(DIGIT_COLOURS)]
        axes.plot(places, values, "o-", color=colour, label=row.name)
    axes.set_xticks(places, [describe_noise(table.noise) for table in tables])
    axes.margins(0.12)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return to_png(axes.figure)


def _section(table: Table) -> str:
    apart = {each.name: each for each in table.differences if each.measure == "psnr"}
    best = {name: _best(table.rows, name) for name in MEASURES}
    head = "".join(
        f'<th scope="col">{_escape(text)}</th>'
        for text in (
            "method",
            MEASURES["psnr"].title,
            f"less that of {table.rows[0].name}",
            *(measure.title for name, measure in MEASURES.items() if name != "psnr"),
            "megapixels/s",
            "memory, MB",
            "file, MB",
        )
    )
    lines = "".join(_line(row, apart.get(row.name), best) for row in table.rows)
    notes = "".join(
        f'<p class="note">{_escape(f"{row.name}: {row.parameters}")}</p>'
        for row in table.rows
        if row.parameters
    )
    words = (
        "In brackets: the 95 % interval, by a bootstrap of the images or of their pairs. Memory: "
        "the peak of a process that only runs the method, Python and libraries included."
    )
    return (
        f"<section><h2>{_escape(describe_noise(table.noise))}</h2><p>{words}</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
        f"</div>{notes}</section>"
    )


def _line(row: Row, apart: Difference | None, best: dict[str, float | None]) -> str:
    cells = [_cell(_value(row, name), marked=row.means[name] == best[name]) for name in MEASURES]
    cells.insert(1, _cell(_between(apart)))
    cells.append(_cell(f"{row.megapixels_per_second:.3g}" if row.megapixels_per_second else ""))
    cells.append(_cell(f"{row.memory / 1e6:.0f}" if row.memory is not None else ""))
    cells.append(_cell(f"{row.size / 1e6:.2f}" if row.size else ""))
    return f'<tr><th scope="row">{_escape(row.name)}</th>{"".join(cells)}</tr>'


def _cell(text: str, *, marked: bool = False) -> str:
    kind = ' class="best"' if marked and text else ""
    return f"<td{kind}>{text}</td>"


def _value(row: Row, name: str) -> str:
    """Return a mean, that of the PSNR with its interval; the others' are in the JSON."""
    mean, interval, digits = row.means[name], row.intervals[name], MEASURES[name].digits
    if mean is None or interval is None:
        return ""
    low, high = interval
    shown = f" <small>[{low:.{digits}f}, {high:.{digits}f}]</small>" if name == "psnr" else ""
    return f"{mean:.{digits}f}{shown}"


def _between(apart: Difference | None) -> str:
    if apart is None:
        return ""
    low, high = apart.interval
    return f"{apart.mean:+.2f} <small>[{low:+.2f}, {high:+.2f}]</small>"


def _best(rows: Sequence[Row], name: str) -> float | None:
    values = [mean for row in rows if (mean := row.means[name]) is not None]
    return max(values, key=lambda value: MEASURES[name].sign * value, default=None)
