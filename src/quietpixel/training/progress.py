"""The progress of a run."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The state of a run after a step, or a message.

    Parameters
    ----------
    epoch, epochs, step, steps
        Counted from 1; `epochs` is 0 for a run that ends by the clock.
    images_per_second, seconds_left
        Mean rate of this session, and the remaining time of the run at that rate; NaN where they
        are not known, as at the first step, which also compiles the model.
    loss, validation_loss
        Loss of the epoch so far, and of the last complete epoch (None in the first).
    share
        Fraction of the run that is over, in [0, 1].
    message
        A sentence to display once, or empty.
    task
        What is done where nothing is trained, such as ``"Evaluating"``: `step` of `steps` images
        are done, or parameters tried, and `share` is that of the task.
    """

    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    images_per_second: float = math.nan
    seconds_left: float = math.nan
    loss: float = math.nan
    validation_loss: float | None = None
    share: float = 0.0
    message: str = ""
    task: str = ""


OnProgress = Callable[[Progress], None]
"""Called after each step."""


def count_images(task: str, on_progress: OnProgress) -> Callable[[int, int], None]:
    """Return a function that is called with the number of images done, and of all, and reports it.

    Parameters
    ----------
    task
        As for `Progress`.
    on_progress
        Called with a `Progress`: its rate and time left count from this call on.
    """
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - start, 1e-9) or math.nan
        on_progress(Progress(
            step=done, steps=total, images_per_second=rate, seconds_left=(total - done) / rate,
            share=done / total, task=task,
        ))  # fmt: skip

    return report
