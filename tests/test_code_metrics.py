"""The code metrics count a toy package, whose numbers were counted by hand."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SOURCES = {
    "toy/__init__.py": "from toy.shapes import area\n",
    "toy/shapes.py": '''"""Shapes.

Two paragraphs."""

# A comment on its own line.
SIDE = 2  # and one after code
"""A documented constant."""

def area(side):
    """Return the area."""
    return _square(
        side
    )

def _square(side):
    return side * side if side else _square(SIDE)

class Box:
    def _grow(self): ...
    def _shrink(self):
        self._grow()
    def __eq__(self, other): ...
''',
    "toy/parts/__init__.py": "",
    "toy/parts/edge.py": "def edge():\n    from ..shapes import area\n    return area\n",
    "toy/parts/face.py": "from . import edge\nLABEL = 'a # in a string'\n",
}


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("code_metrics")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_modules_have_dotted_names(metrics: ModuleType, toy: Path) -> None:
    names = [module.name for module in metrics.read_modules(toy)]
    assert names == ["toy", "toy.parts", "toy.parts.edge", "toy.parts.face", "toy.shapes"]


def test_blank_lines_comments_and_docstrings_are_no_code(metrics: ModuleType, toy: Path) -> None:
    code = {module.name: module.code_lines for module in metrics.read_modules(toy)}
    assert code == {
        "toy": 1,
        "toy.parts": 0,
        "toy.parts.edge": 3,
        "toy.parts.face": 2,
        "toy.shapes": 12,
    }


def test_comments_after_code_count_and_strings_do_not(metrics: ModuleType, toy: Path) -> None:
    modules = metrics.read_modules(toy)
    assert sum(module.comment_lines for module in modules) == 2
    assert metrics.share_with_comments(modules) == pytest.approx(100 * 2 / (1 + 0 + 3 + 2 + 22))


def test_private_functions_are_counted_by_their_uses(metrics: ModuleType, toy: Path) -> None:
    modules = metrics.read_modules(toy)
    assert modules[-1].private_functions() == {"_square": 2, "_grow": 1, "_shrink": 0}
    assert metrics.share_called_once(modules) == pytest.approx(100 / 3)


def test_a_small_module_with_one_importer_is_named(metrics: ModuleType, toy: Path) -> None:
    assert metrics.find_single_use_modules(metrics.read_modules(toy)) == {
        "toy.parts.edge": "toy.parts.face"
    }
    (toy / "toy" / "parts" / "edge.py").write_text("X = 1\n" * 120, encoding="utf-8")
    assert metrics.find_single_use_modules(metrics.read_modules(toy)) == {"toy.shapes": "toy"}


def test_the_longest_functions_come_first(metrics: ModuleType, toy: Path) -> None:
    longest = metrics.find_longest_functions(metrics.read_modules(toy), 2)
    assert longest == [(5, "toy.shapes.area"), (3, "toy.parts.edge.edge")]


def test_trees_stand_side_by_side(metrics: ModuleType, toy: Path) -> None:
    modules = metrics.read_modules(toy)
    table = metrics.to_table({"abc123": modules[:1], "now": modules})
    assert "| | abc123 | now |" in table
    assert "| lines of code | 1 | 18 |" in table
    assert "| private functions called once, % | 0.0 | 33.3 |" in table
