"""The lessons: panels that they share with the page of the package, and their engine."""

import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from quietpixel.inference.model_store import bundled_models
from quietpixel.inference.options import DenoiseOptions
from quietpixel.web.models import Models
from quietpixel.web.static_page import STATIC, write_page

LESSONS = Path(__file__).parent / "lessons"
PANELS = re.compile(r"^!panels ([\w ]+)$", re.MULTILINE)
"""A line of a page that stands for panels of the package's page "How it works"."""
PANEL = r'<section class="panel[^>]*aria-labelledby="{}-title">.*?</section>'
FIRST_LINE = "<!-- lesson -->"
NOTICE = """<p class="lesson-notice" id="notice" role="status">This lesson computes in your browser
and needs JavaScript and a web host: run <code>make docs-serve</code> in a checkout.</p>"""
"""Stands until the script of a lesson runs, which browsers refuse in pages opened as files."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the notice and the panels in place of their lines."""
    source = (STATIC / "index.html").read_text("utf-8")

    def panels(match: re.Match[str]) -> str:
        text = "\n".join(
            re.findall(PANEL.format(name), source, re.DOTALL)[0] for name in match[1].split()
        )
        # The numbers count the panels of the other page.
        text = re.sub(r"(<h3[^>]*>)\d\. ", r"\1", text)
        return f'<div class="lesson lab" markdown="0">\n{text}\n</div>'

    return PANELS.sub(panels, markdown).replace(FIRST_LINE, NOTICE)


def write_engine(folder: Path, runtime: Path | None) -> None:
    """Write what the lessons compute with; `runtime` as for `write_page`."""
    # Not the user's own models: the documentation must not depend on who builds it.
    paths = bundled_models() | {"digit-levels": LESSONS / "digit-levels.onnx"}
    write_page(folder, runtime=runtime, models=Models(paths, DenoiseOptions()))


def write_scripts(folder: Path) -> None:
    """Write the scripts of the engine alone: pages then say that the models are missing."""
    shutil.copytree(STATIC, folder / "static")
    (folder / "index.html").write_text("The models are missing; make docs adds them.\n", "utf-8")
