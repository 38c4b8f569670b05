"""Keras callbacks of a run: progress, schedules by the clock, checkpoints, the check for NaN."""

import json
import math
import time
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import TrainingError
from quietpixel.training.devices import part_evenly
from quietpixel.training.progress import OnProgress, Progress
from quietpixel.training.run_folder import RunFolder

Weights = list[NDArray[Any]]
Logs = dict[str, float] | None

WARMUP = 0.02
"""Fraction of a run by the clock, or of a trapezoid, in which the learning rate rises."""
DECAY = 0.2
"""Fraction of a trapezoid in which the learning rate falls."""
PLATEAU_STATE = ("best", "wait", "cooldown_counter")


class ReportProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `on_progress` after each step, and for the last step of an epoch after its validation.

    Parameters
    ----------
    on_progress
        The function.
    epochs, batch
        Epochs of the run, and images in a step.
    first
        First epoch of this session.
    clock
        The clock of a run by time.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        *,
        epochs: int,
        batch: int,
        first: int,
        clock: "Clock | None" = None,
    ) -> None:
        super().__init__()
        self.on_progress, self.epochs, self.batch, self.epoch = on_progress, epochs, batch, first
        self.clock = clock
        self.done, self.step, self.started = -1, 0, 0.0
        self.validation_loss: float | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start the clock, in case there is one step only."""
        self.started = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Report the step, unless it ends the epoch."""
        self.done, self.step = self.done + 1, batch + 1
        # The first step compiles the model: counted, it promised hours for a run of minutes.
        if self.done == 0:
            self.started = time.perf_counter()
        if self.step < self.params["steps"] and not self.model.stop_training:
            self._report(self.params["steps"], logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Report the last step with the validation loss."""
        self.validation_loss = (logs or {}).get("val_loss")
        self._report(self.step, logs)  # the clock may have ended the epoch before its last step

    def _report(self, steps: int, logs: Logs) -> None:
        seconds = time.perf_counter() - self.started
        rate = self.done / seconds if self.done else math.nan
        left = (self.epochs - self.epoch) * steps - self.step
        self.on_progress(
            Progress(
                epoch=self.epoch + 1,
                epochs=0 if self.clock else self.epochs,
                step=self.step,
                steps=steps,
                images_per_second=rate * self.batch,
                seconds_left=self.clock.left if self.clock else left and left / rate,
                share=self.clock.share if self.clock else 1 - left / (self.epochs * steps),
                loss=float((logs or {}).get("loss", math.nan)),
                validation_loss=self.validation_loss,
            )
        )


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate by the clock, and ends the run after a given time.

    Parameters
    ----------
    seconds
        Duration of training, including earlier sessions.
    learning_rate
        The highest learning rate.
    spent
        Seconds that earlier sessions trained for.
    schedule
        ``"cosine"`` or ``"trapezoid"``; for any other the learning rate stays as it is set.
    started
        When this session started, by `time.perf_counter`.
    """

    def __init__(
        self, seconds: float, learning_rate: float, spent: float, schedule: str, *, started: float
    ) -> None:
        super().__init__()
        self.rate = {"cosine": rate_at, "trapezoid": trapezoid}.get(schedule)
        self.seconds, self.learning_rate, self.spent = seconds, learning_rate, spent
        self.started = started

    @property
    def left(self) -> float:
        """Seconds until the end of the run."""
        return max(0.0, self.seconds - self.spent - (time.perf_counter() - self.started))

    @property
    def share(self) -> float:
        """Fraction of the run that is over, in [0, 1]."""
        return 1 - self.left / self.seconds

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Set the learning rate of the step."""
        if self.rate:
            self.model.optimizer.learning_rate = self.learning_rate * self.rate(self.share)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Stop at the end of the time."""
        if not self.left:
            self.model.stop_training = True


def rate_at(share: float) -> float:
    """Return the learning rate of the cosine schedule, relative to the highest.

    Parameters
    ----------
    share
        Fraction of the run that is over, in [0, 1].

    Examples
    --------
    >>> [round(rate_at(share), 2) for share in (0, 0.01, 0.02, 0.51, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if share < WARMUP:
        return share / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (share - WARMUP) / (1 - WARMUP)))


def trapezoid(share: float) -> float:
    """Return the learning rate of the trapezoid schedule, relative to the highest.

    Warm-up, constant, then down to zero: the constant part can be extended, and a run can be
    continued from any point of it.

    Parameters
    ----------
    share
        Fraction of the run that is over, in [0, 1].

    Examples
    --------
    >>> [round(trapezoid(share), 2) for share in (0, 0.01, 0.5, 0.9, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return max(0.0, min(share / WARMUP, 1.0, (1 - share) / DECAY))


class Trapezoid(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate of a run that is counted in epochs, by `trapezoid`.

    Parameters
    ----------
    learning_rate
        The highest learning rate.
    epochs
        Epochs of the whole run.
    """

    def __init__(self, learning_rate: float, epochs: int) -> None:
        super().__init__()
        self.learning_rate, self.epochs, self.epoch = learning_rate, epochs, 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch, counted from 0."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Set the learning rate of the step."""
        share = (self.epoch + batch / self.params["steps"]) / self.epochs
        self.model.optimizer.learning_rate = self.learning_rate * trapezoid(share)


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Stores the state of the run after each epoch, and the best weights so far.

    It must precede `SwapEMAWeights` in the list of callbacks, so that it sees the averaged weights
    when validation ends.

    Parameters
    ----------
    folder
        The run folder.
    plateau
        The ReduceLROnPlateau callback of the run, if it has one.
    """

    def __init__(self, folder: RunFolder, plateau: keras.callbacks.Callback | None) -> None:
        super().__init__()
        self.folder, self.plateau = folder, plateau
        self.rows: list[dict[str, Any]] = []
        self.best: Weights | None = None
        self.best_loss = math.inf
        self.validated: Weights = []
        self.plateau_state: dict[str, float] = {}
        self.started, self.steps, self.loss = 0.0, 0, math.nan

    def restore(self, model: keras.Model) -> None:
        """Restore the compiled `model` from the checkpoint in the folder, if there is one."""
        arrays = self.folder.read_checkpoint()
        if not arrays:
            return
        # An optimizer has no variables to restore before it is built or has made a step.
        model.optimizer.build(model.trainable_variables)
        for kind, variables in _state(model).items():
            for i, variable in enumerate(variables):
                variable.assign(arrays[f"{kind}-{i}"])
        # The best weights so far may be older than those that training continues with.
        self.best = [arrays[f"best-{i}"] for i in range(len(model.weights))]
        notes = json.loads(str(arrays["notes"]))
        self.rows, self.best_loss = notes["rows"], notes["best_loss"]
        self.plateau_state = notes["plateau"]

    def on_train_begin(self, logs: Logs = None) -> None:
        """Restore the state of ReduceLROnPlateau."""
        for name, value in self.plateau_state.items():
            setattr(self.plateau, name, value)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the clock of the epoch."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Count the steps, in case the run ends in its first epoch."""
        self.steps, self.loss = self.steps + 1, float((logs or {}).get("loss", math.nan))

    def describe_best(self) -> str:
        """Return which epoch was kept, in words."""
        losses = [float(row["validation_loss"]) for row in self.rows]
        best = losses.index(min(losses)) + 1
        return f"Kept the model of epoch {best} of {len(losses)}: validation loss {min(losses):.6f}"

    def end_first_epoch(self, validation: Any) -> None:
        """Validate a run that was interrupted in its first epoch as if that had ended."""
        if self.best is None and self.steps:
            images, size = part_evenly(validation, 20)
            loss = self.model.evaluate(*images, batch_size=size, verbose=0)
            if math.isfinite(loss):
                self.validated = self.model.get_weights()
                self.on_epoch_end(0, {"loss": self.loss, "val_loss": loss})

    def on_test_end(self, logs: Logs = None) -> None:
        """Store the weights that were validated, averaged or not."""
        self.validated = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write the history and the checkpoint."""
        logs = logs or {}
        check_finite(logs["val_loss"], f"validation loss became {{}} in epoch {epoch + 1}", self)
        if logs["val_loss"] < self.best_loss:
            self.best, self.best_loss = self.validated, float(logs["val_loss"])
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self.rows.append(
            {
                "epoch": epoch + 1,
                "loss": float(logs["loss"]),
                "validation_loss": float(logs["val_loss"]),
                "learning_rate": float(rate),
                "seconds": round(time.perf_counter() - self.started, 3),
            }
        )
        self.folder.write_history(self.rows)
        arrays = {
            f"{kind}-{i}": keras.ops.convert_to_numpy(variable)
            for kind, variables in _state(self.model).items()
            for i, variable in enumerate(variables)
        }
        arrays |= {f"best-{i}": weight for i, weight in enumerate(self.best or [])}
        state = {name: getattr(self.plateau, name, None) for name in PLATEAU_STATE}
        # Keras knows no best value before the first epoch has ended.
        plateau = {name: float(value) for name, value in state.items() if value is not None}
        notes = {"rows": self.rows, "best_loss": self.best_loss, "plateau": plateau}
        # The notes are an array too, so that one file holds all and is replaced at once.
        self.folder.write_checkpoint(arrays | {"notes": np.array(json.dumps(notes))})


def _state(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {"model": model.variables, "optimizer": model.optimizer.variables}


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises a `TrainingError` when the loss becomes non-finite.

    Parameters
    ----------
    checkpoint
        The checkpoint of the run, if it has one.
    """

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        super().__init__()
        self.checkpoint = checkpoint

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Check the loss."""
        loss = float((logs or {}).get("loss", 0.0))
        check_finite(loss, f"loss became {{}} at step {batch + 1}", self.checkpoint)


def check_finite(loss: float, event: str, checkpoint: Checkpoint | None) -> None:
    """Raise a `TrainingError` if `loss` is not finite.

    Parameters
    ----------
    loss
        The loss.
    event
        What happened, with ``{}`` in place of the loss.
    checkpoint
        Has the model that is kept, if there is one.
    """
    if math.isfinite(loss):
        return
    kept = checkpoint is not None and checkpoint.best is not None
    outcome = "the last good model was kept" if kept else "there is no model to keep yet"
    raise TrainingError(
        f"The {event.format(loss)}; {outcome}. Lower `learning_rate`, or remove images with values "
        "of a wholly different range."
    )
