"""The table of an evaluation: one row for each method."""

from collections.abc import Mapping, Sequence
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
