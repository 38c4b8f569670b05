"""Commands, options, names and files in the documentation exist."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

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


def gallery_script() -> str:
    return (ROOT / "docs" / "gallery.py").read_text(encoding="utf-8")


def test_pictures_stay_small() -> None:
    images = (ROOT / "docs" / "images").rglob("*.*")
    assert max(path.stat().st_size for path in images) < 400_000


def test_every_public_name_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^::: [\w.]+\.(\w+)$", reference, re.MULTILINE))
    assert set(quietpixel.__all__) - {"__version__", "QuietpixelError"} <= names


def test_an_install_command_has_one_form() -> None:
    """In messages, README and guides alike; a checkout is explained once."""
    texts = {path: path.read_text(encoding="utf-8") for path in PAGES}
    texts |= {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    local = {path.name for path, text in texts.items() if re.search(r"pip install '?\.", text)}
    assert local == {"install.md"}
    assert texts[ROOT / "docs" / "how-to" / "install.md"].count("pip install '.") == 1
