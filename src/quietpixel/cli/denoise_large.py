"""The part of `quietpixel denoise` for images larger than memory: Zarr, large TIFF files, URLs."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quietpixel.cli.denoise_cluster import ClusterWork, is_wanted
from quietpixel.cli.denoise_view import FolderView, write_json
from quietpixel.errors import ArgumentError, FileError, QuietpixelError

if TYPE_CHECKING:
    from quietpixel.batch import Outcome
    from quietpixel.cluster.large_image import LargeSettings
    from quietpixel.cluster.workers import Cluster
    from quietpixel.files import Job

DENOISER = ("engine", "precision", "threads", "memory", "quality")
REFUSED = ("compare", "uncertainty", "in_place", "format", "jpeg_quality")
"""Options that need the whole image at once, or are of other files."""
SHARED_PIXELS = 64_000_000
"""TIFF files from this size are cut for a cluster; smaller ones are done whole."""


def is_large(inputs: Sequence[str], options: dict[str, Any]) -> bool:
    """Say whether the inputs are images to be treated in parts.

    Raises
    ------
    ArgumentError
        If only some of them are.
    """
    from quietpixel.cluster.storage import is_store

    limit = options["max_pixels"]
    if is_wanted(options):
        limit = min(limit, SHARED_PIXELS)
    large = [is_store(name) or _is_large_tiff(name, limit) for name in inputs]
    if any(large) and not all(large):
        name = inputs[large.index(True)]
        raise ArgumentError(
            f"'{name}' is treated in parts and the others are not; give them to two runs."
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
    """The work of one call; `stop` may be called from another thread at any moment.

    Parameters
    ----------
    inputs
        Paths and URLs.
    options
        The command's options by their names.
    """

    def __init__(self, inputs: tuple[str, ...], options: dict[str, Any]) -> None:
        self._options = options
        self._view = FolderView()
        self._cluster = ClusterWork(options, DENOISER)
        self._pairs = [(name, self._target(name, len(inputs))) for name in inputs]

    def __call__(self) -> int:
        """Do the work, show it, and return the exit code."""
        self._check()
        settings = self._settings()
        if self._options["dry_run"]:
            for source, target in self._pairs:
                click.echo(f"{source} -> {target}: would be written in parts")
            return 0
        self._view.begin([self._finding(*pair) for pair in self._pairs], alone=self._alone)
        with contextlib.ExitStack() as opened:
            cluster = None
            if is_wanted(self._options):
                cluster = opened.enter_context(self._cluster.connected())
            opened.enter_context(self._view)
            for source, target in self._pairs:
                self._view.show(self._denoise(source, target, settings, cluster))
        self._write_json()
        return self._view.summarize()

    def stop(self) -> None:
        """Remove unfinished files; finished parts stay, and the next run goes on there."""
        from quietpixel.files import abandon

        self._view.close()
        abandon()
        click.echo("Finished parts are kept; the same command goes on there.", err=True)
        self._write_json(interrupted=True)

    @property
    def _alone(self) -> bool:
        return len(self._pairs) == 1

    def _target(self, name: str, count: int) -> str:
        from quietpixel.cluster.storage import Place

        output, place = self._options["output"], Place(name.rstrip("/"))
        if output is None:
            return place.beside(self._options["suffix"]).name
        folder = output.endswith("/") or (os.path.isdir(output) and not _is_image(output))
        if count > 1 or folder:
            return f"{output.rstrip('/')}/{place.last}"
        return str(output)

    def _check(self) -> None:
        given = [word for word in REFUSED if self._options[word]]
        if given:
            raise ArgumentError(
                f"--{given[0].replace('_', '-')} cannot be used with '{self._pairs[0][0]}' because "
                "it is treated in parts and written anew; leave it out."
            )
        if not isinstance(self._options["sigma"], str | float):
            raise ArgumentError(
                "--sigma must be a number or auto for an image that is treated in parts."
            )
        targets = [target for _, target in self._pairs]
        if len(set(targets)) < len(targets):
            raise ArgumentError("Two inputs would get the same name; give them to two runs.")

    def _settings(self) -> "LargeSettings":
        from quietpixel.cluster.large_image import LargeSettings

        words = ("axes", "sigma", "strength", "range", "overwrite")
        options = {word: self._options[word] for word in DENOISER}
        if self._options["workers"]:
            options = dict(self._cluster.model().options)
        return LargeSettings(**{word: self._options[word] for word in words}, options=options)

    def _denoise(
        self, source: str, target: str, settings: "LargeSettings", cluster: "Cluster | None"
    ) -> "Outcome":
        from quietpixel.batch import Outcome
        from quietpixel.cluster.large_image import denoise_image

        try:
            done = denoise_image(
                source, target, self._options["model"], settings,
                cluster=cluster, on_progress=self._view.advance, notify=self._view.say,
            )  # fmt: skip
        except FileError as error:
            if self._alone:
                raise
            return Outcome(_job(source, target), error=str(error))
        return Outcome(
            _job(source, target),
            notes=done.notes,
            megapixels=float(done.megapixels),
            compute_seconds=done.seconds,
        )

    def _finding(self, source: str, target: str) -> Any:
        from quietpixel.batch import PreflightResult

        return PreflightResult(_job(source, target), "write")

    def _write_json(self, *, interrupted: bool = False) -> None:
        if self._options["json"]:
            done = {str(outcome.job.source) for outcome in self._view.outcomes}
            left = [_job(*pair) for pair in self._pairs if pair[0] not in done]
            path = Path(self._options["json"])
            write_json(path, self._view.outcomes, left, interrupted=interrupted)


def _is_image(name: str) -> bool:
    from quietpixel.cluster.storage import is_store

    return is_store(name)


def _job(source: str, target: str) -> "Job":
    """Return a job whose names stay as they are; a path would lose a slash of ``s3://``."""
    from quietpixel.files import Job

    return Job(source, target)  # type: ignore[arg-type]
