"""Output of a run over many files: a bar in a terminal, lines elsewhere, and a summary."""

import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

import click

from quietpixel.batch.denoise import FolderScale
from quietpixel.batch.pipeline import Outcome
from quietpixel.batch.plan import PreflightResult
from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.options import name_options, printable
from quietpixel.cli.progress import LINE_SECONDS, describe_seconds, make_bar
from quietpixel.errors import FileError
from quietpixel.files import Job, SkippedFile, atomic_file
from quietpixel.inference.level import LEAST_TYPED, Noise

BAR_SECONDS = 1.0
"""After which a single file gets a bar."""
SCHEMA = 1
"""Number of the layout of the JSON report; it rises when a key changes its meaning."""
LEVELS = {1.5: "hardly any", 5: "light", 15: "moderate", 30: "strong", math.inf: "very strong"}
"""Words for a noise level, by the first limit of 255 that it lies below; those of the page."""


class FolderView:
    """Shows each outcome that it is given, and keeps it for the summary.

    Parameters
    ----------
    call
        What the user asked for, `quiet` and `verbose` included.
    """

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        self._total, self._before, self.folder = 0, 0, False
        self._pending: list[Job] = []
        self._started, self._share, self._latest = 0, 0.0, 1.0
        self._closed = False
        self._start = self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self.jobs: Sequence[Job] = ()
        self.outcomes: list[Outcome] = []
        self.unread: tuple[SkippedFile, ...] = ()
        self.scale: FolderScale | None = None

    def begin(self, findings: Sequence[PreflightResult], *, folder: bool = False) -> None:
        """Take what is known before the work: what is done already, and what is refused."""
        # Not before, because the run may have waited for another one.
        self._start = self._last_line = time.monotonic()
        self._total, self.folder = len(findings), folder
        self._pending = [found.job for found in findings if found.state == "write"]
        for found in findings:
            if found.state == "skip":
                self.notify(f"Skipped: {self._translate(found.reason)}")
            if found.state == "refuse":
                source, reason = str(found.job.source), found.reason
                named = reason if source in reason else f"{source}: {reason}"
                self.show(Outcome(found.job, error=named))
            elif found.state != "write":
                self.show(Outcome(found.job, skipped=True))
        self._before = len(self.outcomes)
        if self.failures and self._before < self._total:
            refused = f"{len(self.failures)} of {self._total}"
            self.notify(f"{refused} images will be refused, see the end.")

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
        if not sys.stderr.isatty() or self._call.quiet:
            return
        self._bar = make_bar(redirect_stdout=False)
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total)
        self._update()

    def advance(self, share: float) -> None:
        """Show the share done of the current image; a single file gets a bar if it takes long."""
        self._started += share < self._latest  # the first call for an image
        self._share = self._latest = share
        if self._bar is None and time.monotonic() - self._start > BAR_SECONDS:
            self._open_bar()
        if self._bar is not None:
            self._update()

    def keep(self, outcome: Outcome) -> None:
        """Print only the notes, as where standard output is the image."""
        self.outcomes.append(outcome)
        for note in outcome.notes:
            self.notify(self._translate(note))

    def _translate(self, sentence: str) -> str:
        return name_options(sentence, self._call.option_names)

    def show(self, outcome: Outcome) -> None:
        """Print the outcome of a file."""
        # A signal has ended the run; what fails now was cut off.
        if self._closed:
            return
        self.outcomes.append(outcome)
        self._share = 0.0
        job = outcome.job
        for note in outcome.notes:
            self.notify(f"{job.source}: {self._translate(note)}")
        # A folder in a terminal has its summary; thousands of lines would push it out of sight.
        listed = self._call.verbose or not self.folder or self._bar is None
        if not outcome.error and not outcome.skipped and listed and not self._call.quiet:
            # Both streams share the terminal, and only rich knows where the bar stands. Standard
            # output may also be the JSON, for a program.
            if self._call.json_on_stream or (self._bar is not None and sys.stdout.isatty()):
                self.notify(describe_outcome(outcome))
            else:
                click.echo(printable(describe_outcome(outcome)))
        self._update()

    def notify(self, sentence: str) -> None:
        """Print a sentence above the bar, unless the user wants errors only."""
        if self._call.quiet:
            return
        sentence = printable(sentence)
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
            self.notify(self.describe())

    def describe(self) -> str:
        """Return one line on the state of the run."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        count = len(self.outcomes)
        worked = count - self._before + self._share
        words = [f"{count}/{self._total}"]
        if worked <= 0:
            return words[0]
        if count > self._before:
            words += [f"{len(self.failures)} failed"] if self.failures else []
            words.append(describe_rate(self._megapixels() / seconds))
        left = (self._total - self._before - worked) * seconds / worked
        words.append(f"{describe_seconds(left)} left")
        # Writing lags behind, so the image in work is often not the first without an outcome.
        current = max(self._started - 1, count - self._before)
        if self._started and current < len(self._pending):
            words.append(os.path.basename(self._pending[current].source))
        return "  ".join(words)

    @property
    def remaining(self) -> list[Job]:
        """The jobs without an outcome; a cluster does not keep their order."""
        done = {outcome.job for outcome in self.outcomes}
        return [job for job in self.jobs if job not in done]

    @property
    def failures(self) -> list[Outcome]:
        """What failed so far."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def _megapixels(self) -> float:
        return sum(outcome.megapixels for outcome in self.outcomes if not outcome.error)

    def show_failures(self) -> None:
        """Print the reason of each failure."""
        for outcome in self.failures:
            sentence = self._translate(self._with_hint(outcome))
            click.echo(f"quietpixel: {printable(sentence)}", err=True)

    def _with_hint(self, outcome: Outcome) -> str:
        """Return why a file failed, and what may have been meant if it does not exist."""
        source, inputs = outcome.job.source, self._call.inputs
        # Only a file that is missing can be a typing error.
        if os.path.lexists(source) or "://" in str(source):
            return outcome.error
        if str(source).startswith(("\N{EN DASH}", "\N{EM DASH}")):
            return f"{outcome.error} Options begin with two hyphens, --, and not with a dash."
        # Suffixes make no names alike; of two equal names, that with the same suffix is meant.
        there = sorted(
            source.parent.glob("*"),
            key=lambda path: (path.suffix.lower() == source.suffix.lower(), path),
        )
        others = {path.stem.lower(): path for path in there}
        names = [name for name, path in others.items() if str(path) not in inputs]
        hint = ""
        if close := get_close_matches(source.stem.lower(), names, n=1):
            hint = f" Did you mean '{others[close[0]]}'?"
        # As for cp, some expect the last name to be that of the result.
        if len(inputs) > 1 and source == type(source)(inputs[-1]) and self._call.output is None:
            hint += f" To write the result there, use -o {inputs[-1]}."
        return f"{outcome.error}{hint}"

    def summarize(self) -> int:
        """Print the failures and totals and return the exit code.

        Raises
        ------
        FileError
            If the only file failed.
        """
        if self._total == 1 and not self.folder:
            if self.failures:
                raise FileError(self._with_hint(self.failures[0]))
            return 0
        self.show_failures()
        if self.unread:
            self.notify(describe_unread(self.unread))
        unread = sum(file.is_image for file in self.unread)
        skipped = sum(outcome.skipped for outcome in self.outcomes)
        if skipped:
            self.notify(f"{skipped} of {self._total} images were done before.")
        if skipped < self._total:
            count = self._total - len(self.failures)
            done = f"{count} of {self._total + unread} images are done"
            if megapixels := self._megapixels():
                seconds = time.monotonic() - self._start
                done += f", {megapixels:.1f} megapixels in {describe_seconds(seconds)}"
                done += f" ({describe_rate(megapixels / max(seconds, 1e-9))})"
            self.notify(f"{done}.")
        return exit_code(self._total, len(self.failures), unread)

    def show_findings(self, findings: Sequence[PreflightResult]) -> int:
        """Print what would be done with each file, and return the exit code of such a run."""
        words = {
            "write": "would be written", "done": "done already", "skip": "would be skipped",
            "refuse": "would be refused",
        }  # fmt: skip
        for found in findings:
            paths = f"{found.job.source} -> {found.job.target}"
            reason = found.reason and f", because {self._translate(found.reason)}"
            click.echo(printable(f"{paths}: {words[found.state]}{reason}"))
        for file in self.unread:
            click.echo(printable(f"{file.path}: would be skipped ({file.reason})"))
        counts: Counter[str] = Counter(found.state for found in findings)
        totals = (f"{counts[state]} {text}" for state, text in words.items() if counts[state])
        if len(findings) != 1:
            click.echo(f"{len(findings)} images: {', '.join(totals) or 'nothing to do'}.", err=True)
        if self.unread:
            click.echo(describe_unread(self.unread), err=True)
        unread = sum(file.is_image for file in self.unread)
        return exit_code(len(findings), counts["refuse"], unread)

    def write_json(self, *, interrupted: bool = False) -> None:
        """Write a report with the settings and one entry per file, if the user wants one."""
        call = self._call
        if call.json is None or call.dry_run:
            return
        from quietpixel import __version__  # Python reads it from a file, 8 ms of a start

        # Not asdict, which would copy a map of noise levels.
        settings = dict(vars(call.settings.options))
        if call.settings.folder_range:
            settings["range"] = "folder"
        settings |= {"format": call.settings.format, "jpeg_quality": call.settings.jpeg_quality}
        left = [
            {"source": str(job.source), "target": str(job.target), "status": "left"}
            for job in self.remaining
        ]
        skipped = [
            {"source": str(each.path), "kind": each.kind, "reason": each.reason,
             "image": each.is_image}
            for each in self.unread
        ]  # fmt: skip
        report = {
            "schema": SCHEMA, "version": __version__, "settings": settings,
            "interrupted": interrupted, "files": [*map(_describe, self.outcomes), *left],
            "skipped": skipped, "scale": self.scale and [s.range for s in self.scale.scales],
        }  # fmt: skip
        # A map of noise levels has as many numbers as the image has pixels.
        text = json.dumps(report, indent=2, default=lambda value: "map") + "\n"
        if call.json_on_stream:
            click.echo(text, nl=False)
            return
        with atomic_file(call.json, overwrite=True) as file:
            file.write(text.encode())


