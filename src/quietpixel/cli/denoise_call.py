"""One call of `quietpixel denoise` as an object, and the cluster that it asks for."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quietpixel.batch.denoise import Settings
from quietpixel.cli.options import check_report
from quietpixel.errors import ArgumentError
from quietpixel.inference.options import DenoiseOptions

if TYPE_CHECKING:
    from quietpixel.cluster.workers import Cluster


@dataclass(frozen=True, kw_only=True)
class DenoiseCall:
    """What the user asked for; `settings` holds all that concerns the images."""

    inputs: tuple[str, ...]
    settings: Settings
    option_names: Mapping[str, str]
    output: str | None = None
    recursive: bool = False
    suffix: str = "-clean"
    in_place: bool = False
    workers: int | None = None
    scheduler: str | None = None
    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False
    json: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a suffix that no result would get."""
        if self.suffix != "-clean" and (self.in_place or self.output):
            raise ArgumentError(
                f"--suffix is for results next to their inputs; got '{self.suffix}' beside "
                f"{'--in-place' if self.in_place else '--output'}. Omit one of them."
            )

    @property
    def on_cluster(self) -> bool:
        """Whether workers do the work."""
        return bool(self.workers or self.scheduler)

    @property
    def json_on_stream(self) -> bool:
        """Whether the report goes to standard output, as that of other commands may."""
        return str(self.json) == "-"

    @property
    def worker_options(self) -> DenoiseOptions:
        """The options for a worker; workers of this machine share its cores."""
        options = self.settings.options
        if not self.workers or options.threads:
            return options
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count() or 1
        return replace(options, threads=max(cores // self.workers, 1))

    def check_reports(self, *images: Path) -> None:
        """Raise ArgumentError if a report would replace an image or another report."""
        places = {path.resolve() for path in images}
        settings = self.settings
        reports = {"compare": settings.compare, "uncertainty": settings.uncertainty}
        if not self.json_on_stream:
            reports["json"] = self.json
        for name, path in reports.items():
            if path is None:
                continue
            if path.resolve() in places:
                raise ArgumentError(
                    f"--{name} must name a file of its own; '{path}' is read or written as an "
                    "image or as another report. Choose another name."
                )
            if name == "json":
                check_report("--json", path, "JSON")
            # Two reports cannot share a file either.
            places.add(path.resolve())

    def check_stream(self) -> None:
        """Raise ArgumentError if an option cannot be used with a stream."""
        # A scheduler in the environment is meant for other calls and may be ignored.
        from_environment = self.scheduler == os.environ.get("DASK_SCHEDULER_ADDRESS")
        if self.workers or (self.scheduler and not from_environment):
            raise ArgumentError("'-' is processed here; omit --workers and --scheduler.")
        if self.json_on_stream and self.output in (None, "-"):
            raise ArgumentError(
                "--json - and the image cannot both go to standard output; give one of them a file."
            )
        if len(self.inputs) > 1 or Path(self.inputs[0]).is_dir() or self.in_place:
            raise ArgumentError("'-' stands for one image; give one INPUT, and no --in-place.")
        if self.settings.folder_range:
            raise ArgumentError("--range folder needs files; '-' is a stream. Omit it.")

    @contextlib.contextmanager
    def connected(self) -> "Iterator[Cluster]":
        """Give the cluster and print its size; workers started here end with the block."""
        from quietpixel.cluster.workers import connect

        _silence_dask()
        if not sys.warnoptions:
            os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the workers started here
        # The variable DASK_SCHEDULER_ADDRESS may be set for other calls, so --workers wins.
        scheduler = None if self.workers else self.scheduler
        with connect(workers=self.workers, scheduler=scheduler) as cluster:
            if not self.quiet:
                click.echo(f"{cluster.describe()}.", err=True)
            if not cluster.threads():
                click.echo("There is no worker yet; waiting for one.", err=True)
            yield cluster


def _silence_dask() -> None:
    """Hide Dask's log, whose news the view prints in sentences; libvips' warnings stay."""
    from quietpixel.cluster.optional_imports import need

    need("distributed")  # sets the levels of its loggers when first imported

    for name in ("asyncio", "bokeh", "distributed", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"asyncio", "bokeh", "distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
