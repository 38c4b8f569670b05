"""The report of an evaluation: tables, charts of quality, differences image by image, pictures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.evaluation.evaluator import NOISY, Comparison, Table
from quietpixel.evaluation.image_pairs import describe_noise
from quietpixel.evaluation.tables import build_columns
from quietpixel.imaging.brightness import Brightness
from quietpixel.inference.error_bars import describe_coverage
from quietpixel.reports.figures import DIGIT_COLOURS, INK, new_chart, to_png
from quietpixel.reports.page import build_page, escape, picture_section, write_page
from quietpixel.reports.pictures import (
    SCRIPT,
    build_crops,
    draw_worst,
    show_images,
)

NameOf = Callable[[int], str]
"""From the index of an image to its name."""

SHOWN_IMAGES = 1000
"""Images of a labelled set that samples and error by label are made from."""
WIDTH, HEIGHT, LEFT, EDGE = 960, 400, 60, 20
"""The drawing of the differences, and its margins."""
SMALL_SIDE = 64
"""Height and width in pixels below which images have no crops."""
MAX_DOTS = 500
"""Dots for each method in that drawing; of more images, every n-th is shown."""


def write_evaluation_report(path: str | Path, comparison: Comparison) -> Path:
    """Write the report of an evaluation as one HTML file, and return its path.

    Parameters
    ----------
    path
        The file.
    comparison
        The evaluation, with the images and methods.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    evaluation, card = comparison.evaluation, comparison.card
    # One card: the report is about a model, and not a comparison of several.
    title = f"{evaluation.model if card else 'Methods'} on {evaluation.data}"
    facts = {
        **(describe_model(card) if card else {}),
        "Images": f"{evaluation.count:,}, {'gray' if evaluation.channels == 1 else 'RGB'}",
        "Seed of the noise": evaluation.seed,
        "Classical methods tuned on": evaluation.tuned_on or "there are none",
    }
    if evaluation.trained_noise:
        facts["Noise derived from"] = describe_noise(evaluation.trained_noise)
    if elsewhere := evaluation.trained_elsewhere:
        named = ", ".join(f"{name} ({data})" for name, data in elsewhere.items())
        facts["Trained on other images"] = named
    return write_page(path, build_page(title, facts, result_sections(comparison), script=SCRIPT))


def result_sections(comparison: Comparison) -> list[str]:
    """Return the sections of an evaluation as HTML: tables, charts and pictures."""
    evaluation, pairs, runs = comparison.evaluation, comparison.pairs, comparison.runs
    labels = comparison.labels
    sections = [*evaluation_sections(evaluation.tables, pairs.name)]
    seed, crops = evaluation.seed, []
    # Of digits, the best and the worst are shown whole; they have no details.
    large = max(pairs.load(0)[0].shape[:2]) >= SMALL_SIDE
    for table, (methods, law) in zip(evaluation.tables * large, runs * large, strict=True):
        noise = describe_noise(table.noise)
        if pairs.count > 1:
            drawn = draw_worst(methods, pairs, law, seed=seed, numbers=table.worst)
            caption = (
                "The area of each image in which the first method is farthest from the clean "
                "image, at full size."
            )
            sections.append(picture_section(f"The worst images, {noise}", caption, drawn))
        crops.append(build_crops(methods, pairs, law, seed=seed, psnr=table.rows[0].psnr))
    # At the first noise only: the same digits at the others would add length, not insight.
    methods, law = runs[0]
    if labels is not None and methods[0].run is not None:
        count = min(pairs.count, SHOWN_IMAGES)
        shown = [pairs.pair(index, law, seed) for index in range(count)]
        clean, noisy = (np.stack(side) for side in zip(*shown, strict=True))
        pictures = show_images(
            clean, noisy, methods[0].run(noisy), labels=labels[:count], methods=methods
        )
        sections += [picture_section(*each) for each in pictures]
    return [*sections, *crops]


