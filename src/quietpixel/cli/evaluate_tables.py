"""The tables of an evaluation and of a comparison: one row for each method."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HEADER = ("method", "MSE", "95 % interval", "PSNR", "SSIM", "images/s")


def format_table(methods: Sequence[Mapping[str, Any]]) -> str:
    """Return the methods of an evaluation as a plain table, for people and for pipes.

    Parameters
    ----------
    methods
        Mappings with ``name``, ``mse``, ``mse_interval``, ``psnr``, ``ssim`` and
        ``images_per_second``, as in the JSON of an evaluation.

    Examples
    --------
    >>> print(format_table([{"name": "noisy", "mse": 0.1156, "mse_interval": [0.115, 0.116],
    ...     "psnr": 9.37, "ssim": 0.2, "images_per_second": None}]))
    method      MSE      95 % interval  PSNR   SSIM  images/s
    noisy   0.11560  0.11500 - 0.11600  9.37  0.200
    """
    rows = [HEADER, *(_row(method) for method in methods)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(method: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = method["mse_interval"]
    speed = method["images_per_second"]
    return (
        method["name"],
        f"{method['mse']:.5f}",
        f"{low:.5f} - {high:.5f}",
        f"{method['psnr']:.2f}",
        f"{method['ssim']:.3f}",
        f"{speed:,.0f}" if speed else "",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()


Facts = Mapping[str, Any]
DIGITS = {"psnr": 2, "ssim": 4, "ms_ssim": 4, "gmsd": 4, "mse": 5}
COMPARISON_HEADER = (
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
    rows = [
        COMPARISON_HEADER,
        *(_comparison_row(row, apart.get(row["name"])) for row in table["rows"]),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COMPARISON_HEADER))]
    return (_line(row, widths) for row in rows)


def _comparison_row(row: Facts, apart: Facts | None) -> Sequence[str]:
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
