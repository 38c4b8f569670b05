"""What would become of each job, found out before any work starts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quietpixel.batch.ledger import Ledger
from quietpixel.errors import FileError, QuietpixelError
from quietpixel.files import Job, check_readable, refuse_existing


@dataclass(frozen=True)
class PreflightResult:
    """What would become of one job.

    Parameters
    ----------
    job
        What is read and where it goes.
    state
        ``"write"``, ``"done"`` by an earlier run with the same settings, or ``"refuse"``.
    reason
        Why it would be refused, a sentence.
    """

    job: Job
    state: Literal["write", "done", "refuse"]
    reason: str = ""


def preflight_jobs(
    jobs: Sequence[Job], *, overwrite: bool = False, ledger: Ledger | None = None
) -> tuple[PreflightResult, ...]:
    """Return what would become of each job; of a file no more than its first bytes is read.

    Parameters
    ----------
    jobs
        What is read and where it goes.
    overwrite
        Whether files that are there are replaced.
    ledger
        What earlier runs did; None asks for all work again.
    """
    return tuple(_look(job, overwrite, ledger) for job in jobs)


def _look(job: Job, overwrite: bool, ledger: Ledger | None) -> PreflightResult:
    if ledger is not None and ledger.is_done(job):
        return PreflightResult(job, "done")
    try:
        check_readable(job.source)
        refuse_existing(job.target, overwrite=overwrite)
        _check_folder(job.target.parent)
    except QuietpixelError as error:
        return PreflightResult(job, "refuse", " ".join(str(error).split()))
    return PreflightResult(job, "write")


def _check_folder(folder: Path) -> None:
    """Raise FileError unless the folder is there, or can be made, for writing."""
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise FileError(f"The folder '{folder}' cannot be made: '{place}' is not a folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise FileError(f"The folder '{folder}' cannot be written to: that is not allowed.")
