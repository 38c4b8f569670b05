"""A run of `quietpixel denoise` over files and folders: plan, preflight, work, report."""

import contextlib
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from quietpixel.batch.denoise import make_folder
from quietpixel.batch.ledger import RESULT, Ledger
from quietpixel.batch.lock import lock_folders
from quietpixel.batch.pipeline import Outcome, denoise_one, run_jobs
from quietpixel.batch.plan import Plan, PreflightResult, make_plan, preflight_jobs, share_scale
from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.denoise_view import FolderView, describe_outcome
from quietpixel.errors import ArgumentError, ClusterError, FileError
from quietpixel.files import (
    Job,
    abandon,
    check_readable,
    format_of_name,
    inspect_content,
    refuse_existing,
    remove_leftovers,
)
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.level import check_model

if TYPE_CHECKING:
    from quietpixel.cluster.workers import Cluster

MOST_UNSEEN = 1000
"""Most results that can be finished but not shown yet when a run is interrupted."""


class DenoiseRun:
    """The work of one call; `stop` may be called from another thread at any moment."""

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        # In place, the file that exists is the input itself.
        overwrite = call.settings.overwrite or call.in_place
        self._settings = replace(call.settings, overwrite=overwrite)
        self._view = FolderView(call)
        self._ledger: Ledger | None = None
        self._cluster: Cluster | None = None

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        if "-" in (*self._call.inputs, self._call.output):
            return self._run_stream()
        plan = self._plan()
        denoiser = self._open_denoiser()
        if plan.jobs and not (self._call.dry_run or self._call.on_cluster):
            denoiser.preload()
        return self._run_plan(plan, denoiser)

    def stop(self) -> None:
        """Remove unfinished files, close the progress bar and report what was done so far."""
        self._view.close()  # first, so that files that fail because of the stop are not failures
        abandon()
        if self._cluster is not None:
            self._cluster.abandon()
        for job in self._view.remaining[:MOST_UNSEEN]:
            if self._ledger is not None and self._ledger.is_done(job):
                self._view.keep(Outcome(job))
        self._report_interruption()

    def _report_interruption(self) -> None:
        self._view.show_failures()
        remaining, total = len(self._view.remaining), len(self._view.jobs)
        if remaining and total > 1:
            # Only a folder has a record of what is done.
            again = "; run the same command again to continue" if self._view.folder else ""
            click.echo(f"{remaining} of {total} images are left{again}.", err=True)
        self._view.write_json(interrupted=True)

    def _plan(self) -> Plan:
        call, settings = self._call, self._settings
        if settings.backup is not None and not call.in_place:
            raise ArgumentError("--backup keeps what --in-place replaces; give both, or neither.")
        plan = make_plan(
            [Path(name) for name in call.inputs],
            call.output,
            recursive=call.recursive,
            suffix=call.suffix,
            in_place=call.in_place,
            format=settings.format,
        )
        for name, path in (("compare", settings.compare), ("uncertainty", settings.uncertainty)):
            if path and len(plan.jobs) != 1:
                raise ArgumentError(
                    f"--{name} needs one image; got {len(plan.jobs)}. Use a call for each."
                )
        call.check_reports(*(each for job in plan.jobs for each in (job.source, job.target)))
        for path, reason in plan.skipped:
            self._view.notify(f"Skipping {path}: {reason}.")
        self._view.unread = plan.unread
        return plan

    def _open_denoiser(self) -> Denoiser:
        """Return the denoiser; a wrong option fails here, before an image is read."""
        settings, options = self._settings, self._settings.options
        denoiser = Denoiser.from_options(options)
        card = denoiser.card
        check_model(options, card)
        if path := settings.uncertainty:
            from quietpixel.inference.error_bars import read_calibration

            if format_of_name(path) != "tiff":
                raise ArgumentError(
                    f"--uncertainty must name a TIFF file because it holds floats; got '{path}'. "
                    f"Try '{path.with_suffix('.tif')}'."
                )
            if options.strength != 1 or options.colour_strength not in (None, 1):
                raise ArgumentError(
                    "--uncertainty needs --strength 1 because error bars are those of the model's "
                    f"own result; got {options.strength:g}. Omit --strength."
                )
            read_calibration(card)
        if (path := settings.compare) and path.suffix and format_of_name(path) is None:
            raise ArgumentError(
                f"--compare must name an image because it is one; got '{path}'. "
                f"Try '{path.with_suffix('.png')}'."
            )
        # --in-place allows to replace inputs, not reports.
        for report in filter(None, (settings.compare, settings.uncertainty)):
            refuse_existing(report, overwrite=self._call.settings.overwrite)
        if self._call.verbose or options.device != "cpu":
            engine = denoiser.engine
            model = f"model {options.model or denoiser.card.name}"
            used = f"{options.engine} in {engine.precision} on {engine.device}"
            self._view.notify(f"{model}, {used}")
            if engine.fallback:
                self._view.notify(engine.fallback)
        return denoiser

    def _run_plan(self, plan: Plan, denoiser: Denoiser) -> int:
        call, settings = self._call, self._settings
        with contextlib.ExitStack() as held:
            if not call.dry_run:
                for folder in plan.folders:
                    make_folder(folder)
                inner = {job.target.parent for job in plan.jobs}
                # Without a ledger, only results in place depend on what another run does.
                folders = {*plan.folders, *(inner if call.in_place else ())}
                held.enter_context(lock_folders(folders, inner, notify=self._view.notify))
            self._ledger = Ledger.open(plan.folders, settings)
            findings = preflight_jobs(
                plan.jobs,
                settings,
                ledger=self._ledger,
                repeat=bool(settings.compare or settings.uncertainty),  # both need the work
                collisions=plan.collisions,
            )
            single = not plan.folders and len(findings) == 1
            if not findings and not any(f.is_image or f.path.is_dir() for f in plan.unread):
                if plan.skipped:
                    raise FileError(
                        "All inputs are skipped, so there is nothing to denoise; name other files."
                    )
                further = "" if call.recursive else "; use --recursive to search subfolders"
                self._view.notify(f"No images found{further}.")
            # Success would promise a result at the place that was asked for.
            if single and findings[0].state == "skip" and not call.in_place:
                raise FileError(findings[0].reason)
            if call.dry_run:
                return self._view.show_findings(findings)
            return self._work(denoiser, findings, folder=bool(plan.folders))

    def _work(
        self, denoiser: Denoiser, findings: tuple[PreflightResult, ...], *, folder: bool
    ) -> int:
        """Report what will not be done, and do the rest."""
        jobs = tuple(finding.job for finding in findings if finding.state == "write")
        if self._settings.folder_range and jobs:
            assert self._ledger is not None
            self._settings, sentence = share_scale(denoiser, findings, self._settings, self._ledger)
            self._view.notify(sentence)
            self._view.scale = self._settings.scale
        self._view.jobs = (*(each.job for each in findings if each.state != "write"), *jobs)
        self._view.begin(findings, folder=folder)
        # Runs that were killed may have left temporary files, which fill the disk; also where all
        # results are in place, since a run may be killed between giving its name to the last one
        # and removing the temporary name.
        for parent in {each.job.target.parent for each in findings}:
            remove_leftovers(parent)
        with contextlib.ExitStack() as opened:
            if jobs and self._call.on_cluster:
                self._cluster = opened.enter_context(self._call.connected())
            opened.enter_context(self._view)
            try:
                for outcome in self._outcomes(denoiser, jobs):
                    self._view.show(outcome)
            # What was done before the scheduler was lost is reported before the error.
            except ClusterError:
                self._view.close()
                self._report_interruption()
                raise
        self._view.write_json()
        return self._view.summarize()

    def _outcomes(self, denoiser: Denoiser, jobs: tuple[Job, ...]) -> Iterator[Outcome]:
        settings, view = self._settings, self._view
        if self._cluster is None:
            return run_jobs(denoiser, jobs, settings, ledger=self._ledger, on_progress=view.advance)
        from quietpixel.cluster.files import run_jobs as run_on_cluster
        from quietpixel.cluster.worker_model import pack_model

        model = pack_model(self._call.worker_options)
        return run_on_cluster(
            self._cluster, model, jobs, settings, ledger=self._ledger, notify=view.notify
        )

    def _run_stream(self) -> int:
        """Denoise one image where its source, its target or both are a stream."""
        call = self._call
        call.check_stream()
        name, output = call.inputs[0], call.output or "-"
        call.check_reports(*(Path(each) for each in (name, output) if each != "-"))
        denoiser = self._open_denoiser()
        if name != "-":
            check_readable(name)
        if output != "-":
            refuse_existing(Path(output), overwrite=self._settings.overwrite)
        if call.dry_run:
            click.echo(f"{name} -> {output}", err=True)
            return 0
        source = self._stream(sys.stdin).read() if name == "-" else Path(name)
        target = self._stream(sys.stdout) if output == "-" else Path(output)
        content = inspect_content(io.BytesIO(source) if isinstance(source, bytes) else source)
        ledger = Ledger.open((), self._settings)
        if ledger.knows(content) and not self._settings.again:
            raise FileError(RESULT.format(name))
        outcome = denoise_one(denoiser, source, target, self._settings, ledger)
        self._view.keep(outcome)
        self._view.notify(describe_outcome(outcome))
        self._view.write_json()
        return 0

    @staticmethod
    def _stream(stream: TextIO | None) -> BinaryIO:
        """Return the binary stream; a shell may have closed it, as ``<&-`` does."""
        if stream is None or stream.closed:
            raise FileError("'-' cannot be used because the stream is closed; give a file.")
        return stream.buffer
