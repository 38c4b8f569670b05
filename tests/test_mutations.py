"""The fast tests notice wrong lines, and the script that tries them reports when they do not."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
mutations = importlib.import_module("mutations")
sys.path.pop(0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mutations.copy_source(tmp_path_factory.mktemp("mutated"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutation", mutations.MUTATIONS, ids=lambda each: f"{each.file}: {each.new}"
)
def test_a_wrong_line_is_caught(mutation, source: Path) -> None:
    assert mutations.is_caught(mutation, source)


def test_there_are_enough_wrong_lines_in_enough_places() -> None:
    assert len(mutations.MUTATIONS) >= 25
    assert len({each.file for each in mutations.MUTATIONS}) >= 15


def test_each_line_is_still_there() -> None:
    for each in mutations.MUTATIONS:
        text = (ROOT / "src" / "quietpixel" / each.file).read_text(encoding="utf-8")
        assert text.count(each.old) == 1, each
        assert (ROOT / each.test.partition("::")[0]).exists(), each


def test_a_line_that_has_changed_is_refused(source: Path) -> None:
    stale = mutations.Mutation("errors.py", "no such text", "", "tests/test_golden.py")
    with pytest.raises(ValueError, match=r"errors.py holds 0 times: no such text"):
        mutations.is_caught(stale, source)


@pytest.mark.parametrize(("body", "caught"), [("assert", True), ("assert not", False)])
def test_only_a_failing_test_counts(source: Path, tmp_path: Path, body: str, caught: bool) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        f"from quietpixel.errors import unknown_name\ndef test_it(): {body} unknown_name\n"
    )
    wrong = mutations.Mutation(
        "errors.py", "def unknown_name(", "unknown_name = None\ndef _x(", str(test)
    )
    before = (source / "quietpixel" / "errors.py").read_text()
    assert mutations.is_caught(wrong, source) is caught
    assert (source / "quietpixel" / "errors.py").read_text() == before
