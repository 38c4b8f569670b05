"""Shows a run over many files: a bar in a terminal, lines elsewhere, and a summary."""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.denoise_call import OPTION_NAMES
from quietpixel.cli.options import name_options
from quietpixel.cli.progress import describe_seconds
from quietpixel.errors import FileError

if TYPE_CHECKING:
    from quietpixel.batch import Outcome, PreflightResult
    from quietpixel.files import Job

RARELY = 10.0
"""Seconds between lines on progress where there is no terminal."""
SOON = 1.0
"""Seconds after which one file alone gets a bar."""


class FolderView:
    """Shows each outcome that it is given, and keeps it for the summary."""

    def __init__(self) -> None:
        self._total, self._known, self._alone = 0, 0, False
        self._share = 0.0
        self._closed = False
        self._start = self._said = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self.outcomes: list[Outcome] = []

    def begin(self, findings: "Sequence[PreflightResult]", *, alone: bool = False) -> None:
        """Take what is known before the work: what is done already, and what is refused."""
        from quietpixel.batch import Outcome

        self._total, self._alone = len(findings), alone
        for found in findings:
            if found.state != "write":
                self.show(Outcome(found.job, error=found.reason, skipped=found.state == "done"))
        self._known = len(self.outcomes)
        refused = len(self.failures)
        if refused and self._known < self._total:
            click.echo(f"{refused} of {self._total} images will be refused, see the end.", err=True)
        self._start = self._said = time.monotonic()

    def __enter__(self) -> "FolderView":
        """Start the bar, where there is a terminal and more than one file."""
        if self._total - self._known > 1:
            self._open_bar()
        return self

    def _open_bar(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total)
        self._progress()

    def advance(self, share: float) -> None:
        """Move the bar with the picture in work; one file alone gets a bar if it takes long."""
        self._share = share
        if self._bar is None and time.monotonic() - self._start > SOON:
            self._open_bar()
        if self._bar is not None:
            self._progress()

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        self.close()

    def close(self) -> None:
        """Take the bar away; what comes later is not looked at."""
        self._closed = True
        if self._bar is not None:
            self._bar.stop()

    def keep(self, outcome: "Outcome") -> None:
        """Say only the notes, as where standard output is the picture."""
        self.outcomes.append(outcome)
        for note in outcome.notes:
            self.say(note)

    def show(self, outcome: "Outcome") -> None:
        """Say what became of a file."""
        if self._closed:
            return
        self.outcomes.append(outcome)
        self._share = 0.0
        job = outcome.job
        for note in outcome.notes:
            self.say(f"{job.source}: {note}")
        if not outcome.error and not outcome.skipped and self._bar is None:
            click.echo(f"{job.source} -> {job.target}  ({outcome.seconds:.1f} s)")
        self._progress()

    def say(self, sentence: str) -> None:
        """Say a sentence above the bar."""
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(sentence, err=True)

    def _progress(self) -> None:
        if self._bar is not None:
            count = len(self.outcomes) + self._share
            self._bar.update(self._task, completed=count, description=self.describe())
        elif len(self.outcomes) < self._total and time.monotonic() - self._said > RARELY:
            self._said = time.monotonic()
            click.echo(self.describe(), err=True)

    def describe(self) -> str:
        """Return one line on where the run stands."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        count = len(self.outcomes)
        worked = count - self._known + self._share
        if worked <= 0:
            return f"{count}/{self._total}"
        left = describe_seconds((self._total - self._known - worked) * seconds / worked)
        if count == self._known:
            return f"{count}/{self._total}  {left} left"
        speed = self._megapixels() / seconds
        failed = f"  {len(self.failures)} failed" if self.failures else ""
        return f"{count}/{self._total}{failed}  {speed:.1f} megapixels/s  {left} left"

    @property
    def failures(self) -> "list[Outcome]":
        """What went wrong so far."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def _megapixels(self) -> float:
        return sum(outcome.megapixels for outcome in self.outcomes if not outcome.error)

    def summarize(self) -> int:
        """Name the failures and return the exit code; a file alone that failed is an error."""
        if self._alone:
            if self.failures:
                raise FileError(self.failures[0].error)
            return 0
        self.name_failures()
        skipped = sum(outcome.skipped for outcome in self.outcomes)
        if skipped:
            click.echo(f"{skipped} of {self._total} images were done before.", err=True)
        if skipped < self._total:
            self._tell_total()
        return 1 if self.failures else 0

    def name_failures(self) -> None:
        """Say of each failure why."""
        for outcome in self.failures:
            click.echo(f"quietpixel: {name_options(outcome.error, OPTION_NAMES)}", err=True)

    def _tell_total(self) -> None:
        seconds = time.monotonic() - self._start
        done, megapixels = self._total - len(self.failures), self._megapixels()
        speed = f"{megapixels:.1f} megapixels in {describe_seconds(seconds)}"
        told = f", {speed} ({megapixels / max(seconds, 1e-9):.1f} megapixels/s)"
        told = told if megapixels else ""
        click.echo(f"{done} of {self._total} images are done{told}.", err=True)


def show_findings(findings: "Sequence[PreflightResult]", *, alone: bool = False) -> int:
    """Say what would become of each file, and return the exit code that the work would have."""
    words = {"write": "would be written", "done": "done already", "refuse": "would be refused"}
    for found in findings:
        place = f"{found.job.source} -> {found.job.target}"
        click.echo(f"{place}: {words[found.state]}{found.reason and f', because {found.reason}'}")
    counts: Counter[str] = Counter(found.state for found in findings)
    told = ", ".join(f"{counts[state]} {text}" for state, text in words.items() if counts[state])
    if len(findings) != 1:
        click.echo(f"{len(findings)} images: {told or 'nothing to do'}.", err=True)
    return (2 if alone else 1) if counts["refuse"] else 0


def write_json(
    path: Path, outcomes: "Sequence[Outcome]", left: "Sequence[Job]" = (), *, interrupted: bool
) -> None:
    """Write what became of each file, and which were left by an interruption."""
    from quietpixel.files import atomic_file

    files = [_describe(outcome) for outcome in outcomes]
    for job in left:
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
