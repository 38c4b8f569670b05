"""Worker processes that make training batches ahead of time."""

import os
import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from quietpixel.data.samplers import Batch, Sampler
from quietpixel.errors import TrainingError

AHEAD = 2
"""Batches requested ahead per worker."""
PARENT_CHECK = 1.0
"""Seconds between two checks of a worker whether its parent process still runs."""


class BatchPool:
    """Makes the batches of a sampler in worker processes, in order and ahead of time.

    The workers never import Keras. They ignore Ctrl-C, which is for the process that trains, and
    exit when that process is gone.

    Parameters
    ----------
    sampler
        The sampler; each worker gets a copy.
    workers
        Number of processes, at least 1.
    """

    def __init__(self, sampler: Sampler, workers: int) -> None:
        from joblib.externals.loky import ProcessPoolExecutor  # needs no __main__ guard in scripts

        self._sampler, self._ahead = sampler, AHEAD * workers
        self._pending: dict[int, Future[tuple[Batch, dict[str, str]]]] = {}
        self._executor = ProcessPoolExecutor(
            workers,
            initializer=_start_worker,
            initargs=(sampler, os.getpid()),
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def get(self, epoch: int, index: int) -> Batch:
        """Return batch number `index` of `epoch`, and request those that follow it.

        Parameters
        ----------
        epoch, index
            As for the sampler.

        Raises
        ------
        TrainingError
            If a worker process died.
        """
        count = len(self._sampler)
        first = epoch * count + index
        try:
            self._pending = {
                number: self._pending.get(number)
                or self._executor.submit(_make_batch, *divmod(number, count))
                for number in range(first, first + self._ahead + 1)
            }
            batch, skipped = self._pending[first].result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "A worker process that makes batches was terminated, perhaps for lack of memory; "
                "train with fewer `workers`, or with 0 to make batches in the main process."
            ) from error
        for name, reason in skipped.items():
            if self._sampler.skipped is not None:
                self._sampler.skipped.add(name, reason)
        return batch

    def close(self) -> None:
        """End the workers, after the batches that they are making now."""
        for future in self._pending.values():
            future.cancel()
        # Without kill_workers: it races with the queue of requests (KeyError in loky 3.6).
        self._executor.shutdown(wait=True)


_sampler: Sampler


def _start_worker(sampler: Sampler, parent: int) -> None:
    global _sampler  # noqa: PLW0603  (a worker has one sampler, sent once and not with each request)
    _sampler = sampler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_without_parent, args=(parent,), daemon=True).start()


def _exit_without_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    os._exit(1)


def _make_batch(epoch: int, index: int) -> tuple[Batch, dict[str, str]]:
    batch = _sampler.make(epoch, index)
    return batch, {} if _sampler.skipped is None else dict(_sampler.skipped.names)