def describe_rate(megapixels_per_second: float) -> str:
    """Return a rate with a decimal, or with more where that would be 0.

    Examples
    --------
    >>> describe_rate(2.04), describe_rate(0.0123)
    ('2.0 megapixels/s', '0.012 megapixels/s')
    """
    form = ".1f" if megapixels_per_second >= 0.1 else ".2g"
    return f"{megapixels_per_second:{form}} megapixels/s"


def exit_code(total: int, failures: int, unread: int) -> int:
    """Return 0 if all images are done, 2 if none is because all failed or there are none, else 1.

    Parameters
    ----------
    total, failures
        Number of images that were read or refused, and of those that failed.
    unread
        Number of images that cannot be read here.

    Examples
    --------
    >>> exit_code(9, 0, 0), exit_code(9, 0, 2), exit_code(9, 8, 0), exit_code(9, 9, 0)
    (0, 1, 1, 2)
    >>> exit_code(0, 0, 0)
    2
    """
    if total and failures + unread == 0:
        return 0
    return 2 if total == failures else 1


def describe_unread(files: Sequence[SkippedFile]) -> str:
    """Return how many files of which kinds are not read, and why."""
    kinds = Counter((file.kind, file.reason) for file in files)
    named = ", ".join(f"{count} {kind} ({reason})" for (kind, reason), count in kinds.items())
    return f"{len(files)} file{'' if len(files) == 1 else 's'} skipped: {named}."


