"""What the guides name is there: a path in backticks that no longer exists misleads."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
TOP = ("src/", "tests/", "benchmarks/", "docs/", ".ci/")
FILE = re.compile(r"`([\w./-]+)`")


def paths_named_in(guide: str) -> set[str]:
    """Everything in backticks that starts in a folder of the repository, or lies at its top."""
    names = FILE.findall((ROOT / guide).read_text(encoding="utf-8"))
    return {name for name in names if name.startswith(TOP) or re.fullmatch(r"[A-Z]+\.md", name)}


@pytest.mark.parametrize("guide", GUIDES)
def test_named_paths_exist(guide: str) -> None:
    missing = {name for name in paths_named_in(guide) if not (ROOT / name).exists()}
    assert not missing


@pytest.mark.parametrize("guide", GUIDES)
def test_named_commands_exist(guide: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = (ROOT / guide).read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
