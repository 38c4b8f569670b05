"""The part of `quietpixel denoise` for images larger than memory: Zarr, large TIFF files, URLs."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.batch.ledger import RESULT
from quietpixel.batch.pipeline import Outcome
from quietpixel.batch.plan import PreflightResult
from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.denoise_view import FolderView
from quietpixel.cluster.storage import Place, is_store
from quietpixel.errors import ArgumentError, FileError, QuietpixelError
from quietpixel.files import Job, abandon, check_readable, read_size

if TYPE_CHECKING:
    from quietpixel.cluster.workers import Cluster

CLUSTER_PIXELS = 64_000_000
"""TIFF files from this size are cut for a cluster; smaller ones are processed whole."""


def is_large(call: DenoiseCall) -> bool:
    """Return whether the inputs are images to be denoised in parts.

    Raises
    ------
    ArgumentError
        If only some of them are.
    """
    limit = call.settings.max_pixels
    if call.on_cluster:
        limit = min(limit, CLUSTER_PIXELS)
    large = [is_store(name) or _is_large_tiff(name, limit) for name in call.inputs]
    if any(large) and not all(large):
        name = call.inputs[large.index(True)]
        raise ArgumentError(
            f"'{name}' is denoised in parts and the others are not; use two separate calls."
        )
    return all(large)


def _is_large_tiff(name: str, limit: int) -> bool:
    if not Place(name).is_tiff or not os.path.isfile(name):
        return False
    with contextlib.suppress(QuietpixelError, OSError):
        if check_readable(name) != "tiff":  # such as a RAW file, whose preview is a TIFF page
            return False
        if os.path.getsize(name) > 4 * limit:
            return True
        size = read_size(Path(name))
        return size.height * size.width > limit
    return False  # the reader explains what is wrong with the file


class LargeRun:
    """The work of one call; `stop` may be called from another thread at any moment."""

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        self._view = FolderView(call)
        # The names stay strings, because a path would lose a slash of ``s3://``.
        jobs = [Job(name, self._target(name)) for name in call.inputs]  # type: ignore[arg-type]
        self._view.jobs = self._jobs = jobs

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        self._check()
        findings = [self._preflight(job) for job in self._jobs]
        if len(findings) == 1 and findings[0].state == "skip":
            raise FileError(findings[0].reason)
        if self._call.dry_run:
            return self._view.show_findings(findings)
        self._view.begin(findings)
        with contextlib.ExitStack() as opened:
            cluster = None
            if self._call.on_cluster:
                cluster = opened.enter_context(self._call.connected())
            opened.enter_context(self._view)
            for found in findings:
                if found.state == "write":
                    self._view.show(self._denoise(found.job, cluster))
        self._view.write_json()
        return self._view.summarize()

    def stop(self) -> None:
        """Remove unfinished files; finished parts stay for the next run."""
        self._view.close()
        abandon()
        click.echo("Finished parts are kept; run the same command again to continue.", err=True)
        self._view.write_json(interrupted=True)

    def _target(self, name: str) -> str:
        output, place = self._call.output, Place(name.rstrip("/"))
        if output is None:
            return place.beside(self._call.suffix).name
        folder = output.endswith("/") or (os.path.isdir(output) and not is_store(output))
        if len(self._call.inputs) > 1 or folder:
            return f"{output.rstrip('/')}/{place.last}"
        return output

    def _check(self) -> None:
        settings = self._call.settings
        whole_only = {
            "compare": settings.compare, "uncertainty": settings.uncertainty,
            "in-place": self._call.in_place, "format": settings.format,
            "jpeg-quality": settings.jpeg_quality, "dtype": settings.options.dtype,
            "range folder": settings.folder_range,
            "channels": settings.options.channels != "auto",
        }  # fmt: skip
        given = [name for name, value in whole_only.items() if value]
        if given:
            raise ArgumentError(
                f"--{given[0]} cannot be used with '{self._jobs[0].source}' because it is denoised "
                "in parts and written anew; omit it."
            )
        # A map has the size of the image, which is larger than memory.
        if not isinstance(settings.options.sigma, str | float):
            raise ArgumentError(
                "--sigma must be a number or auto for an image that is denoised in parts; got a "
                "file. Give its mean level."
            )
        for number, job in enumerate(self._jobs):
            if job.target in [other.target for other in self._jobs[:number]]:
                raise ArgumentError(
                    f"Two inputs would both be written to '{job.target}'; use a call for each."
                )

    def _preflight(self, job: Job) -> PreflightResult:
        from quietpixel.cluster.large_image import is_result

        try:
            if not self._call.settings.again and is_result(str(job.source)):
                return PreflightResult(job, "skip", RESULT.format(job.source))
        except QuietpixelError as error:
            return PreflightResult(job, "refuse", str(error))
        return PreflightResult(job, "write")

    def _denoise(self, job: Job, cluster: "Cluster | None") -> Outcome:
        from quietpixel.cluster.large_image import denoise_image

        call, view = self._call, self._view
        try:
            return denoise_image(
                str(job.source),
                str(job.target),
                call.worker_options,
                overwrite=call.settings.overwrite,
                cluster=cluster,
                on_progress=view.advance,
                notify=view.notify,
            )
        except FileError as error:
            # The only image failed, so the call failed; others go on.
            if len(self._jobs) == 1:
                raise
            return Outcome(job, error=str(error))
