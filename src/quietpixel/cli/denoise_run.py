"""A run of `quietpixel denoise` over files and folders: plan, preflight, work, report."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.denoise_cluster import ClusterWork
from quietpixel.cli.denoise_view import FolderView, show_findings, write_json
from quietpixel.errors import ArgumentError, ClusterError

if TYPE_CHECKING:
    from quietpixel.batch import Ledger, Outcome, Plan, PreflightResult, Settings
    from quietpixel.files import Job
    from quietpixel.inference.denoiser import Denoiser

MOST_UNSEEN = 1000
"""The most results that can be finished and not shown yet when a run is interrupted."""


class DenoiseRun:
    """The work of one call; `stop` may be called from another thread at any moment."""

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        self._view = FolderView()
        self._jobs: tuple[Job, ...] = ()
        self._ledger: Ledger | None = None
        self._cluster = ClusterWork(call)

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        if self._call.on_stream:
            return self._run_stream()
        plan = self._plan()
        denoiser, settings = self._open()
        return self._run_plan(plan, denoiser, settings)

    def stop(self) -> None:
        """Remove unfinished files, close the progress bar and report what was done so far."""
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

        call = self._call
        plan = make_plan(
            [Path(name) for name in call.inputs],
            call.output,
            recursive=call.recursive,
            suffix=call.suffix,
            in_place=call.in_place,
            format=call.format,
        )
        for name in call.reports.keys() - {"json"}:
            if len(plan.jobs) != 1:
                raise ArgumentError(f"--{name} needs one image; got {len(plan.jobs)}.")
        call.check_reports(*(each for job in plan.jobs for each in (job.source, job.target)))
        for path, reason in plan.skipped:
            click.echo(f"Skipping {path}: {reason}.", err=True)
        return plan

    def _open(self) -> "tuple[Denoiser, Settings]":
        """Return the denoiser and the settings; a wrong option fails before an image is read."""
        from quietpixel.inference.denoiser import Denoiser
        from quietpixel.inference.error_bars import read_calibration
        from quietpixel.inference.level import check_model

        call = self._call
        denoiser = Denoiser.from_options(call.options)
        card = denoiser.card_for(3)
        check_model(call.options, card)
        if call.uncertainty:
            path, options = Path(call.uncertainty), call.options
            if path.suffix.lower() not in (".tif", ".tiff"):
                raise ArgumentError(
                    f"--uncertainty must name a TIFF file because it holds floats; got '{path}'. "
                    f"Try '{path.with_suffix('.tif')}'."
                )
            if options.strength != 1 or options.colour_strength not in (None, 1):
                raise ArgumentError(
                    "--uncertainty needs --strength 1 because error bars are those of the model's "
                    f"own result; got {options.strength:g}. Leave --strength out."
                )
            read_calibration(card)
        return denoiser, call.settings()

    def _run_plan(self, plan: "Plan", denoiser: "Denoiser", settings: "Settings") -> int:
        from quietpixel.batch import preflight_jobs

        call = self._call
        self._ledger = self._open_ledger(plan)
        again = bool(call.compare or call.uncertainty)  # both need the work
        findings = preflight_jobs(
            plan.jobs, overwrite=settings.overwrite, ledger=None if again else self._ledger
        )
        alone = not plan.folders and len(plan.jobs) == 1
        if not findings:
            click.echo("No images found; use --recursive to search subfolders.", err=True)
        if call.dry_run:
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
        """Report what will not be done, and do the rest."""
        from quietpixel.batch import run_jobs
        from quietpixel.files import remove_leftovers

        jobs = tuple(finding.job for finding in findings if finding.state == "write")
        self._jobs = (*(each.job for each in findings if each.state != "write"), *jobs)
        self._view.begin(findings, alone=alone)
        for folder in {job.target.parent for job in jobs}:
            remove_leftovers(folder)
        with contextlib.ExitStack() as opened:
            if jobs and self._call.on_cluster:
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
        """Show every outcome; if a cluster is lost, also what was done until then."""
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

    def _open_ledger(self, plan: "Plan") -> "Ledger | None":
        """Return the ledger of a folder run; files alone need none."""
        if not plan.folders:
            return None
        from quietpixel.batch import Ledger
        from quietpixel.batch.ledger import fingerprint
        from quietpixel.batch.pipeline import make_folder

        if not self._call.dry_run:
            for folder in plan.folders:
                make_folder(folder)
        options = replace(self._call.options, threads=None, memory=1)  # no matter for the result
        settings = fingerprint(options, self._call.format, self._call.jpeg_quality)
        return Ledger(plan.folders, settings)

    def _run_stream(self) -> int:
        """Denoise one image where its source, its target or both are a stream."""
        from quietpixel.batch import denoise_one
        from quietpixel.files import check_readable, refuse_existing

        call = self._call
        call.check_stream()
        name, output = call.inputs[0], call.output or "-"
        call.check_reports(*(Path(each) for each in (name, output) if each != "-"))
        denoiser, settings = self._open()
        if name != "-":
            check_readable(name)
        if output != "-":
            refuse_existing(Path(output), overwrite=call.overwrite)
        if call.dry_run:
            click.echo(f"{name} -> {output}", err=True)
            return 0
        source = sys.stdin.buffer.read() if name == "-" else Path(name)
        target = sys.stdout.buffer if output == "-" else Path(output)
        self._view.keep(denoise_one(denoiser, source, target, settings))
        self._write_json()
        return 0

    def _write_json(self, *, interrupted: bool = False) -> None:
        if self._call.json and not self._call.dry_run:
            path = Path(self._call.json)
            write_json(path, self._view.outcomes, self._left(), interrupted=interrupted)
