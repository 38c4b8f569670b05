"""One self-contained HTML page for a run: facts, the table of methods, the pictures."""

import base64
import hashlib
import html
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from quietpixel.errors import FileError
from quietpixel.evaluation.benchmark import NOISY, Evaluation, Score
from quietpixel.reports.charts import learning_curves

Picture = tuple[str, str, bytes]
"""Title, caption, and the bytes of a PNG."""

STYLE = (Path(__file__).parent / "report.css").read_text()


def write_report(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, Any],
    evaluation: Evaluation | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[Picture] = (),
) -> Path:
    """Write a page that opens without network, in light or dark, on a screen of any width.

    Parameters
    ----------
    path
        The HTML file; it is written under a temporary name first and then renamed, so that there
        is never half a report.
    title
        Above the page.
    facts
        What was trained or judged and with what, shown as words and values.
    evaluation
        Scores, shown as a table with the best values emphasised.
    history
        One mapping for each epoch, drawn as `quietpixel.reports.charts.learning_curves` does.
    pictures
        Title, caption and PNG of each further picture, in order.

    Returns
    -------
    Path
        Where the report lies.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    page = build_report(
        title=title, facts=facts, evaluation=evaluation, history=history, pictures=pictures
    )
    _write_whole(Path(path), page)
    return Path(path)


def build_report(
    *,
    title: str,
    facts: Mapping[str, Any],
    evaluation: Evaluation | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[Picture] = (),
) -> str:
    """Return the page of `write_report` as HTML.

    Examples
    --------
    >>> page = build_report(title="A & B", facts={"seed": 0})
    >>> "<h1>A &amp; B</h1>" in page, "http:" in page
    (True, False)
    """
    parts = [f"<h1>{_escape(title)}</h1>", _facts(facts)]
    if evaluation is not None:
        parts.append(_evaluation(evaluation))
    shown = list(pictures)
    if history:
        caption = (
            "The training error is the mean over an epoch in which the model still learns, and "
            "dropout, if any, acts only there; so the validation error may lie below."
        )
        shown.append(("Learning", caption, learning_curves(history)))
    parts += [_picture(*picture) for picture in shown]
    return fill_page(title, "\n".join(parts))


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
{script}</body>
</html>
"""


def fill_page(title: str, body: str, script: str = "") -> str:
    """Return a whole page whose content policy lets `script` run and nothing else.

    Parameters
    ----------
    title
        As plain text.
    body, script
        HTML, and JavaScript if there is any.
    """
    policy = ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy, script = f"; script-src 'sha256-{digest}'", f"<script>{script}</script>\n"
    return PAGE.format(title=_escape(title), style=STYLE, body=body, policy=policy, script=script)


def _facts(facts: Mapping[str, Any]) -> str:
    rows = (
        f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{"".join(rows)}</dl>' if facts else ""


def _evaluation(evaluation: Evaluation) -> str:
    words = (
        f"{evaluation.count:,} images of {evaluation.data} ({evaluation.split}), noise "
        f"{evaluation.noise}, seed {evaluation.seed}. In brackets: the 95 % bootstrap interval."
    )
    few = [row for row in evaluation.methods if row.count != evaluation.count]
    if few:
        words += f" {_names(few)}: scored on the first {few[0].count:,} images only."
    notes = [f"{row.name}: {row.parameters}" for row in evaluation.methods if row.parameters]
    return (
        f"<section><h2>Scores</h2><p>{_escape(words)}</p>{_table(evaluation.methods)}"
        + "".join(f'<p class="note">{_escape(note)}</p>' for note in notes)
        + "</section>"
    )


def _names(rows: Sequence[Score]) -> str:
    return ", ".join(row.name for row in rows)


def _table(rows: Sequence[Score]) -> str:
    head = "".join(f'<th scope="col">{heading}</th>' for heading, *_ in COLUMNS)
    best = [_best(rows, value, sign) for _, value, sign, _ in COLUMNS]
    lines = "".join(_line(row, at, best) for at, row in enumerate(rows))
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">method</th>'
        f"{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _line(row: Score, at: int, best: Sequence[float | None]) -> str:
    cells = (
        f"<td{_mark(value(row), top)}>{show(row)}</td>"
        for (_, value, _, show), top in zip(COLUMNS, best, strict=True)
    )
    kind = ' class="model"' if at == 0 else ""
    return f'<tr{kind}><th scope="row">{_escape(row.name)}</th>{"".join(cells)}</tr>'


def _mark(value: float | None, top: float | None) -> str:
    return ' class="best"' if value is not None and value == top else ""


def _best(rows: Sequence[Score], value: Callable[[Score], float | None], sign: int) -> float | None:
    """Return the best value of a column among the methods; the noisy row is none."""
    values = [number for row in rows if row.name != NOISY and (number := value(row)) is not None]
    return max(values, key=lambda number: sign * number, default=None) if sign else None


def _measure(row: Score, *, name: str, digits: int) -> str:
    low, high = getattr(row, f"{name}_interval")
    return (
        f"{_number(getattr(row, name), digits)} "
        f"<small>[{_number(low, digits)}, {_number(high, digits)}]</small>"
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def _speed(row: Score) -> str:
    return f"{row.images_per_second:,.0f}" if row.images_per_second is not None else ""


COLUMNS: tuple[tuple[str, Callable[[Score], float | None], int, Callable[[Score], str]], ...] = (
    ("squared error", lambda row: row.mse, -1, partial(_measure, name="mse", digits=5)),
    ("PSNR, dB", lambda row: row.psnr, 1, partial(_measure, name="psnr", digits=2)),
    ("SSIM", lambda row: row.ssim, 1, partial(_measure, name="ssim", digits=3)),
    ("images/s", lambda row: row.images_per_second, 1, _speed),
    ("images", lambda row: row.count, 0, lambda row: f"{row.count:,}"),
)


def _picture(title: str, caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f"<section><h2>{_escape(title)}</h2><figure>"
        f'<div class="scroll"><img alt="{_escape(title)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{_escape(caption)}</figcaption></figure></section>"
    )


def _escape(value: Any) -> str:
    return html.escape(str(value))


def _write_whole(path: Path, text: str) -> None:
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".partial")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True) if name else None
        raise FileError(
            f"The report '{path}' cannot be written ({error.strerror}); "
            "give another place or make room."
        ) from error
