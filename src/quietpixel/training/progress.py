"""What a run tells while it goes."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Parameters
    ----------
    epoch, epochs, step, steps
        Counted from 1; `epochs` is 0 for a run that ends by the clock.
    images_per_second, seconds_left
        Rate so far in this session and what is left of the whole run at that rate.
    loss, validation_loss
        Of the epoch so far, and of the last whole epoch (``None`` in the first).
    share
        The part of the whole run that is over, in [0, 1].
    message
        A sentence to show once, else empty.
    """

    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    images_per_second: float = 0.0
    seconds_left: float = 0.0
    loss: float = math.nan
    validation_loss: float | None = None
    share: float = 0.0
    message: str = ""


OnProgress = Callable[[Progress], None]
"""What is called after each step."""
