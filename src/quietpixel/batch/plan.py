"""What is read, where each result goes and what will be refused, before any work starts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quietpixel.batch.ledger import Ledger
from quietpixel.errors import ArgumentError, FileError, QuietpixelError
from quietpixel.files import (
    Job,
    check_readable,
    list_images,
    plan_jobs,
    refuse_collisions,
    refuse_existing,
)


@dataclass(frozen=True)
class Plan:
    """What is read and where it goes.

    Parameters
    ----------
    jobs
        One for each picture.
    skipped
        Pairs of a path and the reason why it was not followed.
    folders
        The folders that keep a ledger in a folder run: that of the results, or each input folder.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    folders: tuple[Path, ...] = ()


def make_plan(
    inputs: Sequence[Path],
    output: str | None = None,
    *,
    recursive: bool = False,
    suffix: str = "-clean",
    in_place: bool = False,
    format: str | None = None,
) -> Plan:
    """Return the plan of a run; collisions are found here.

    Parameters
    ----------
    inputs
        Files and folders.
    output
        A file for one input file, a folder otherwise; None puts each result beside its source.
    recursive
        Whether folders are searched to the bottom.
    suffix
        Added to the names of results that lie beside their sources.
    in_place
        Whether results take the place of their sources.
    format
        Name of another format for the results.

    Raises
    ------
    ArgumentError
        If options contradict each other, or two inputs would become one file.
    FileError
        If a folder cannot be read, or two of its pictures would become one file.

    Examples
    --------
    >>> make_plan([Path("a/b.png")]).jobs[0].target.as_posix()
    'a/b-clean.png'
    """
    if in_place and (output is not None or format is not None):
        raise ArgumentError("`in_place` replaces the inputs; leave out `output` and `format`.")
    folders = [path for path in inputs if path.is_dir()]
    if output is not None and len(inputs) == 1 and not folders and not _is_folder(output):
        return _checked([Job(inputs[0], Path(output))], [])
    target = _folder(output)
    options = {"output": target, "suffix": "" if in_place or target else suffix, "format": format}
    files = [path for path in inputs if not path.is_dir()]
    jobs = list(plan_jobs(files, **options))  # type: ignore[arg-type]
    left_out = [path for path in files if path not in {job.source for job in jobs}]
    skipped = [(path, "it is the result of another input") for path in left_out]
    for path in folders:
        found, left = _pictures(path, target, recursive=recursive)
        jobs += plan_jobs(found, root=path, **options)  # type: ignore[arg-type]
        skipped += left
    if in_place:
        links = [job for job in jobs if job.source.is_symlink()]
        skipped += [(job.source, "it is a link, and its file stays in place") for job in links]
        jobs = [job for job in jobs if job not in links]
    ledgers = tuple(folders) if target is None else (target,)
    return _checked(jobs, skipped, ledgers if folders else ())


def _checked(
    jobs: list[Job], skipped: list[tuple[Path, str]], folders: tuple[Path, ...] = ()
) -> Plan:
    unique = tuple(dict.fromkeys(jobs))
    refuse_collisions(unique)
    return Plan(unique, tuple(skipped), folders)


def _is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def _folder(output: str | None) -> Path | None:
    if output is None:
        return None
    path = Path(output)
    if path.exists() and not path.is_dir():
        raise ArgumentError(
            f"`output` must be a folder because there are many inputs; '{output}' is a file."
        )
    return path


def _pictures(
    path: Path, target: Path | None, *, recursive: bool
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the pictures of a folder; the results of an earlier run below it are none."""
    listing = list_images(path, recursive=recursive)
    results = target.resolve() if target else None
    if results is None or results == path.resolve():
        return list(listing.images), list(listing.skipped)
    found = [image for image in listing.images if results not in image.resolve().parents]
    return found, list(listing.skipped)


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
