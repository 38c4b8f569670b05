"""Output of a run over many files: a bar in a terminal, lines elsewhere, and a summary."""

import json
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import name_options
from quietpixel.cli.progress import describe_seconds
from quietpixel.errors import FileError

if TYPE_CHECKING:
    from quietpixel.batch import Outcome, PreflightResult
    from quietpixel.files import Job

LINE_SECONDS = 10.0
"""Between lines on progress where there is no terminal."""
BAR_SECONDS = 1.0
"""After which a single file gets a bar."""


class FolderView:
    """Shows each outcome that it is given, and keeps it for the summary.

    Parameters
    ----------
    option_names
        Arguments of the library that errors name as options.
    """

    def __init__(self, option_names: Collection[str]) -> None:
        self._option_names = option_names
        self._total, self._before, self._single = 0, 0, False
        self._share = 0.0
        self._closed = False
        self._start = self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self.outcomes: list[Outcome] = []

    def begin(self, findings: "Sequence[PreflightResult]", *, single: bool = False) -> None:
        """Take what is known before the work: what is done already, and what is refused."""
        from quietpixel.batch import Outcome

        self._total, self._single = len(findings), single
        for found in findings:
            if found.state != "write":
                self.show(Outcome(found.job, error=found.reason, skipped=found.state == "done"))
        self._before = len(self.outcomes)
        refused = len(self.failures)
        if refused and self._before < self._total:
            click.echo(f"{refused} of {self._total} images will be refused, see the end.", err=True)
        self._start = self._last_line = time.monotonic()

    def __enter__(self) -> "FolderView":
        """Start the bar, where there is a terminal and more than one file."""
        if self._total - self._before > 1:
            self._open_bar()
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the bar."""
        self.close()

    def close(self) -> None:
        """Remove the bar and ignore later outcomes."""
        self._closed = True
        if self._bar is not None:
            self._bar.stop()

    def _open_bar(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total)
        self._update()

    def advance(self, share: float) -> None:
        """Show the share done of the current image; a single file gets a bar if it takes long."""
        self._share = share
        if self._bar is None and time.monotonic() - self._start > BAR_SECONDS:
            self._open_bar()
        if self._bar is not None:
            self._update()

    def keep(self, outcome: "Outcome") -> None:
        """Print only the notes, as where standard output is the image."""
        self.outcomes.append(outcome)
        for note in outcome.notes:
            self.notify(note)

    def show(self, outcome: "Outcome") -> None:
        """Print the outcome of a file."""
        if self._closed:
            return
        self.outcomes.append(outcome)
        self._share = 0.0
        job = outcome.job
        for note in outcome.notes:
            self.notify(f"{job.source}: {note}")
        if not outcome.error and not outcome.skipped and self._bar is None:
            click.echo(f"{job.source} -> {job.target}  ({outcome.seconds:.1f} s)")
        self._update()

    def notify(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(sentence, err=True)

    def _update(self) -> None:
        if self._bar is not None:
            count = len(self.outcomes) + self._share
            self._bar.update(self._task, completed=count, description=self.describe())
        elif len(self.outcomes) < self._total and time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            click.echo(self.describe(), err=True)

    def describe(self) -> str:
        """Return one line on the state of the run."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        count = len(self.outcomes)
        worked = count - self._before + self._share
        if worked <= 0:
            return f"{count}/{self._total}"
        left = describe_seconds((self._total - self._before - worked) * seconds / worked)
        if count == self._before:
            return f"{count}/{self._total}  {left} left"
        failed = f"  {len(self.failures)} failed" if self.failures else ""
        speed = f"{self._megapixels() / seconds:.1f} megapixels/s"
        return f"{count}/{self._total}{failed}  {speed}  {left} left"

    @property
    def failures(self) -> "list[Outcome]":
        """What failed so far."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def _megapixels(self) -> float:
        return sum(outcome.megapixels for outcome in self.outcomes if not outcome.error)

    def show_failures(self) -> None:
        """Print the reason of each failure."""
        for outcome in self.failures:
            click.echo(f"quietpixel: {name_options(outcome.error, self._option_names)}", err=True)

    def summarize(self) -> int:
        """Print the failures and totals and return the exit code.

        Raises
        ------
        FileError
            If the only file failed.
        """
        if self._single:
            if self.failures:
                raise FileError(self.failures[0].error)
            return 0
        self.show_failures()
        skipped = sum(outcome.skipped for outcome in self.outcomes)
        if skipped:
            click.echo(f"{skipped} of {self._total} images were done before.", err=True)
        if skipped < self._total:
            seconds, megapixels = time.monotonic() - self._start, self._megapixels()
            speed = f"{megapixels / max(seconds, 1e-9):.1f} megapixels/s"
            work = f", {megapixels:.1f} megapixels in {describe_seconds(seconds)} ({speed})"
            done = f"{self._total - len(self.failures)} of {self._total} images are done"
            click.echo(f"{done}{work if megapixels else ''}.", err=True)
        return 1 if self.failures else 0


def show_findings(findings: "Sequence[PreflightResult]", *, single: bool = False) -> int:
    """Print what would be done with each file, and return the exit code of such a run."""
    words = {"write": "would be written", "done": "done already", "refuse": "would be refused"}
    for found in findings:
        paths = f"{found.job.source} -> {found.job.target}"
        click.echo(f"{paths}: {words[found.state]}{found.reason and f', because {found.reason}'}")
    counts: Counter[str] = Counter(found.state for found in findings)
    totals = ", ".join(f"{counts[state]} {text}" for state, text in words.items() if counts[state])
    if len(findings) != 1:
        click.echo(f"{len(findings)} images: {totals or 'nothing to do'}.", err=True)
    return (2 if single else 1) if counts["refuse"] else 0


def write_json(
    path: Path | None,
    outcomes: "Sequence[Outcome]",
    remaining: "Sequence[Job]",
    *,
    interrupted: bool,
) -> None:
    """Write a report with one entry per file, if there is a path for it."""
    from quietpixel.files import atomic_file

    if path is None:
        return
    files = [_describe(outcome) for outcome in outcomes]
    for job in remaining:
        files.append({"source": str(job.source), "target": str(job.target), "status": "left"})
    text = json.dumps({"interrupted": interrupted, "files": files}, indent=2) + "\n"
    with atomic_file(path, overwrite=True) as file:
        file.write(text.encode())


def _describe(outcome: "Outcome") -> dict[str, Any]:
    return {
        "source": str(outcome.job.source),
        "target": str(outcome.job.target),
        "status": "failed" if outcome.error else "skipped" if outcome.skipped else "done",
        "error": outcome.error,
        "notes": list(outcome.notes),
        "noise": [asdict(page) for page in outcome.findings.noise],
        "scale": [list(page) for page in outcome.findings.scale],
        "megapixels": outcome.megapixels,
        "seconds": outcome.seconds,
        "read_seconds": outcome.read_seconds,
        "compute_seconds": outcome.compute_seconds,
        "write_seconds": outcome.write_seconds,
    }
