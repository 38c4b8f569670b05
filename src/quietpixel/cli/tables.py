"""Plain tables, for people and for pipes."""

from collections.abc import Iterable, Sequence


def format_table(
    rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), width: int | None = None
) -> str:
    """Return rows as lines with aligned columns.

    Parameters
    ----------
    rows
        The heading and the rows, of equal length.
    numbers
        Columns that are aligned on the right.
    width
        Most characters in a line: columns that do not fit beside the others follow below, after the
        first column once more. None sets no limit.

    Examples
    --------
    >>> print(format_table([("name", "size"), ("a", "10"), ("bcdef", "7")], numbers=[1]))
    name   size
    a        10
    bcdef     7
    """
    rows, right = list(rows), set(numbers)  # rows may be an iterator
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    parts, used = [[0]], widths[0]
    for number in range(1, len(columns)):
        used += widths[number] + 2
        if width is not None and used > width and len(parts[-1]) > 1:
            parts.append([0])
            used = widths[0] + widths[number] + 2
        parts[-1].append(number)
    return "\n\n".join(
        "\n".join(
            "  ".join(
                row[number].rjust(widths[number])
                if number in right
                else row[number].ljust(widths[number])
                for number in part
            ).rstrip()
            for row in rows
        )
        for part in parts
    )