def describe_model(card: Card) -> dict[str, Any]:
    """Return what the card of a model says of it, as words and values."""
    brightness = card.uncertainty.get("brightness") if card.uncertainty else None
    if card.only_size:  # a digit has too few squares, and its result is not a measurement
        brightness = None
    return {
        "Architecture": card.architecture,
        "Trained on": card.data,
        "Trained for": card.noise or "the noise of its images",
        "Weights": f"{card.parameters:,}" if card.parameters else "not stated",
        "Multiply-adds per pixel": f"{card.operations:,}" if card.operations else "not stated",
        "Trained in": card.training.get("precision", "not stated"),
        **({"Error bars": describe_coverage(card.uncertainty)} if card.uncertainty else {}),
        **({"Brightness": Brightness(**brightness).describe()} if brightness else {}),
    }


def evaluation_sections(tables: Sequence[Table], name_of: NameOf | None = None) -> Iterator[str]:
    """Yield the sections of tables as HTML: numbers first, then charts.

    Parameters
    ----------
    tables
        One for each noise, with the same methods.
    name_of
        Names of the images, shown where a pointer rests on a dot of the differences; None omits the
        differences.
    """
    yield from map(_table_section, tables)
    for table in tables:
        # A chart of one dot shows no trade-off.
        if sum(row.megapixels_per_second is not None for row in table.rows) > 1:
            title = f"Quality against speed, {describe_noise(table.noise)}"
            caption = "Up is better, right is faster; both as measured here, on this machine."
            yield picture_section(title, caption, draw_speed(table))
    if len(tables) > 1:
        drawn = draw_noise(tables)
        yield picture_section("Quality against noise", "Mean PSNR over the images.", drawn)
    if name_of is not None:
        yield from (build_differences(table, name_of) for table in tables)


def _table_section(table: Table) -> str:
    columns = build_columns(table)
    titles = ("method", *(column.title for column in columns))
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = notes = ""
    for place, row in enumerate(table.rows):
        lines += f'<tr><th scope="row">{escape(row.name)}</th>'
        for cell in (column.cells[place] for column in columns):
            kind = ' class="best"' if cell.best else ""
            interval = f" <small>[{', '.join(cell.interval)}]</small>" if cell.interval else ""
            lines += f"<td{kind}>{cell.text}{interval}</td>"
        lines += "</tr>"
        if row.parameters:
            notes += f'<p class="note">{escape(f"{row.name}: {row.parameters}")}</p>'
    text = ""
    if any(cell.interval for column in columns for cell in column.cells):
        text = "In brackets: the 95 % interval, by a bootstrap of the images or of their pairs. "
    if any(row.memory for row in table.rows):
        text += "Memory: the peak of a process that only runs the method, libraries included."
    return (
        f"<section><h2>{escape(describe_noise(table.noise))}</h2><p>{text}</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        f"</div>{notes}</section>"
    )


def choose_colours(table: Table) -> dict[str, str]:
    """Return the colour of each method, which is the same in all charts."""
    colours = DIGIT_COLOURS * len(table.rows)
    return {row.name: colour for row, colour in zip(table.rows, colours, strict=False)}


