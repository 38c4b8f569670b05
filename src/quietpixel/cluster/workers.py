"""Finds workers: a cluster of this machine's own, or one that is there already."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quietpixel.cluster.optional_imports import need
from quietpixel.errors import ArgumentError, ClusterError

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""
LOOK_SECONDS = 1.0
"""How long what is known of the workers is believed."""

_CALM = {
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.profile.enabled": False,
}
"""How seldom Dask watches itself: idle, it and one worker took 5 % of a core, now 0.8 %."""

_VERSION = "__import__('quietpixel').__version__"
"""Evaluated on machines that may not have the package, so it cannot be a function of it."""


class Cluster:
    """A scheduler and its workers, reached through one client.

    Parameters
    ----------
    client
        A `distributed.Client`.
    local
        The cluster that ends with this object; None for one that was there before.
    """

    def __init__(self, client: Any, local: Any = None) -> None:
        self.client = client
        self._local = local
        self.unfit: dict[str, str] = {}
        """A sentence on each worker that lacks the package or has another version."""
        self._threads: dict[str, int] = {}
        self._known: set[str] = set()
        self._looked = float("-inf")
        self._gone: set[str] = set()
        self.address: str = client.scheduler.address

    @property
    def dashboard(self) -> str:
        """The address of the pages that show the work, empty if there are none."""
        return str(self.client.dashboard_link or "")

    @property
    def is_local(self) -> bool:
        """Whether the workers end with this process."""
        return self._local is not None

    def describe(self) -> str:
        """Return one line: how many workers, of how many threads, and where to watch them."""
        threads = self.threads(now=True)
        workers, total = len(threads), sum(threads.values())
        found = f"{workers} worker{'s' * (workers != 1)}, {total} thread{'s' * (total != 1)}"
        return f"{found} at {self.address}; dashboard: {self.dashboard or 'none'}"

    def threads(self, *, now: bool = False) -> dict[str, int]:
        """Return the threads of each worker that can do the work, as of a moment ago.

        New workers are asked for their version first: one without the package dies of a task.
        """
        self.refuse_lost()
        if now or time.monotonic() - self._looked > LOOK_SECONDS:
            try:
                threads = dict(self.client.nthreads())
                self.unfit |= self._find_unfit(sorted(threads.keys() - self._known))
            except (OSError, RuntimeError) as error:
                raise self.lost() from error
            self._known |= threads.keys()
            self._gone |= self._threads.keys() - threads.keys()
            self._threads, self._looked = threads, time.monotonic()
            self._refuse_only_unfit()
        return {each: count for each, count in self._threads.items() if each not in self.unfit}

    def _refuse_only_unfit(self) -> None:
        if self._threads and not self._threads.keys() - self.unfit.keys():
            raise ClusterError(next(self.unfit[each] for each in self._threads))

    def lost_workers(self) -> frozenset[str]:
        """Return the addresses of all workers that were there and are gone."""
        self.threads(now=True)
        return frozenset(self._gone)

    def _find_unfit(self, addresses: list[str]) -> dict[str, str]:
        """Return a sentence on each worker that lacks the package or has another version."""
        if not addresses:
            return {}
        answers = self.client.run(eval, _VERSION, workers=addresses, on_error="return")
        wanted, unfit = version("quietpixel"), {}
        for address, answer in answers.items():
            if isinstance(answer, ImportError):
                has = "does not have quietpixel"
            elif isinstance(answer, Exception) or answer == wanted:
                continue  # it is gone, or as it should be
            else:
                has = f"has quietpixel {answer}"
            unfit[address] = (
                f"The worker {address} {has}; install quietpixel {wanted} there, as it is here."
            )
        return unfit

    def check_scheduler(self) -> None:
        """Raise ClusterError if the scheduler lacks the package or has another version."""
        try:
            found = self.client.run_on_scheduler(eval, _VERSION)
        except ImportError:
            found = None
        wanted = version("quietpixel")
        if found != wanted:
            has = "does not have quietpixel" if found is None else f"has quietpixel {found}"
            raise ClusterError(
                f"The scheduler {self.address} {has}; install quietpixel {wanted} there, "
                "as it is here, because it reads what workers are told to do."
            )

    def check_folders(self, folders: Sequence[Path]) -> None:
        """Raise ClusterError if a worker does not see one of these folders."""
        for folder in folders:
            answers = self.client.run(os.path.isdir, str(folder), on_error="return")
            blind = [address for address, seen in answers.items() if seen is False]
            if blind:
                raise ClusterError(
                    f"The worker {blind[0]} does not see the folder '{folder}'; put the files "
                    "where all machines find them under the same path."
                )

    def refuse_lost(self) -> None:
        """Raise ClusterError if the scheduler is not there any more."""
        if self.client.status != "running":
            raise self.lost()

    def lost(self) -> ClusterError:
        """Return the error for a scheduler that is not there any more."""
        return ClusterError(
            f"The scheduler {self.address} was lost during the work; what is done stays. "
            "Start it again and repeat the command, which goes on where this one stopped."
        )

    def abandon(self) -> None:
        """Remove what workers of this process are writing, for a process that ends right after."""
        if self._local is None:
            return
        from quietpixel.files import abandon

        with contextlib.suppress(Exception):  # the process ends, whatever happens
            self.client.run(abandon, on_error="ignore")

    def close(self) -> None:
        """Leave the scheduler, and end workers of this process."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):  # they may be gone already
            self.client.close(timeout=2)
            if self._local is not None:
                self._local.close(timeout=10)


@contextlib.contextmanager
def connect(*, workers: int | None = None, scheduler: str | None = None) -> Iterator[Cluster]:
    """Give a cluster: workers of this machine, or those of a scheduler that is there.

    Parameters
    ----------
    workers
        Number of worker processes to start here, each of one thread for Dask; the engine in each
        uses its share of the cores.
    scheduler
        Address of a scheduler, such as ``"tcp://host:8786"``.

    Raises
    ------
    ArgumentError
        If not exactly one of both is given, or there would be no worker.
    ClusterError
        If the scheduler does not answer, or lacks the package.
    MissingDependencyError
        If Dask is not installed.

    Examples
    --------
    >>> with connect(workers=2) as cluster:  # doctest: +SKIP
    ...     print(cluster.describe())
    """
    if (workers is None) == (scheduler is None):
        raise ArgumentError(
            "`workers` or `scheduler` must be given, and not both, because the work is done either "
            "by this machine or by a cluster that is there."
        )
    distributed = need("distributed")
    cluster = _start(distributed, workers) if workers is not None else _join(distributed, scheduler)
    try:
        yield cluster
    finally:
        cluster.close()


def _start(distributed: Any, workers: int) -> Cluster:
    if workers < 1:
        raise ArgumentError(
            f"`workers` must be 1 or more because something must compute; got {workers}. Try 2."
        )
    need("bokeh")  # the dashboard's
    with need("dask.config").set(_CALM):  # workers get it from here
        local = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787",
            worker_dashboard_address=None,
            memory_limit=0,  # as without a cluster, nothing but the system limits it
            silence_logs=logging.CRITICAL,
        )
    return Cluster(distributed.Client(local), local)


def _join(distributed: Any, scheduler: str | None) -> Cluster:
    try:
        distributed.comm.registry.get_backend(distributed.comm.parse_address(scheduler)[0])
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"No scheduler answers at '{scheduler}' ({' '.join(str(error).split())[:200]}); "
            "give the address that 'dask scheduler' shows, such as tcp://host:8786."
        ) from error
    cluster = Cluster(client)
    try:
        cluster.check_scheduler()
    except BaseException:
        cluster.close()
        raise
    return cluster
