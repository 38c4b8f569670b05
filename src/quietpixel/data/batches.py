"""Training batches as Keras takes them."""

from typing import Any

import keras

from quietpixel.data.samplers import Batch, BatchPool, Sampler
from quietpixel.errors import TrainingError


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of a sampler, epoch by epoch.

    Parameters
    ----------
    sampler
        Makes the batches.
    workers
        Number of processes that make them ahead of time; 0 makes each when it is needed. The
        batches are the same.
    first_epoch
        Epoch of the first pass.
    """

    def __init__(self, sampler: Sampler, *, workers: int = 0, first_epoch: int = 0) -> None:
        super().__init__()
        self.sampler, self.processes, self.epoch = sampler, workers, first_epoch
        self.error: Exception | None = None  # TensorFlow raises its own instead of this one
        self._started = self._closed = False
        self._pool: BatchPool | None = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.sampler)

    def on_epoch_begin(self) -> None:
        """Advance to the next epoch; Keras reads a batch before it starts the first."""
        self.epoch, self._started = self.epoch + self._started, True

    def __getitem__(self, index: int) -> Batch:
        """Return batch number `index` of the current epoch."""
        try:
            if self._closed:
                # Keras reads ahead in a thread, which would start new workers after an error.
                raise TrainingError("The batches are closed; make new ones.")
            if not self.processes:
                return self.sampler.make(self.epoch, index)
            self._pool = self._pool or BatchPool(self.sampler, self.processes)
            return self._pool.get(self.epoch, index)
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        """End the worker processes."""
        self._closed = True
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> "Batches":
        """Return the batches; leaving the block closes them."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the batches."""
        self.close()
