"""Shows a run over many files: a bar in a terminal, lines elsewhere, and a summary."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.progress import describe_seconds
from quietpixel.errors import FileError

if TYPE_CHECKING:
    from quietpixel.inference.folders import Outcome

RARELY = 10.0
"""Seconds between lines on progress where there is no terminal."""


class FolderView:
    """Shows each outcome that it is given, and keeps it for the summary."""

    def __init__(self, total: int, *, alone: bool = False) -> None:
        self._total, self._alone = total, alone
        self._start = self._said = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self.outcomes: list[Outcome] = []

    def __enter__(self) -> "FolderView":
        """Start the bar, where there is a terminal and more than one file."""
        if sys.stderr.isatty() and self._total > 1:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def show(self, outcome: "Outcome") -> None:
        """Say what became of a file."""
        self.outcomes.append(outcome)
        job = outcome.job
        for note in outcome.notes:
            self._say(f"{job.source}: {note}")
        if outcome.error and not self._alone:
            self._say(f"quietpixel: {outcome.error}")
        elif not outcome.error and not outcome.skipped and self._bar is None:
            click.echo(f"{job.source} -> {job.target}  ({outcome.seconds:.1f} s)")
        self._progress()

    def _say(self, sentence: str) -> None:
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(sentence, err=True)

    def _progress(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=len(self.outcomes), description=self.describe())
        elif time.monotonic() - self._said > RARELY:
            self._said = time.monotonic()
            click.echo(self.describe(), err=True)

    def describe(self) -> str:
        """Return one line on where the run stands."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        worked = sum(not outcome.skipped for outcome in self.outcomes)
        left = (self._total - len(self.outcomes)) * seconds / max(worked, 1)
        speed = sum(outcome.megapixels for outcome in self.outcomes) / seconds
        count = f"{len(self.outcomes)}/{self._total}"
        return f"{count}  {speed:.1f} megapixels/s  {describe_seconds(left)} left"

    def summarize(self) -> int:
        """Name the failures and return the exit code; a file alone that failed is an error."""
        failures = [outcome for outcome in self.outcomes if outcome.error]
        if self._alone and failures:
            raise FileError(failures[0].error)
        skipped = sum(outcome.skipped for outcome in self.outcomes)
        if skipped:
            click.echo(f"{skipped} of {self._total} images were done before.", err=True)
        if not failures:
            return 0
        done = self._total - len(failures)
        click.echo(f"{done} of {self._total} images are done.", err=True)
        return 1


def write_json(path: Path, outcomes: "list[Outcome]") -> None:
    """Write what became of each file."""
    from quietpixel.files import atomic_file

    files = [
        {
            "source": str(outcome.job.source),
            "target": str(outcome.job.target),
            "status": "failed" if outcome.error else "skipped" if outcome.skipped else "done",
            "error": outcome.error,
            "notes": list(outcome.notes),
            "megapixels": outcome.megapixels,
            "seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]
    with atomic_file(path, overwrite=True) as file:
        file.write((json.dumps({"files": files}, indent=2) + "\n").encode())
