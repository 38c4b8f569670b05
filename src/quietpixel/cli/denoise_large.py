"""The part of `quietpixel denoise` for images larger than memory: Zarr, large TIFF files, URLs."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.denoise_cluster import ClusterWork
from quietpixel.cli.denoise_view import FolderView, write_json
from quietpixel.errors import ArgumentError, FileError, QuietpixelError

if TYPE_CHECKING:
    from quietpixel.batch import Outcome
    from quietpixel.cluster.workers import Cluster
    from quietpixel.files import Job

SHARED_PIXELS = 64_000_000
"""TIFF files from this size are cut for a cluster; smaller ones are done whole."""


def is_large(call: DenoiseCall) -> bool:
    """Say whether the inputs are images to be denoised in parts.

    Raises
    ------
    ArgumentError
        If only some of them are.
    """
    from quietpixel.cluster.storage import is_store

    limit = min(call.max_pixels, SHARED_PIXELS) if call.on_cluster else call.max_pixels
    large = [is_store(name) or _is_large_tiff(name, limit) for name in call.inputs]
    if any(large) and not all(large):
        name = call.inputs[large.index(True)]
        raise ArgumentError(
            f"'{name}' is denoised in parts and the others are not; give them to two runs."
        )
    return all(large)


def _is_large_tiff(name: str, limit: int) -> bool:
    from quietpixel.cluster.storage import Place
    from quietpixel.files.image_size import read_size

    if not Place(name).is_tiff or not os.path.isfile(name):
        return False
    if os.path.getsize(name) > 4 * limit:
        return True
    with contextlib.suppress(QuietpixelError, OSError):
        size = read_size(Path(name))
        return size.height * size.width > limit
    return False  # whoever reads it will say what is wrong with it


class LargeRun:
    """The work of one call; `stop` may be called from another thread at any moment."""

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        self._view = FolderView()
        self._cluster = ClusterWork(call)
        self._pairs = [(name, self._target(name)) for name in call.inputs]

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        from quietpixel.batch import PreflightResult

        self._check()
        if self._call.dry_run:
            for source, target in self._pairs:
                click.echo(f"{source} -> {target}: would be written in parts")
            return 0
        findings = [PreflightResult(_job(*pair), "write") for pair in self._pairs]
        self._view.begin(findings, alone=len(self._pairs) == 1)
        with contextlib.ExitStack() as opened:
            cluster = None
            if self._call.on_cluster:
                cluster = opened.enter_context(self._cluster.connected())
            opened.enter_context(self._view)
            for source, target in self._pairs:
                self._view.show(self._denoise(source, target, cluster))
        self._write_json()
        return self._view.summarize()

    def stop(self) -> None:
        """Remove unfinished files; finished parts stay for the next run."""
        from quietpixel.files import abandon

        self._view.close()
        abandon()
        click.echo("Finished parts are kept; the same command goes on there.", err=True)
        self._write_json(interrupted=True)

    def _target(self, name: str) -> str:
        from quietpixel.cluster.storage import Place, is_store

        output, place = self._call.output, Place(name.rstrip("/"))
        if output is None:
            return place.beside(self._call.suffix).name
        folder = output.endswith("/") or (os.path.isdir(output) and not is_store(output))
        if len(self._call.inputs) > 1 or folder:
            return f"{output.rstrip('/')}/{place.last}"
        return output

    def _check(self) -> None:
        call = self._call
        needs_whole = {
            "compare": call.compare, "uncertainty": call.uncertainty, "in-place": call.in_place,
            "format": call.format, "jpeg-quality": call.jpeg_quality,
        }  # fmt: skip
        given = [name for name, value in needs_whole.items() if value]
        if given:
            raise ArgumentError(
                f"--{given[0]} cannot be used with '{self._pairs[0][0]}' because it is denoised in "
                "parts and written anew; leave it out."
            )
        if not isinstance(call.options.sigma, str | float):
            raise ArgumentError(
                "--sigma must be a number or auto for an image that is denoised in parts."
            )
        targets = [target for _, target in self._pairs]
        if len(set(targets)) < len(targets):
            raise ArgumentError("Two inputs would get the same name; give them to two runs.")

    def _denoise(self, source: str, target: str, cluster: "Cluster | None") -> "Outcome":
        from quietpixel.batch import Outcome
        from quietpixel.cluster.large_image import LargeSettings, denoise_image

        settings = LargeSettings(
            axes=self._call.axes, options=self._cluster.options(), overwrite=self._call.overwrite
        )

        try:
            done = denoise_image(
                source,
                target,
                settings=settings,
                cluster=cluster,
                on_progress=self._view.advance,
                notify=self._view.say,
            )
        except FileError as error:
            if len(self._pairs) == 1:
                raise
            return Outcome(_job(source, target), error=str(error))
        return Outcome(
            _job(source, target),
            notes=done.notes,
            megapixels=float(done.megapixels),
            compute_seconds=done.seconds,
        )

    def _write_json(self, *, interrupted: bool = False) -> None:
        if self._call.json:
            done = {str(outcome.job.source) for outcome in self._view.outcomes}
            left = [_job(*pair) for pair in self._pairs if pair[0] not in done]
            path = Path(self._call.json)
            write_json(path, self._view.outcomes, left, interrupted=interrupted)


def _job(source: str, target: str) -> "Job":
    """Return a job whose names stay as they are; a path would lose a slash of ``s3://``."""
    from quietpixel.files import Job

    return Job(source, target)  # type: ignore[arg-type]