def draw_speed(table: Table) -> bytes:
    """Return PSNR against megapixels per second of each method, as a PNG."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes = new_chart(across="megapixels/s (log scale)", up="PSNR, dB")
    axes.set_xscale("log")
    axes.margins(0.15)
    colours = choose_colours(table)
    for row in table.rows:
        quality = row.means["psnr"]
        if quality is None or row.megapixels_per_second is None:
            continue
        axes.plot(row.megapixels_per_second, quality, "o", color=colours[row.name], label=row.name)
    low, high = axes.get_xlim()
    # Over less than a factor of ten, 1, 2 and 5 would leave an axis with one number or none.
    narrow = (1, 2, 3, 5) if high > 4 * low else range(1, 10)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else narrow))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
    # Below the axes: names at the points of methods that are alike would cover each other, and
    # beside the axes the path of a run does not fit.
    box = axes.get_position()
    axes.set_position((box.x0, box.y0 + 0.14, box.width, box.height - 0.14))
    look = {"frameon": False, "fontsize": 8.5, "labelcolor": INK}
    axes.legend(loc="upper left", bbox_to_anchor=(-0.08, -0.2), ncols=3, handletextpad=0.2, **look)
    return to_png(axes.figure)


def draw_noise(tables: Sequence[Table]) -> bytes:
    """Return PSNR of each method at each noise, as a PNG."""
    axes = new_chart(across="", up="PSNR, dB")
    places, colours = range(len(tables)), choose_colours(tables[0])
    for number, row in enumerate(tables[0].rows):
        values = [table.rows[number].means["psnr"] for table in tables]
        axes.plot(places, values, "o-", color=colours[row.name], label=row.name)
    axes.set_xticks(places, [describe_noise(table.noise) for table in tables])
    axes.margins(0.12)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return to_png(axes.figure)


def build_differences(table: Table, name_of: NameOf) -> str:
    """Return a section of a page: the PSNR of each image minus that of the first method, sorted.

    It is empty for one image, without a second method besides the noisy images, or if a PSNR is
    infinite.

    Parameters
    ----------
    table
        The results at one noise.
    name_of
        From the index of an image to its name, shown where a pointer rests on a dot.
    """
    from matplotlib.ticker import MaxNLocator

    first, *others = (row for row in table.rows if row is table.rows[0] or row.name != NOISY)
    if (
        not others
        or len(first.psnr) < 2
        or not all(np.isfinite(row.psnr).all() for row in table.rows)
    ):
        return ""
    differences = {
        row.name: np.array([a - b for a, b in zip(row.psnr, first.psnr, strict=False)])
        for row in others  # of methods on fewer images than the first, fewer differences
    }
    joined = np.concatenate([[0.0], *differences.values()])
    # Of equal methods too, whose differences span nothing.
    pad = 0.06 * max(float(np.ptp(joined)), 0.1)
    low, high = joined.min() - pad, joined.max() + pad

    def y(value: float) -> float:
        return float(EDGE + (HEIGHT - 2 * EDGE) * (high - value) / (high - low))

    drawn, legend = f'<text x="{LEFT - 8}" y="12">dB</text>', ""
    for tick in MaxNLocator(6).tick_values(low, high):
        if low <= tick <= high:
            kind, label = ("rule", f"{tick:+.4g}") if abs(tick) > 1e-9 else ("zero", "0")
            drawn += (
                f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - EDGE}" y1="{y(tick):.1f}" '
                f'y2="{y(tick):.1f}"/><text x="{LEFT - 8}" y="{y(tick) + 4:.1f}">{label}</text>'
            )
    colours = choose_colours(table)
    for name, values in differences.items():
        drawn += _draw_dots(name, values, colours[name], y, name_of)
        legend += (
            f'<span><i style="background:{colours[name]}"></i>{escape(name)}: '
            f"better on {int((values > 0).sum()):,} of {len(values):,}</span>"
        )
    step = -(-len(first.psnr) // MAX_DOTS)
    shown = "Each dot is an image" if step == 1 else f"Each dot is one of {step} images"
    title = escape(f"Image by image, {describe_noise(table.noise)}")
    return (
        f'<section><h2>{title}</h2><figure><div class="scroll">'
        f'<svg class="apart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f'{drawn}</svg></div><p class="legend">{legend}</p><figcaption>{shown}, in the order of '
        f"each method: its PSNR minus that of {escape(first.name)}. Point at a dot to see the name "
        "of the image.</figcaption></figure></section>"
    )


def _draw_dots(
    method: str,
    values: NDArray[np.float64],
    colour: str,
    y: Callable[[float], float],
    name_of: NameOf,
) -> str:
    """Return the dots of a method, in the order of its differences; of many, every n-th."""
    order = np.argsort(values, kind="stable").tolist()
    step, width = -(-len(order) // MAX_DOTS), (WIDTH - LEFT - EDGE) / len(order)
    return "".join(
        f'<circle cx="{LEFT + width * (place + 0.5):.1f}" cy="{y(values[index]):.1f}" r="4" '
        f'fill="{colour}"><title>{escape(name_of(index))}, {escape(method)}: {values[index]:+.2f} '
        "dB</title></circle>"
        for place, index in enumerate(order)
        if place % step == 0 or place == len(order) - 1
    )
