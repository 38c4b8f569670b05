"""The guides for developers name files, commands and registries that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "quietpixel"
GUIDES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
TOP = ("src/", "tests/", "benchmarks/", "docs/", ".ci/")
FILE = re.compile(r"`([\w./-]+)`")
REGISTRY = re.compile(r"`([A-Z_]+)`\s+in\s+`(src/[\w/]+\.py)`")


def read(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def paths_named_in(guide: str) -> set[str]:
    """Return the paths in backticks: those in a folder of the repository, and its top files."""
    names = FILE.findall(read(guide))
    return {name for name in names if name.startswith(TOP) or re.fullmatch(r"[A-Z]+\.md", name)}


@pytest.mark.parametrize("guide", GUIDES)
def test_named_paths_exist(guide: str) -> None:
    missing = {name for name in paths_named_in(guide) if not (ROOT / name).exists()}
    assert not missing


@pytest.mark.parametrize("guide", GUIDES)
def test_named_commands_exist(guide: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", read(guide))) <= targets


def test_every_package_is_on_the_map() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    rows = re.findall(r"^\| \d* ?\| `([\w/]+)` \|", read("ARCHITECTURE.md"), re.MULTILINE)
    assert set(rows) == packages | modules | {"quietpixel/__init__"}


def test_registries_are_where_the_guide_says() -> None:
    named = REGISTRY.findall(read("CONTRIBUTING.md"))
    assert len(named) >= 6
    for name, path in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^{name}\b", text, re.MULTILINE), f"{path} does not define {name}."
