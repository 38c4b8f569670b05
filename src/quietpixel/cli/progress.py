"""Progress of long work: a bar in a terminal, elsewhere lines, for each epoch of a training run."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.options import notify, translate

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from quietpixel.training.progress import Progress


ESTIMATED_AFTER = 5
"""Steps after which the duration of a run is estimated; the first ones are slower."""
LINE_SECONDS = 10.0
"""Between lines on progress where there is no terminal, except those of a training run."""


class ProgressView:
    """Shows each progress that it is called with, on standard error."""

    def __init__(self) -> None:
        self._steps, self._last_line = 0, time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        """Show a message, or the state of the run."""
        if progress.message:
            self.show_message(progress.message)
        if progress.steps:
            self._steps += not progress.task
            if self._steps == ESTIMATED_AFTER and not progress.task:
                self.show_message(describe_estimate(progress))
            self.show_step(progress)

    def show_message(self, message: str) -> None:
        """Write a line."""
        notify(message)

    def show_step(self, progress: "Progress") -> None:
        """Write a line at the end of each epoch; of other work, every few seconds."""
        now = time.monotonic()
        waited = progress.step > 0 and now - self._last_line > LINE_SECONDS
        if waited if progress.task else progress.step == progress.steps:
            self._last_line = now
            click.echo(describe_progress(progress), err=True)


class BarView(ProgressView):
    """Shows a bar that moves with each step."""

    def __init__(self, bar: "Bar") -> None:
        super().__init__()
        self._bar = bar
        self._task: TaskID | None = None

    def show_message(self, message: str) -> None:
        """Write a line above the bar; when it is full, the bar shows the step in work too."""
        message = translate(message)
        self._bar.console.print(message, highlight=False, markup=False)
        if self._task is not None and self._bar.tasks[self._task].finished:
            self._bar.update(self._task, description=message)

    def show_step(self, progress: "Progress") -> None:
        """Move the bar."""
        if self._task is None:
            # A share, because a run by the clock has no number of steps.
            self._task = self._bar.add_task("", total=1.0)
        words = describe_progress(progress)
        self._bar.update(self._task, completed=progress.share, description=words)


def describe_estimate(progress: "Progress") -> str:
    """Return how long a run will take."""
    seconds = describe_seconds(progress.seconds_left)
    if not progress.epochs:
        return f"Training ends in {seconds}"
    epochs = f"{progress.epochs} epochs" if progress.epochs > 1 else "1 epoch"
    return f"About {seconds} for {epochs} of {progress.steps:,} steps"


def describe_progress(progress: "Progress") -> str:
    """Return one line on the state of a run."""
    if progress.task:
        parts = [progress.task, f"{progress.step:,}/{progress.steps:,}"]
    else:
        # A run by the clock has no number of epochs.
        of = f"/{progress.epochs}" if progress.epochs else ""
        parts = [f"epoch {progress.epoch}{of}", f"loss {progress.loss:.5f}"]
    if progress.validation_loss is not None:
        parts.append(f"validation {progress.validation_loss:.5f}")
    # The first step also compiles the model, so it gives no rate.
    if math.isfinite(progress.images_per_second):
        rate = progress.images_per_second
        parts.append(f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s")
    if math.isfinite(progress.seconds_left):
        parts.append(f"{describe_seconds(progress.seconds_left)} left")
    return "  ".join(parts)


def describe_seconds(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> describe_seconds(5.4), describe_seconds(123), describe_seconds(7260)
    ('5 s', '2 min 03 s', '2 h 01 min')
    """
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def make_bar(**options: Any) -> "Bar":
    """Return a bar with a description, on standard error, that disappears when it is stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
    return Progress(*columns, console=Console(stderr=True), transient=True, **options)


@contextmanager
def show_progress() -> Iterator[ProgressView]:
    """Give a bar if standard error is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield ProgressView()
        return
    with make_bar() as bar:
        yield BarView(bar)
