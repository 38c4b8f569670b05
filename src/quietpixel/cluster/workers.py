"""The workers of a Dask cluster: processes of this machine, or those of a running scheduler."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quietpixel.cluster.optional_imports import need
from quietpixel.errors import ArgumentError, ClusterError, check_number
from quietpixel.files import abandon

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""
ANSWER_SECONDS = 10.0
"""How long a worker may take to answer a question."""
REFRESH_SECONDS = 1.0
"""How long the list of workers stays valid."""
SILENT_SECONDS = 30.0
"""Time without a heartbeat after which a worker is removed; heartbeats come every 0.5 to 2 s. Each
refresh adds at most a second, because a laptop that was suspended would lose all its workers."""

_CALM = {
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.profile.enabled": False,
}
"""How rarely Dask monitors itself: idle, it and one worker took 5 % of a core, now 0.8 %."""

_VERSION = "__import__('quietpixel').__version__"
"""Evaluated on machines that may not have the package, so it cannot be a function of it."""


class Cluster:
    """A scheduler and its workers, reached through one client.

    Parameters
    ----------
    client
        A `distributed.Client`.
    local
        The cluster that ends with this object; None for a running one.
    """

    def __init__(self, client: Any, local: Any = None) -> None:
        self.client = client
        self._local = local
        self.unfit: dict[str, str] = {}
        """A sentence on each worker that was silent, or lacks this version."""
        self._threads: dict[str, int] = {}
        self._accepted: set[str] = set()
        self._silent: dict[str, tuple[float, float]] = {}
        self._refreshed = float("-inf")
        self._gone: set[str] = set()
        self.address: str = client.scheduler.address

    def describe(self) -> str:
        """Return one line: the number of workers and threads, the addresses of both services."""
        threads = self.threads(now=True)
        workers, total = len(threads), sum(threads.values())
        found = f"{workers} worker{'s' * (workers != 1)}, {total} thread{'s' * (total != 1)}"
        # `dashboard_link` names a port even where the server behind it has no dashboard.
        link = self.client.dashboard_link if self._ask_scheduler(_has_dashboard) else "none"
        return f"{found} at {self.address}; dashboard: {link}"

    def threads(self, *, now: bool = False) -> dict[str, int]:
        """Return the number of threads of each usable worker, at most a second old.

        Workers that stopped sending heartbeats are removed, so that the scheduler gives their
        tasks to others.
        """
        self.refuse_lost()
        if now or time.monotonic() - self._refreshed > REFRESH_SECONDS:
            seen = self._ask_scheduler(_list_workers)
            for address in self._find_silent(seen):
                self._ask_scheduler(_remove_worker, address)
                self.unfit[address] = f"The worker {address} does not respond and is removed."
                del seen[address]
            threads = {each: count for each, (count, _) in seen.items()}
            self._find_unfit(threads.keys() - self._accepted - self.unfit.keys())
            self._gone |= self._threads.keys() - threads.keys()
            self._threads, self._refreshed = threads, time.monotonic()
            if threads and threads.keys() <= self.unfit.keys() - self._accepted:
                raise ClusterError(next(self.unfit[each] for each in threads))
        return {each: n for each, n in self._threads.items() if each in self._accepted}

    def lost_workers(self) -> frozenset[str]:
        """Return the addresses of all workers that left or were removed."""
        self.threads(now=True)
        return frozenset(self._gone)

    def _find_silent(self, seen: Mapping[str, tuple[int, float]]) -> list[str]:
        """Add up the time since the last heartbeat of each worker."""
        passed = min(time.monotonic() - self._refreshed, REFRESH_SECONDS)
        before, self._silent = self._silent, {}
        for address, (_, heartbeat) in seen.items():
            last, seconds = before.get(address, (heartbeat, 0.0))
            self._silent[address] = heartbeat, seconds + passed if heartbeat == last else 0.0
        counts = self._silent.items()
        return [address for address, (_, seconds) in counts if seconds >= SILENT_SECONDS]

    def _find_unfit(self, addresses: Iterable[str]) -> None:
        """Accept workers of this version; note why others get no work.

        A task would kill a worker without the package.
        """
        wanted = version("quietpixel")
        for address, answer in self._ask_workers(sorted(addresses), eval, _VERSION).items():
            if answer == wanted:
                self._accepted.add(address)
            elif isinstance(answer, ImportError | str):
                self.unfit[address] = f"{_describe_mismatch(f'The worker {address}', answer)}."
            # Any other error means that it is gone or slow, so it is asked again.

    def _ask_scheduler(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self.client.run_on_scheduler(function, *arguments)
        except (OSError, RuntimeError) as error:
            raise self.lost() from error

    def _ask_workers(
        self, addresses: Sequence[str], function: Callable[..., Any], *arguments: Any
    ) -> dict[str, Any]:
        """Return what a function returns or raises on each worker, a TimeoutError for silence.

        `Client.run` alone would wait for a stopped worker without end.
        """

        async def ask(address: str) -> Any:
            asked = self.client.run(function, *arguments, workers=[address], on_error="return")
            try:
                return (await asyncio.wait_for(asked, ANSWER_SECONDS)).get(address)
            except (OSError, RuntimeError, TimeoutError) as error:
                return error

        async def ask_all() -> list[Any]:
            return await asyncio.gather(*map(ask, addresses))

        return dict(zip(addresses, self.start(ask_all()).result(), strict=True))

    def start(self, work: Awaitable[Any]) -> "Future[Any]":
        """Start an awaitable on the client's event loop; return its future result."""

        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self.client.loop.asyncio_loop)

    def check_scheduler(self) -> None:
        """Raise ClusterError if the scheduler lacks the package or has another version."""
        try:
            found = self.client.run_on_scheduler(eval, _VERSION)
        except ImportError as error:
            found = error
        if found != version("quietpixel"):
            mismatch = _describe_mismatch(f"The scheduler {self.address}", found)
            raise ClusterError(f"{mismatch}, because it unpickles the tasks.")

    def check_folders(self, folders: Sequence[Path]) -> None:
        """Raise ClusterError if a worker does not see one of these folders."""
        workers = sorted(self.threads())
        for folder in folders:
            answers = self._ask_workers(workers, os.path.isdir, str(folder))
            blind = [address for address, seen in answers.items() if seen is False]
            if blind:
                raise ClusterError(
                    f"The worker {blind[0]} does not see the folder '{folder}'; put the files "
                    "where all machines find them under the same path."
                )

    def refuse_lost(self) -> None:
        """Raise ClusterError if the connection to the scheduler is lost."""
        if self.client.status != "running":
            raise self.lost()

    def lost(self) -> ClusterError:
        """Return the error for a lost scheduler."""
        return ClusterError(
            f"The scheduler {self.address} was lost during the work; finished work is kept. "
            "Start it again and repeat the call to continue."
        )

    def abandon(self) -> None:
        """Remove what workers of this process are writing, right before the process ends."""
        if self._local is not None:
            with contextlib.suppress(Exception):  # the process ends in any case
                self.client.run(abandon, on_error="ignore")

    def close(self) -> None:
        """Disconnect from the scheduler, and end workers of this process."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):  # they may be gone already
            self.client.close(timeout=2)
            if self._local is not None:
                self._local.close(timeout=10)


def _describe_mismatch(machine: str, found: object) -> str:
    """Return that a machine has another version, or none, and the remedy."""
    has = f"has quietpixel {found}" if isinstance(found, str) else "does not have quietpixel"
    return f"{machine} {has}; install quietpixel {version('quietpixel')} there, as it is here"


def _list_workers(dask_scheduler: Any) -> dict[str, tuple[int, float]]:
    """Return threads and last heartbeat of each worker; called on the scheduler."""
    return {
        address: (worker.nthreads, worker.last_seen)
        for address, worker in dask_scheduler.workers.items()
    }


async def _remove_worker(address: str, dask_scheduler: Any) -> None:
    """Let others do the tasks of a worker; called on the scheduler."""
    await dask_scheduler.remove_worker(address, stimulus_id=f"quietpixel-silent-{time.time()}")


def _has_dashboard(dask_scheduler: Any) -> bool:
    """Return whether the scheduler's server has pages; called on the scheduler."""
    applications = dask_scheduler.http_application.applications
    return any("Bokeh" in type(each).__name__ for each in applications)


