"""Plain tables, for people and for pipes."""

from collections.abc import Iterable, Sequence


def format_table(rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    """Return rows as lines with aligned columns.

    Parameters
    ----------
    rows
        The heading and the rows, of equal length.
    numbers
        Columns that are aligned on the right.

    Examples
    --------
    >>> print(format_table([("name", "size"), ("a", "10"), ("bcdef", "7")], numbers=[1]))
    name   size
    a        10
    bcdef     7
    """
    rows, right = list(rows), set(numbers)  # rows may be an iterator
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
