"""One call of `quietpixel denoise`: plan, look, work, report."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.denoise_cluster import ClusterWork, is_wanted, refuse_stream
from quietpixel.cli.denoise_view import FolderView, show_findings, write_json
from quietpixel.errors import ArgumentError, ClusterError, FileError

if TYPE_CHECKING:
    from quietpixel.batch import Ledger, Outcome, Plan, PreflightResult, Settings
    from quietpixel.files import Job
    from quietpixel.inference.denoiser import Denoiser

DENOISER = ("engine", "precision", "threads", "memory", "quality")
SETTINGS = ("sigma", "strength", "range", "format", "max_pixels")
IDENTITY = (
    "sigma", "strength", "range", "format", "jpeg_quality", "precision", "engine", "quality",
)  # fmt: skip
"""Options that change what comes out, so that an earlier run with others counts for nothing."""
MOST_UNSEEN = 1000
"""More results than can be in place without having been shown."""


class DenoiseRun:
    """The work of one call; `stop` may be called from another thread at any moment.

    Parameters
    ----------
    inputs
        Names of files and folders, or ``-``.
    options
        The command's options by their names.
    """

    def __init__(self, inputs: tuple[str, ...], options: dict[str, Any]) -> None:
        self._inputs, self._options = inputs, options
        self._view = FolderView()
        self._jobs: tuple[Job, ...] = ()
        self._ledger: Ledger | None = None
        self._cluster = ClusterWork(options, DENOISER)

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        if "-" in self._inputs or self._options["output"] == "-":
            refuse_stream(self._options)
            return self._run_stream()
        return self._run_plan(self._plan())

    def stop(self) -> None:
        """Remove unfinished files, take the bar away and write what was done so far."""
        from quietpixel.batch import Outcome
        from quietpixel.files import abandon

        self._view.close()  # first, so that files which fail because of this are no failures
        abandon()
        self._cluster.stop()
        for job in self._left()[:MOST_UNSEEN]:
            if self._ledger is not None and self._ledger.is_done(job):
                self._view.keep(Outcome(job))  # in place, and not shown any more
        self._view.name_failures()
        count, total = len(self._view.outcomes), len(self._jobs)
        if count < total and total > 1:
            click.echo(f"{total - count} of {total} images are left.", err=True)
        self._write_json(interrupted=True)

    def _left(self) -> "list[Job]":
        """Return the jobs without an outcome; a cluster does not keep their order."""
        done = {outcome.job for outcome in self._view.outcomes}
        return [job for job in self._jobs if job not in done]

    def _plan(self) -> "Plan":
        from quietpixel.batch import make_plan

        words = ("recursive", "suffix", "in_place", "format")
        paths = [Path(name) for name in self._inputs]
        options = {word: self._options[word] for word in words}
        plan = make_plan(paths, self._options["output"], **options)
        for word in ("compare", "uncertainty"):
            if self._options[word] and len(plan.jobs) != 1:
                raise ArgumentError(f"--{word} needs one image; got {len(plan.jobs)}.")
        self._check_reports(*(each for job in plan.jobs for each in (job.source, job.target)))
        for path, reason in plan.skipped:
            click.echo(f"{path} is left out: {reason}.", err=True)
        return plan

    def _run_plan(self, plan: "Plan") -> int:
        from quietpixel.batch import preflight_jobs

        denoiser, settings = self._open()
        self._ledger = self._open_ledger(plan)
        again = bool(self._options["compare"] or self._options["uncertainty"])  # both need the work
        findings = preflight_jobs(
            plan.jobs, overwrite=settings.overwrite, ledger=None if again else self._ledger
        )
        alone = not plan.folders and len(plan.jobs) == 1
        if not findings:
            click.echo("No picture is there to denoise; --recursive looks further down.", err=True)
        if self._options["dry_run"]:
            return show_findings(findings, alone=alone)
        return self._work(denoiser, settings, findings, alone=alone)

    def _work(
        self,
        denoiser: "Denoiser",
        settings: "Settings",
        findings: "tuple[PreflightResult, ...]",
        *,
        alone: bool,
    ) -> int:
        """Tell what will not be done, and do the rest."""
        from quietpixel.batch import run_jobs
        from quietpixel.files import remove_leftovers

        jobs = tuple(finding.job for finding in findings if finding.state == "write")
        self._jobs = (*(each.job for each in findings if each.state != "write"), *jobs)
        self._view.begin(findings, alone=alone)
        for folder in {job.target.parent for job in jobs}:
            remove_leftovers(folder)
        with contextlib.ExitStack() as opened:
            if jobs and is_wanted(self._options):
                cluster = opened.enter_context(self._cluster.connected())
                outcomes = self._cluster.run_jobs(
                    cluster, jobs, settings, ledger=self._ledger, notify=self._view.say
                )
            else:
                outcomes = run_jobs(
                    denoiser, jobs, settings, ledger=self._ledger, on_progress=self._view.advance
                )
            self._show_all(outcomes, opened)
        self._write_json()
        return self._view.summarize()

    def _show_all(self, outcomes: "Iterator[Outcome]", opened: contextlib.ExitStack) -> None:
        """Show what became of each; if a cluster is lost, also what was done until then."""
        opened.enter_context(self._view)
        try:
            for outcome in outcomes:
                self._view.show(outcome)
        except ClusterError:
            self._view.close()
            self._view.name_failures()
            click.echo(f"{len(self._left())} of {len(self._jobs)} images are left.", err=True)
            self._write_json(interrupted=True)
            raise

    def _open(self) -> "tuple[Denoiser, Settings]":
        """Return the denoiser and the settings; a wrong option is told before an image is read."""
        from quietpixel.batch import Settings
        from quietpixel.inference.denoiser import Denoiser
        from quietpixel.inference.error_bars import check_error_bars
        from quietpixel.inference.noise_level import check_takes_sigma

        options = self._options
        denoiser = Denoiser(options["model"], **{word: options[word] for word in DENOISER})
        check_takes_sigma(options["sigma"], denoiser.card_for(3))
        if options["uncertainty"]:
            check_error_bars(
                Path(options["uncertainty"]), denoiser.card_for(3), options["strength"]
            )
        settings = Settings(
            overwrite=options["overwrite"] or options["in_place"],
            quality=options["jpeg_quality"],
            compare=self._beside("compare"),
            uncertainty=self._beside("uncertainty"),
            **{word: options[word] for word in SETTINGS},
        )
        return denoiser, settings

    def _beside(self, word: str) -> Path | None:
        """Return where what --compare or --uncertainty writes goes, refused before any work."""
        from quietpixel.files import refuse_existing

        if self._options[word] is None:
            return None
        path = Path(self._options[word])
        refuse_existing(path, overwrite=self._options["overwrite"])
        return path

    def _check_reports(self, *pictures: Path) -> None:
        """Raise ArgumentError if a file beside the results would take the place of a picture."""
        places = {path.resolve() for path in pictures}
        for word in ("compare", "uncertainty", "json"):
            path = Path(self._options[word] or "-").resolve()
            if self._options[word] and path in places:
                raise ArgumentError(
                    f"--{word} must name a file of its own; '{self._options[word]}' is a picture "
                    "that is read or written."
                )
            if word == "json" and not path.parent.is_dir():
                raise ArgumentError(
                    f"--json must lie in a folder that exists; got '{self._options[word]}'."
                )
            places.add(path)

    def _open_ledger(self, plan: "Plan") -> "Ledger | None":
        """Return the ledger of a folder run; files alone need none."""
        if not plan.folders:
            return None
        from quietpixel.batch import Ledger
        from quietpixel.batch.ledger import fingerprint

        for folder in plan.folders:
            self._make_folder(folder)
        options = [self._options[word] for word in IDENTITY]
        return Ledger(plan.folders, fingerprint(self._options["model"], options))

    def _make_folder(self, folder: Path) -> None:
        if self._options["dry_run"]:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"The folder '{folder}' cannot be made: {error.strerror}.") from error

    def _run_stream(self) -> int:
        """Denoise one image where its source, its target or both are a stream."""
        if len(self._inputs) > 1 or Path(self._inputs[0]).is_dir() or self._options["in_place"]:
            raise ArgumentError("'-' stands for one image; give one INPUT, and no --in-place.")
        from quietpixel.batch.single_file import denoise_one

        name, output = self._inputs[0], self._options["output"] or "-"
        self._check_reports(*(Path(each) for each in (name, output) if each != "-"))
        denoiser, settings = self._open()
        self._check_stream(name, output)
        if self._options["dry_run"]:
            click.echo(f"{name} -> {output}", err=True)
            return 0
        source = sys.stdin.buffer.read() if name == "-" else Path(name)
        target = sys.stdout.buffer if output == "-" else Path(output)
        self._view.keep(denoise_one(denoiser, source, target, settings))
        self._write_json()
        return 0

    def _check_stream(self, name: str, output: str) -> None:
        from quietpixel.files import check_readable, refuse_existing

        if name != "-":
            check_readable(name)
        if output != "-":
            refuse_existing(Path(output), overwrite=self._options["overwrite"])

    def _write_json(self, *, interrupted: bool = False) -> None:
        if self._options["json"] and not self._options["dry_run"]:
            path = Path(self._options["json"])
            write_json(path, self._view.outcomes, self._left(), interrupted=interrupted)