@contextlib.contextmanager
def connect(*, workers: int | None = None, scheduler: str | None = None) -> Iterator[Cluster]:
    """Give a cluster: workers of this machine, or those of a running scheduler.

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
        If not exactly one of both is given, or `workers` is below 1.
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
            "`workers` or `scheduler` must be given, and not both, because either this machine or "
            "a running cluster does the work."
        )
    distributed = need("distributed")
    cluster = _start(distributed, workers) if workers is not None else _join(distributed, scheduler)
    try:
        yield cluster
    finally:
        cluster.close()


def _start(distributed: Any, workers: int) -> Cluster:
    check_number("workers", workers, least=1)
    need("bokeh")  # for the dashboard
    with need("dask.config").set(_CALM):  # workers inherit it
        local = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Tasks are pickled, so whoever reaches the scheduler can run any code.
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787",
            worker_dashboard_address=None,
            memory_limit=0,  # as without a cluster, only the system limits it
            silence_logs=logging.CRITICAL,
        )
    return Cluster(distributed.Client(local), local)


def _join(distributed: Any, scheduler: str | None) -> Cluster:
    try:
        kind, place = distributed.comm.parse_address(scheduler)
        # An address without its port would leave a client that cannot be closed.
        distributed.comm.registry.get_backend(kind).get_address_host(place)
        # Not the default client: Dask code of the user keeps its own.
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