def describe_outcome(outcome: Outcome) -> str:
    """Return the line on a file that was denoised: names, size, duration, noise, model."""
    megapixels = outcome.megapixels
    size = f"{megapixels:.1f} MP" if megapixels >= 0.1 else "<0.1 MP"
    words = [f"{outcome.job.source} -> {outcome.job.target}", size, f"{outcome.seconds:.1f} s"]
    if outcome.jpeg_quality and outcome.size_ratio:
        words.append(f"quality {outcome.jpeg_quality}, {outcome.size_ratio:.1f}x the size")
    found = outcome.findings
    return "  ".join([*words, describe_noise(found.noise), f"model {found.model}"])


def describe_noise(pages: Sequence[Noise]) -> str:
    """Return level and kinds of the noise of all pages in words.

    Examples
    --------
    >>> from quietpixel.inference.level import Noise
    >>> describe_noise([Noise(0.07, "estimated", ("stripes", "coarse", "shared", "JPEG"))])
    'strong, coarse luminance noise (17.9/255), stripes, JPEG'
    >>> describe_noise([Noise(0.1, "given")]), describe_noise([Noise()])
    ('noise level 25.5/255 as given', 'noise not measured')
    >>> describe_noise([Noise(1e-5, "estimated", (), share=0.05)])
    'moderate noise (12.8/255 of black to white, as --sigma 0.00255/255)'
    >>> describe_noise([Noise(1e-15, "estimated", (), share=0.05)])
    'moderate noise (12.8/255 of black to white)'
    """
    levels = [page.sigma for page in pages if page.sigma is not None]
    words = list(dict.fromkeys(kind for page in pages for kind in page.kinds))
    if levels:
        mean = sum(levels) / len(levels)
        shares = [page.share for page in pages if page.share is not None]
        # On the scale of its type, an image of few counts would hardly have any noise.
        share = sum(shares) / len(shares) if shares else mean
        word = next(word for limit, word in LEVELS.items() if 255 * share < limit)
        size = next((kind for kind in words if kind in ("coarse", "fine")), "")
        # Photographers' word for what the channels share.
        noun = "luminance noise" if "shared" in words else "noise"
        words = [kind for kind in words if kind not in ("coarse", "fine", "shared")]
        given = any(page.source == "given" for page in pages)
        level = f"{255 * mean:.3g}/255"
        found = f"{word}, {size} {noun}" if size else f"{word} {noun}"
        found_level = level
        if not math.isclose(share, mean, rel_tol=0.01):
            found_level = f"{255 * share:.3g}/255 of black to white"
            found_level += f", as --sigma {level}" if mean >= LEAST_TYPED else ""
        words.insert(0, f"noise level {level} as given" if given else f"{found} ({found_level})")
    return ", ".join(words) or "noise not measured"


def _describe(outcome: Outcome) -> dict[str, Any]:
    found = outcome.findings
    words = (
        "megapixels", "jpeg_quality", "size_ratio", "seconds", "read_seconds", "compute_seconds",
        "write_seconds",
    )  # fmt: skip
    return {
        "source": str(outcome.job.source),
        "target": str(outcome.job.target),
        "status": "failed" if outcome.error else "skipped" if outcome.skipped else "done",
        "error": outcome.error,
        "notes": outcome.notes,
        "model": found.model,
        "noise": [asdict(page) for page in found.noise],
        "scale": found.scale,
        **{word: getattr(outcome, word) for word in words},
    }
