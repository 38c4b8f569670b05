"""The table of an evaluation: the same cells on the command line and in reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from quietpixel.evaluation.evaluator import NOISY, Interval, Row, Table
from quietpixel.evaluation.metrics import METRICS


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text
        A number with the digits that are shown, or empty.
    interval
        Its 95 % confidence interval, if that is shown.
    best
        Whether no other method is better; the noisy images are never marked.
    """

    text: str = ""
    interval: tuple[str, str] | None = None
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A heading, and one cell for each method."""

    title: str
    cells: tuple[Cell, ...]


def build_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns of a table after that of the names; empty ones are omitted.

    Examples
    --------
    >>> means = {name: None for name in METRICS} | {"psnr": 20.0}
    >>> row = Row(name="noisy", parameters="", size=None, count=2, means=means,
    ...     intervals=means | {"psnr": (19.0, 21.0)}, images_per_second=None,
    ...     megapixels_per_second=None)
    >>> [column.title for column in build_columns(Table(noise="", rows=(row,), differences=()))]
    ['PSNR, dB']
    """
    rows = table.rows
    psnr, *others = (
        Column(metric.title, tuple(_metric_cell(row, name, rows) for row in rows))
        for name, metric in METRICS.items()
    )
    # Of the PSNR only: ten columns are as many as a page is wide.
    differences = {
        each.name: Cell(f"{each.mean:+.2f}", _format_interval(each.interval, "+.2f"))
        for each in table.differences
        if each.measure == "psnr"
    }
    columns = (
        psnr,
        Column("minus the first", tuple(differences.get(row.name, Cell()) for row in rows)),
        *others,
        _plain("megapixels/s", [_format(row.megapixels_per_second, ".3g") for row in rows]),
        _plain("memory, MB", [_format(row.memory, ".0f", 1e6) for row in rows]),
        _plain("file, MB", [_format(row.size, ".2f", 1e6) for row in rows]),
        # Methods on fewer images than the others cannot be compared by their means.
        _plain(
            "images", [f"{r.count:,}" if len({x.count for x in rows}) > 1 else "" for r in rows]
        ),
    )
    return tuple(column for column in columns if any(cell.text for cell in column.cells))


def _metric_cell(row: Row, name: str, rows: Sequence[Row]) -> Cell:
    metric, mean, interval = METRICS[name], row.means[name], row.intervals[name]
    if mean is None or interval is None:
        return Cell()
    rivals = [each.means[name] for each in rows if each.name != NOISY]
    best = max((metric.sign * value for value in rivals if value is not None), default=None)
    # A page is too narrow for more intervals; all of them are in the JSON.
    shown = _format_interval(interval, f".{metric.digits}f") if name == "psnr" else None
    marked = row.name != NOISY and metric.sign * mean == best
    return Cell(f"{mean:.{metric.digits}f}", shown, marked)


def _plain(title: str, texts: Sequence[str]) -> Column:
    return Column(title, tuple(Cell(text) for text in texts))


def _format(value: float | None, spec: str, unit: float = 1) -> str:
    return "" if value is None else format(value / unit, spec)


def _format_interval(interval: Interval, spec: str) -> tuple[str, str] | None:
    low, high = interval
    return (format(low, spec), format(high, spec)) if low < high else None  # one image
