"""The part of `quietpixel denoise` that works on a cluster: `--workers` and `--scheduler`."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from quietpixel.errors import ArgumentError

if TYPE_CHECKING:
    from quietpixel.batch import Ledger, Outcome, Settings
    from quietpixel.cluster.worker_model import TravellingModel
    from quietpixel.cluster.workers import Cluster
    from quietpixel.files import Job


class ClusterWork:
    """The workers that one call uses, and what they are told.

    Parameters
    ----------
    options
        The command's options by their names.
    denoiser
        The names of those that a `Denoiser` takes.
    """

    def __init__(self, options: dict[str, Any], denoiser: Sequence[str]) -> None:
        self._options, self._words = options, denoiser
        self._cluster: Cluster | None = None

    @contextlib.contextmanager
    def connected(self) -> "Iterator[Cluster]":
        """Give the cluster and say what it is; its own workers end with the block."""
        from quietpixel.cluster.workers import connect

        _silence_dask()
        if not sys.warnoptions:
            os.environ.setdefault("PYTHONWARNINGS", "ignore")  # in processes that are started too
        workers, scheduler = self._options["workers"], self._options["scheduler"]
        with connect(workers=workers, scheduler=None if workers else scheduler) as cluster:
            self._cluster = cluster
            click.echo(f"{cluster.describe()}.", err=True)
            if not cluster.look():
                click.echo("There is no worker yet; the work waits for one.", err=True)
            yield cluster

    def model(self) -> "TravellingModel":
        """Return what workers open; those of this machine share its cores."""
        from quietpixel.cluster.worker_model import pack_model

        options = {word: self._options[word] for word in self._words}
        if self._options["workers"] and not options["threads"]:
            options["threads"] = max(_cores() // self._options["workers"], 1)
        return pack_model(self._options["model"], options)

    def run_jobs(
        self,
        cluster: "Cluster",
        jobs: "Sequence[Job]",
        settings: "Settings",
        *,
        ledger: "Ledger | None",
        notify: Callable[[str], None],
    ) -> "Iterator[Outcome]":
        """Denoise files; see `quietpixel.cluster.files.run_jobs`."""
        from quietpixel.cluster.files import run_jobs

        return run_jobs(cluster, self.model(), jobs, settings, ledger=ledger, notify=notify)

    def stop(self) -> None:
        """Remove what workers of this process are writing; those of others finish their files."""
        if self._cluster is not None:
            self._cluster.abandon()


def _silence_dask() -> None:
    """What Dask tells developers is told in sentences here; libvips' warnings are still needed."""
    import distributed  # noqa: F401  (sets the levels of its loggers when it is first imported)

    for name in ("asyncio", "bokeh", "distributed", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"asyncio", "bokeh", "distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def is_wanted(options: dict[str, Any]) -> bool:
    """Say whether the work is for a cluster."""
    return bool(options["workers"] or options["scheduler"])


def refuse_stream(options: dict[str, Any]) -> None:
    """Raise ArgumentError if one image of a stream was to go to a cluster."""
    from_environment = options["scheduler"] == os.environ.get("DASK_SCHEDULER_ADDRESS")
    if options["workers"] or (options["scheduler"] and not from_environment):
        raise ArgumentError(
            "'-' is one image for this process; leave out --workers and --scheduler."
        )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
