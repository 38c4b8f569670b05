"""Work of `quietpixel denoise` on a cluster: `--workers` and `--scheduler`."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from quietpixel.cli.denoise_call import DenoiseCall

if TYPE_CHECKING:
    from quietpixel.batch import Ledger, Outcome, Settings
    from quietpixel.cluster.workers import Cluster
    from quietpixel.files import Job
    from quietpixel.inference.options import DenoiseOptions


class ClusterWork:
    """The workers that one call uses."""

    def __init__(self, call: DenoiseCall) -> None:
        self._call = call
        self._cluster: Cluster | None = None

    @contextlib.contextmanager
    def connected(self) -> "Iterator[Cluster]":
        """Give the cluster and say what it is; its own workers end with the block."""
        from quietpixel.cluster.workers import connect

        _silence_dask()
        if not sys.warnoptions:
            os.environ.setdefault("PYTHONWARNINGS", "ignore")  # in processes that are started too
        workers, scheduler = self._call.workers, self._call.scheduler
        with connect(workers=workers, scheduler=None if workers else scheduler) as cluster:
            self._cluster = cluster
            click.echo(f"{cluster.describe()}.", err=True)
            if not cluster.look():
                click.echo("There is no worker yet; the work waits for one.", err=True)
            yield cluster

    def options(self) -> "DenoiseOptions":
        """Return the options for a worker; workers of this machine share its cores."""
        options, workers = self._call.options, self._call.workers
        if workers and not options.threads:
            affinity = getattr(os, "sched_getaffinity", None)
            cores = len(affinity(0)) if affinity else os.cpu_count() or 1
            options = replace(options, threads=max(cores // workers, 1))
        return options

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
        from quietpixel.cluster.worker_model import pack_model

        return run_jobs(
            cluster, pack_model(self.options()), jobs, settings, ledger=ledger, notify=notify
        )

    def stop(self) -> None:
        """Remove what workers of this process are writing; those of others finish their files."""
        if self._cluster is not None:
            self._cluster.abandon()


def _silence_dask() -> None:
    """Hide Dask's own log, which this program says in sentences; libvips' warnings stay."""
    import distributed  # noqa: F401  (sets the levels of its loggers when it is first imported)

    for name in ("asyncio", "bokeh", "distributed", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"asyncio", "bokeh", "distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
