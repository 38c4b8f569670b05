"""Commands, options, names and files in the documentation exist."""

import ast
import html
import importlib
import inspect
import io
import json
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

import quietpixel
from quietpixel.cli.main import COMMANDS, group

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TYPED = re.compile(r"^ {4}(quietpixel .*)$", re.MULTILINE)
INLINE = re.compile(r"`(quietpixel [^`]*)`")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
COMPARED = re.compile(r"^!compare ([\w-]+)", re.MULTILINE)
GALLERY = ROOT / "docs" / "images" / "gallery"
KINDS = ("noisy", "denoised", "removed")


def commands_in(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return TYPED.findall(text) + INLINE.findall(text)


def options_of(command: click.Command) -> set[str]:
    context = click.Context(command, help_option_names=["-h", "--help"])
    return {
        name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_their_options_exist(page: Path) -> None:
    context = click.Context(group)
    for line in commands_in(page):
        words = shlex.split(line, comments=True)
        if len(words) < 2 or words[1].startswith("-") or words[1].isupper():
            continue
        assert words[1] in COMMANDS, line
        command = group.get_command(context, words[1])
        assert command is not None
        used = {word for word in words[2:] if re.fullmatch(r"-[a-z]|--[a-z-]+", word)}
        assert used <= options_of(command), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_compiles_and_uses_public_names(page: Path) -> None:
    for code in PYTHON.findall(page.read_text(encoding="utf-8")):
        compile(code, str(page), "exec")
        names = set(re.findall(r"quietpixel\.(\w+)\(", code))
        assert names <= set(quietpixel.__all__), names - set(quietpixel.__all__)


def test_each_picture_is_shown_and_made_by_the_script() -> None:
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    shown = {
        (page.parent / link).resolve()
        for page, text in texts.items()
        for link in PICTURE.findall(text)
    }
    shown |= {
        GALLERY / f"{name}-{kind}.jpg"
        for text in texts.values()
        for name in COMPARED.findall(text)
        for kind in KINDS
    }
    images = ROOT / "docs" / "images"
    there = {path.resolve() for path in images.rglob("*") if path.suffix in (".png", ".jpg")}
    assert shown == there
    script = (ROOT / "docs" / "make_pictures.py").read_text(encoding="utf-8")
    # This one needs photographs that are not in the repository.
    measured = (ROOT / "benchmarks" / "noise_law.py").read_text(encoding="utf-8")
    drawn = {path for path in there if path.suffix == ".png"}
    made = {path.stem for path in drawn if f'    "{path.stem}": ' in script}
    assert {path.stem for path in drawn if path.name in measured} == {"noise-of-photographs"}
    assert made | {"noise-of-photographs"} == {path.stem for path in drawn}
    assert {path.name for path in there - drawn if path.parent != GALLERY} == {"before-after.jpg"}
    assert "before-after.jpg" in script
    cases = re.findall(r'^    "([\w-]+)": Case\(', gallery_script(), re.MULTILINE)
    assert {f"{name}-{kind}.jpg" for name in cases for kind in KINDS} == {
        path.name for path in GALLERY.glob("*.jpg")
    }
    assert set(json.loads((GALLERY / "psnr.json").read_text())) == set(cases)


@pytest.mark.parametrize("name", ["noise-by-brightness", "noise-laws"])
def test_the_script_of_the_pictures_draws_a_chart_and_a_mosaic(name, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    drawn = importlib.import_module("make_pictures").PICTURES[name]()
    stored = Image.open(ROOT / "docs" / "images" / f"{name}.png")
    assert Image.open(io.BytesIO(drawn)).size == stored.size


def gallery_script() -> str:
    return (ROOT / "docs" / "gallery.py").read_text(encoding="utf-8")


def test_pictures_stay_small() -> None:
    images = (ROOT / "docs" / "images").rglob("*.*")
    assert max(path.stat().st_size for path in images) < 400_000


def test_drawn_pictures_suit_the_dark_theme() -> None:
    drawn = {path.stem: Image.open(path) for path in (ROOT / "docs" / "images").glob("*.png")}
    opaque = {name for name, image in drawn.items() if image.convert("RGBA").getpixel((2, 2))[3]}
    assert opaque == {"lesson-photo"}


def test_every_public_name_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^::: [\w.]+\.(\w+)$", reference, re.MULTILINE))
    assert set(quietpixel.__all__) - {"__version__", "QuietpixelError"} <= names


@pytest.fixture
def option_table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("option_table")


def test_each_option_has_a_python_name_and_a_page(option_table: Any) -> None:
    """The table itself is a page of the reference."""
    table = option_table.describe_options(ROOT / "docs")
    rows = [row for _, row in rows_of(table)]
    assert len(rows) > 80
    assert not [row for row in rows if len(row) != 3 or not all(map(str.strip, row))]
    shown = {(command, row[0]): row[2] for command, row in rows_of(table)}
    # The page of the command, and not one that has an option of that name.
    assert shown["models", "`--json`"] == "[Train on your own images](../how-to/train.md)"
    assert shown["evaluate", "`--json`"] == "[Compare methods](../how-to/compare.md)"
    assert shown["train", "`--workers`"] == "[Train on your own images](../how-to/train.md)"
    assert shown["denoise", "`--colour-strength`"]
    assert shown["demo", "`--run`"] == "[A model of your own](../tutorials/own-model.md)"
    assert "[-" not in table


def rows_of(table: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the table of options, each with its command."""
    for part in table.split("\n## quietpixel ")[1:]:
        command, _, text = part.partition("\n")
        for line in text.splitlines():
            if line.startswith("| `"):
                yield command, line.strip("| ").split(" | ")


def test_the_python_names_of_options_exist(option_table: Any) -> None:
    options = {
        f"{command} {words[-1]}"
        for command, found in option_table.all_options().items()
        for words in found.values()
    }
    assert option_table.PYTHON.keys() <= options
    for sentence in option_table.PYTHON.values():
        found = re.match(r"`(quietpixel\.[\w.]+)`(?:, argument `(\w+)`)?", sentence)
        if found is None:
            continue  # an attribute of a result, or an argument named like no option
        target = pkgutil.resolve_name(found[1])
        if found[2]:
            assert found[2] in inspect.signature(target).parameters, sentence


def test_figures_of_the_readme_are_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d+", readme[readme.index("| colour photos") :].split("\n\n")[0])
    assert len(figures) == 16
    assert not [figure for figure in figures if figure not in results]


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 70
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(links) > 15
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_readme_shows_the_result_and_installs_before_it_speaks_of_development() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    starts = ("![", "    pip install ", "    quietpixel denoise ", "| ", "    make ")
    first = [next(n for n, line in enumerate(lines) if line.startswith(each)) for each in starts]
    assert first == sorted(first)
    assert first[2] < 20  # the first screen


def test_notebooks_have_outputs() -> None:
    for path in (ROOT / "examples").glob("*.ipynb"):
        code = [
            cell
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
        assert all(cell["execution_count"] for cell in code)
        outputs = [output.get("data", {}) for cell in code for output in cell["outputs"]]
        assert sum("image/png" in data for data in outputs) >= 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built documentation."""
    pytest.importorskip("mkdocs")
    target = tmp_path_factory.mktemp("site")
    script = [sys.executable, str(ROOT / "docs" / "build.py"), str(target), "--no-engine"]
    subprocess.run(script, check=True, cwd=ROOT, capture_output=True)
    return target


@pytest.mark.slow
def test_the_reference_shows_the_type_and_default_of_each_parameter(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))
    for row in (
        "engine str As for DenoiseOptions . 'openvino'",
        "threads int | None As for DenoiseOptions . None",
        "memory int | str As for DenoiseOptions . '512MB'",
    ):
        assert row in text
    compared = [compare_with_signature(part) for part in page.split('class="doc doc-object')]
    assert sum(compared) > 60


def compare_with_signature(part: str) -> int:
    """Compare the table of parameters with the signature above it; return how many there are."""
    signature = re.search(r'<div class="doc-signature.*?</div>', part, re.DOTALL)
    if signature is None:
        return 0
    code = re.sub(r"\s", "", plain(signature[0])).replace('"', "'")
    code = re.sub(r"=[a-z]\w*\.", "=", code)  # tables name functions without their module
    table = part.split("Parameters:</span>")[1:] or [""]
    rows = re.findall(
        r'<tr class="doc-section-item">(.*?)</tr>', table[0].split("</table>")[0], re.DOTALL
    )
    for row in rows:
        name, kind, _, default = (
            re.sub(r"\s", "", plain(cell)) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        )
        value = "" if default == "required" or name.startswith("*") else "=" + default
        assert re.search(re.escape(f"{name}:{kind}{value}") + "[,)]", code), (name, code)
    return len(rows)


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


@pytest.mark.slow
def test_pages_opened_as_files_are_searched_and_compared(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("request", lambda each: each.url.startswith("http") and failed.append(each.url))
    page.goto((site / "index.html").as_uri())
    page.get_by_role("slider").first.fill("80")
    assert (
        page.locator(".compare-stage").first.evaluate(
            "stage => getComputedStyle(stage).getPropertyValue('--at')"
        )
        == "80%"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("label[for=__search]").first.click()  # a narrow page shows only the icon
    search_for_conformal(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.reload()
    page.get_by_role("textbox", name="Search").click()
    search_for_conformal(page)
    assert failed == []
    page.close()


def search_for_conformal(page: Any) -> None:
    page.get_by_role("textbox", name="Search").press_sequentially("conformal")
    found = page.locator(".md-search-result__link")
    found.filter(has_text="Glossary").first.wait_for(timeout=60_000)
    assert "Glossary" not in found.first.inner_text()  # a page on the subject comes first


def test_an_install_command_has_one_form() -> None:
    """In messages, README and guides alike; a checkout is explained once."""
    texts = {path: path.read_text(encoding="utf-8") for path in PAGES}
    texts |= {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    local = {path.name for path, text in texts.items() if re.search(r"pip install '?\.", text)}
    assert local == {"install.md"}
    assert texts[ROOT / "docs" / "how-to" / "install.md"].count("pip install '.") == 1


def test_pages_come_in_the_order_of_need() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    places = [
        text.find(entry)
        for entry in (
            "index.md", "Tutorials:", "how-to/install.md", "tutorials/first-photo.md",
            "tutorials/folder.md", "tutorials/own-model.md", "How-to guides:", "Explanation:",
            "Reference:", "faq.md", "glossary.md",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert places[0] >= 0


def test_generated_pages_fit_and_the_models_are_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    generated = importlib.import_module("generated")
    page = generated.describe_models(generated.cards())
    assert len(re.findall(r"^\|---", page, re.MULTILINE)) == 1
    assert len(re.findall(r"^\| \*\*", page, re.MULTILINE)) == len(generated.cards())
    assert "negative" not in page
    lines = "".join(map(generated.describe_command, COMMANDS)).splitlines()
    assert max(map(len, lines)) <= 78  # more would be cut, or scrolled


def test_every_notebook_is_a_page() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    notebooks = {path.stem for path in (ROOT / "examples").glob("*.ipynb")}
    assert set(re.findall(r"Notebook: .*: tutorials/(\w+)\.md", menu)) == notebooks


def words_of(path: Path) -> list[str]:
    """Return the texts in a module."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        node.value
        for node in tree
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_library_speaks_of_arguments_and_not_of_options() -> None:
    context = click.Context(group)
    options = set()
    for name in COMMANDS:
        command = group.get_command(context, name)
        options |= {word for word in options_of(command) if word.startswith("--")}  # type: ignore[arg-type]
    package = ROOT / "src" / "quietpixel"
    found = {
        (path.relative_to(package).as_posix(), option)
        for path in package.rglob("*.py")
        if "cli" not in path.relative_to(package).parts
        for text in words_of(path)
        for option in options & set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    }
    assert not found


ODD = re.compile(
    "stops to be finite|Left out[:;]|pictures in work|For all randomness|No picture is there"
    "|is no option of|are no pair\\b|name no amount|nothing is there\\.|taken away"
)
"""Sentences that readers stumbled over."""


def test_odd_sentences_do_not_come_back() -> None:
    files = [*PAGES, *(ROOT / "src" / "quietpixel").rglob("*.py")]
    assert not [path for path in files if ODD.search(path.read_text(encoding="utf-8"))]
