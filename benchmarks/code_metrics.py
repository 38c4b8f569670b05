"""Prints how large the source is, how finely it is cut, and how much of it is explained.

A private function that is called once is a candidate for inlining, a small module with a single
importer one for merging. The target values are in issue 20.
"""

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = 120
"""A module of fewer lines is small."""
LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.COMMENT,
}


@dataclass(frozen=True)
class Module:
    """A source file, by its dotted name."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def comment_lines(self) -> int:
        return sum(token.type == tokenize.COMMENT for token in self.tokens)

    @property
    def code_lines(self) -> int:
        """The lines that are neither blank nor only a comment or a docstring."""
        code = {
            line
            for token in self.tokens
            if token.type not in LAYOUT
            for line in range(token.start[0], token.end[0] + 1)
        }
        return len(code - set(self._docstring_lines()))

    def _docstring_lines(self) -> Iterator[int]:
        """Yield the lines of every bare string, so also of those below a constant or field."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Expr(value=ast.Constant(value=str()), end_lineno=int(end)):
                    yield from range(node.lineno, end + 1)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def private_functions(self) -> dict[str, int]:
        """Return how often each private function or method is named in this module."""
        names = {each.name for each in self.functions() if each.name.startswith("_")}
        uses: Counter[str] = Counter()
        for node in ast.walk(self.tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    uses[name] += 1
        return {name: uses[name] for name in names if not name.endswith("__")}

    def imports(self, known: set[str]) -> set[str]:
        """Return the `known` modules that this one imports, inside functions and for types too."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._resolve(node, known)
                within = {f"{base}.{each.name}" for each in node.names}
                found.update({base} if within - known else set(), within)
        return found & known - {self.name}

    def _resolve(self, node: ast.ImportFrom, known: set[str]) -> str:
        """Return the dotted name of the module that `node` imports from."""
        if not node.level:
            return node.module or ""
        is_package = any(name.startswith(f"{self.name}.") for name in known)
        parents = self.name.split(".")
        parents = parents[: len(parents) - node.level + is_package]
        return ".".join([*parents, *filter(None, [node.module])])


def read_modules(source: Path) -> list[Module]:
    """Return the modules below `source`, the folder that holds the package."""
    modules = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8")))
    return modules


def count_code_lines(modules: list[Module]) -> int:
    """Return the lines of code, without blank lines, comments and docstrings."""
    return sum(module.code_lines for module in modules)


def share_called_once(modules: list[Module]) -> float:
    """Return the percentage of private functions that their module names exactly once."""
    uses = [count for module in modules for count in module.private_functions().values()]
    return 100 * uses.count(1) / len(uses) if uses else 0.0


def find_single_use_modules(modules: list[Module]) -> dict[str, str]:
    """Return the small modules that exactly one other module imports, with that importer."""
    known = {module.name for module in modules}
    importers: dict[str, list[str]] = {name: [] for name in known}
    for module in modules:
        for name in module.imports(known):
            importers[name].append(module.name)
    return {
        module.name: importers[module.name][0]
        for module in modules
        if module.lines < SMALL and len(importers[module.name]) == 1
    }


def share_with_comments(modules: list[Module]) -> float:
    """Return the percentage of lines that hold a comment, alone or after code."""
    lines = sum(module.lines for module in modules)
    return 100 * sum(module.comment_lines for module in modules) / lines if lines else 0.0


def find_longest_functions(modules: list[Module], count: int) -> list[tuple[int, str]]:
    """Return the longest functions with their lines, docstring and signature included."""
    functions = [
        ((each.end_lineno or each.lineno) - each.lineno + 1, f"{module.name}.{each.name}")
        for module in modules
        for each in module.functions()
    ]
    return sorted(functions, key=lambda each: (-each[0], each[1]))[:count]


ROWS: dict[str, Callable[[list[Module]], float]] = {
    "modules": len,
    "lines": lambda modules: sum(module.lines for module in modules),
    "lines of code": count_code_lines,
    "private functions called once, %": share_called_once,
    f"modules under {SMALL} lines with one importer": lambda m: len(find_single_use_modules(m)),
    "lines with a comment, %": share_with_comments,
}


def to_table(columns: dict[str, list[Module]]) -> str:
    """Return every measure as a Markdown table with one column for each tree."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, measure in ROWS.items():
        values = (measure(modules) for modules in columns.values())
        cells = (f"{value:,}" if isinstance(value, int) else f"{value:.1f}" for value in values)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_commit(commit: str) -> list[Module]:
    """Return the modules of `src` as they were at `commit`."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "src"], cwd=ROOT, check=True, stdout=subprocess.PIPE
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return read_modules(Path(folder) / "src")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="COMMIT", help="a second column for this commit")
    parser.add_argument("--functions", type=int, default=10, help="number of long functions listed")
    options = parser.parse_args(arguments)
    modules = read_modules(ROOT / "src")
    before = {options.against: read_commit(options.against)} if options.against else {}
    print(to_table(before | {"now": modules}))
    print("\nSmall modules with one importer:")
    for name, importer in find_single_use_modules(modules).items():
        print(f"  {name} <- {importer}")
    print("\nLongest functions, in lines:")
    for lines, name in find_longest_functions(modules, options.functions):
        print(f"  {lines:3} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
