"""What a benchmark measured: printed as Markdown while it runs, and kept in a small JSON file."""

import json
from pathlib import Path
from typing import Any


class Record:
    """Tables of text and notes, in the order in which they were measured."""

    def __init__(self) -> None:
        self.tables: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def table(self, *columns: str) -> None:
        """Start a table; the rows that follow belong to it."""
        self.tables.append({"columns": columns, "rows": []})
        print(f"\n{to_line(columns)}\n{'|---' * len(columns)}|", flush=True)

    def row(self, *cells: str) -> None:
        self.tables[-1]["rows"].append(cells)
        print(to_line(cells), flush=True)

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(f"\n{text}", flush=True)

    def save(self, path: Path | None) -> None:
        """Write the file; without a path, what was printed is all."""
        if path is not None:
            text = json.dumps({"tables": self.tables, "notes": self.notes}, indent=1)
            path.write_text(text + "\n", encoding="utf-8")


def to_line(cells: Any) -> str:
    return f"|{''.join(f' {cell} |' if cell else ' |' for cell in cells)}"
