"""The figures with a divider, and the notebooks of `examples` as pages with their outputs."""

import base64
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "images" / "gallery"
ICON = ROOT / "src" / "quietpixel" / "web" / "static" / "icon.svg"
COMPARE = re.compile(r"^!compare ([\w-]+)( alone)?$", re.MULTILINE)
"""A line of a page that stands for a picture of the gallery, alone or with the removed noise."""
FIGURE = """<figure class="compare{layout}">
<div class="compare-stage">
<img src="{noisy}" alt="Noisy">
<img class="denoised" src="{denoised}" alt="Denoised">
<span>noisy</span><span>denoised</span>
<input type="range" aria-label="Divider: noisy to its left, denoised to its right">
</div>{removed}
<figcaption>{before:.1f} dB before, {after:.1f} dB after denoising</figcaption>
</figure>"""
REMOVED = """
<div class="removed">
<img src="{}" alt="Removed noise"><span>removed, contrast doubled</span>
</div>"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the notebooks, their pictures and the icon of the package."""
    files.append(File.generated(config, "assets/icon.svg", content=ICON.read_text("utf-8")))
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        text, pictures = read_notebook(path)
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=text))
        for name, png in pictures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=png))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put figures with a divider in place of their lines."""
    scores = json.loads((GALLERY / "psnr.json").read_text("utf-8"))
    start = posixpath.dirname(page.file.src_uri)

    def figure(match: re.Match[str]) -> str:
        name, alone = match.groups()
        noisy, denoised, removed = (
            posixpath.relpath(f"images/gallery/{name}-{kind}.jpg", start)
            for kind in ("noisy", "denoised", "removed")
        )
        before, after = scores[name]
        return FIGURE.format(
            layout=alone or "",
            noisy=noisy,
            denoised=denoised,
            removed="" if alone else REMOVED.format(removed),
            before=before,
            after=after,
        )

    return COMPARE.sub(figure, markdown)


def read_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data: dict[str, Any] = output.get("data", {"text/plain": output.get("text")})
            if "image/png" in data:
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                parts.append(f"![Output of the cell above]({name})")
            else:
                parts.append(f"```{{.text .output}}\n{''.join(data['text/plain']).rstrip()}\n```")
    where = f"This page is the notebook `examples/{path.name}` with its outputs."
    parts.insert(1, f"*{where}*")
    return "\n\n".join(parts) + "\n", pictures
