"""One self-contained HTML page: facts, sections, pictures."""

import base64
import hashlib
import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from quietpixel.errors import FileError
from quietpixel.files.atomic import atomic_file

Picture = tuple[str, str, bytes]
"""Title, caption, and the bytes of a PNG."""

WIDE = 900
"""Width in pixels above which the words of a picture are too small on a phone."""
STYLE = (Path(__file__).parent / "report.css").read_text()
PAGE = (Path(__file__).parent / "report.html").read_text()


def build_page(
    title: str, facts: Mapping[str, Any], sections: Iterable[str] = (), *, script: str = ""
) -> str:
    """Return a page that opens without network, in light or dark, on a screen of any width.

    Parameters
    ----------
    title
        Heading, as plain text.
    facts
        What was trained or evaluated and with what, as words and values.
    sections
        HTML, such as of `picture_section`.
    script
        JavaScript; the content policy of the page allows this script and nothing else.

    Examples
    --------
    >>> page = build_page("A & B", {"seed": 0})
    >>> "<h1>A &amp; B</h1>" in page, "http:" in page
    (True, False)
    """
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    body = "\n".join([f'<dl class="facts">{rows}</dl>' if facts else "", *sections])
    policy = ""
    if script:
        # A hash, not "unsafe-inline": no text from a file name or a card can ever run as a script.
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy, script = f"; script-src 'sha256-{digest}'", f"<script>{script}</script>\n"
    return PAGE.format(title=escape(title), style=STYLE, body=body, policy=policy, script=script)


def write_page(path: str | Path, page: str) -> Path:
    """Write a page whole or not at all, into a new folder if need be, and return its path.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The report '{path}' cannot be written ({error.strerror}); choose another folder."
        ) from error
    # A run that is killed here must not leave half a report in place of the last one.
    with atomic_file(path, overwrite=True) as file:
        file.write(page.encode())
    return path


def heading(title: str, text: str) -> str:
    """Return the heading of a part of a page, with a paragraph."""
    return f"<header><h2>{escape(title)}</h2><p>{escape(text)}</p></header>"


def picture_section(title: str, caption: str, png: bytes) -> str:
    """Return a section with a title, a PNG and its caption; a wide PNG scrolls on a phone."""
    data = base64.b64encode(png).decode("ascii")
    kind = "scroll wide" if int.from_bytes(png[16:20]) > WIDE else "scroll"
    return (
        f"<section><h2>{escape(title)}</h2><figure>"
        f'<div class="{kind}"><img alt="{escape(title)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure></section>"
    )


def escape(value: Any) -> str:
    """Return a value as text that is safe in HTML and its attributes."""
    return html.escape(str(value))
