"""Batches of a run without Keras, so that worker processes can make them ahead of time."""

import os
import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.data.image_cache import SkippedFiles
from quietpixel.errors import TrainingError
from quietpixel.noise.laws import NoiseLaw
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng

SHUFFLE_INDEX = 2**31
"""Index of the generator that shuffles an epoch."""
AHEAD = 2
"""Batches requested ahead per worker."""
PARENT_CHECK = 1.0
"""Seconds between two checks of a worker whether its parent process still runs."""

Batch = tuple[Any, Any]


class Sampler(Protocol):
    """Makes any batch of a run from its epoch and index alone."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def make(self, epoch: int, index: int) -> Batch:
        """Return batch number `index` of `epoch` as (input, target)."""

    @property
    def skipped(self) -> SkippedFiles | None:
        """The files that could not be used, if the samples come from files."""


class NoisySampler:
    """Batches of (noisy, clean) from images of one size, shuffled anew in each epoch.

    Parameters
    ----------
    images
        Clean images (N, H, W, C), uint8 or float32 in [0, 1].
    law
        The noise.
    batch
        Images in a batch; a remainder at the end of an epoch is not used.
    seed
        Seed of order and noise.
    fresh
        Whether each epoch draws new noise.
    """

    skipped = None

    def __init__(
        self, images: NDArray[Any], law: NoiseLaw, *, batch: int, seed: int, fresh: bool = True
    ) -> None:
        self.images, self.law = images, law
        self.batch, self.seed, self.fresh = batch, seed, fresh
        self._order: tuple[int, NDArray[Any]] = -1, np.empty(0, int)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return max(1, len(self.images) // self.batch)

    def make(self, epoch: int, index: int) -> tuple[FloatArray, FloatArray]:
        """Return batch number `index` of `epoch` as (noisy, clean)."""
        if self._order[0] != epoch:
            rng = image_rng(self.seed, epoch, SHUFFLE_INDEX)
            self._order = epoch, rng.permutation(len(self.images))
        chosen = self._order[1][index * self.batch : (index + 1) * self.batch]
        clean = self.images[chosen].astype(np.float32, copy=False)
        if self.images.dtype == np.uint8:
            clean = clean / np.float32(255)
        noise_epoch = epoch + 1 if self.fresh else FROZEN_EPOCH
        rngs = (image_rng(self.seed, noise_epoch, int(i)) for i in chosen)
        noisy = [self.law(image, rng) for image, rng in zip(clean, rngs, strict=True)]
        return np.stack(noisy), clean


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
            # Workers share the cores with the training, and threads of their own would slow both.
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

    def exit_without_parent() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK)
        # At once: a normal exit waits for threads that wait for the parent.
        os._exit(1)

    threading.Thread(target=exit_without_parent, daemon=True).start()


def _make_batch(epoch: int, index: int) -> tuple[Batch, dict[str, str]]:
    batch = _sampler.make(epoch, index)
    return batch, {} if _sampler.skipped is None else dict(_sampler.skipped.names)
