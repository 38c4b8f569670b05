"""The tables of a comparison: for each noise one row for each method."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
DIGITS = {"psnr": 2, "ssim": 4, "ms_ssim": 4, "gmsd": 4, "mse": 5}
HEADER = (
    "method", "PSNR", "less the first's, 95 %", "SSIM", "MS-SSIM", "GMSD", "MSE",
    "megapixels/s", "memory, MB", "file, MB",
)  # fmt: skip


def format_comparison(facts: Facts) -> str:
    """Return a comparison as plain tables, for people and for pipes.

    Parameters
    ----------
    facts
        What `quietpixel.compare` returns, from its JSON.

    Examples
    --------
    >>> row = {"name": "noisy", "means": {"psnr": 20.0, "ssim": 0.5, "ms_ssim": None, "gmsd": 0.1,
    ...     "mse": 0.01}, "megapixels_per_second": None, "memory": None, "size": None}
    >>> table = {"noise": "gaussian:0.1", "rows": [row], "differences": []}
    >>> text = format_comparison({"count": 2, "data": "digits", "channels": 1, "seed": 0,
    ...     "tuned_on": "", "tables": [table]})
    >>> text.splitlines()[0]
    '2 images of digits in gray, seed 0'
    """
    from quietpixel.evaluation.trials import describe_noise

    kind = "gray" if facts["channels"] == 1 else "RGB"
    lines = [f"{facts['count']:,} images of {facts['data']} in {kind}, seed {facts['seed']}"]
    for table in facts["tables"]:
        lines += ["", describe_noise(table["noise"]), *_lines(table)]
    if facts["tuned_on"]:
        lines += ["", f"Classical methods are tuned on {facts['tuned_on']}."]
    return "\n".join(lines)


def _lines(table: Facts) -> Iterator[str]:
    apart = {each["name"]: each for each in table["differences"] if each["measure"] == "psnr"}
    rows = [HEADER, *(_row(row, apart.get(row["name"])) for row in table["rows"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def _row(row: Facts, apart: Facts | None) -> Sequence[str]:
    means = {name: _number(row["means"][name], digits) for name, digits in DIGITS.items()}
    speed, memory, size = row["megapixels_per_second"], row["memory"], row["size"]
    return (
        row["name"],
        means["psnr"],
        _between(apart) if apart else "",
        *(means[name] for name in ("ssim", "ms_ssim", "gmsd", "mse")),
        f"{speed:.3g}" if speed else "",
        f"{memory / 1e6:.0f}" if memory is not None else "",
        f"{size / 1e6:.2f}" if size else "",
    )


def _between(apart: Facts) -> str:
    low, high = apart["interval"]
    return f"{apart['mean']:+.2f} ({low:+.2f} to {high:+.2f})"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
