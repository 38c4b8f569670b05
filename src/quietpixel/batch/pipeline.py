"""Reads the next picture and writes the last one while one is computed."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from quietpixel.batch.denoise import Findings, Settings, denoise_picture
from quietpixel.batch.ledger import Ledger
from quietpixel.batch.side_by_side import compare_pictures
from quietpixel.errors import FileError, QuietpixelError
from quietpixel.files import (
    Job,
    Picture,
    check_writable,
    read_picture,
    remove_leftovers,
    write_picture,
)
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.job import OnProgress


class MemoryBudget:
    """A number of bytes to take from and give back to; one picture alone may exceed it.

    Parameters
    ----------
    size
        Bytes that all takers may hold together.

    Examples
    --------
    >>> room = MemoryBudget(100)
    >>> room.take(250), room.give(250), room.take(60)
    (True, None, True)
    """

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait until there is room for `size` bytes, or nobody holds any; False if closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(size))
            if not self._closed:
                self._used += size
            return not self._closed

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Wake up whoever waits, and let nobody take any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._size


Treat = Callable[[Picture], tuple[Picture, Findings]]

IN_FLIGHT = 3
"""Pictures in memory at once: one is read, one computed, one written. Fewer, where they and their
results would take more bytes than the denoiser's `memory`; one alone may."""
PATIENCE = 0.5
"""Seconds that an interrupted run waits for the file that is being written."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    job
        What was read and where it went.
    error
        Why it failed, a sentence; empty where it went well.
    notes
        Sentences on what a person should know.
    findings
        Noise level and scale of each page.
    skipped
        Whether an earlier run had done it.
    megapixels
        Size of all its pages.
    read_seconds, compute_seconds, write_seconds
        How long each step took; those of one job follow each other, of several they overlap.
    """

    job: Job
    error: str = ""
    notes: tuple[str, ...] = ()
    findings: Findings = field(default_factory=Findings)
    skipped: bool = False
    megapixels: float = 0.0
    read_seconds: float = 0.0
    compute_seconds: float = 0.0
    write_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """All three steps together."""
        return self.read_seconds + self.compute_seconds + self.write_seconds


@dataclass
class _Item:
    job: Job
    picture: Picture | None = None
    comparison: Picture | None = None
    error: Exception | None = None
    notes: tuple[str, ...] = ()
    findings: Findings = field(default_factory=Findings)
    size: int = 0
    waited: float = 0.0
    megapixels: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


def run_jobs(
    denoiser: Denoiser,
    jobs: Sequence[Job],
    settings: Settings,
    *,
    ledger: Ledger | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Outcome]:
    """Denoise files; yield what became of each as soon as its result is in place.

    A file that cannot be read, treated or written does not stop the others.

    Parameters
    ----------
    denoiser
        Called in the caller's thread.
    jobs
        What is read and where it goes; folders for the results are made.
    settings
        How pictures are read, treated and written.
    ledger
        Gets a line for each result before it is put in place.
    on_progress
        Called with the share done of the picture that is being computed.
    """
    run = _Run(jobs, settings, ledger, denoiser.memory)

    def treat(picture: Picture) -> tuple[Picture, Findings]:
        reuse = settings.compare is None
        return denoise_picture(denoiser, picture, settings, on_progress=on_progress, reuse=reuse)

    try:
        yield from run.outcomes(treat)
    finally:
        run.stop()


class _Run:
    def __init__(
        self, jobs: Sequence[Job], settings: Settings, ledger: Ledger | None, memory: int
    ) -> None:
        self._jobs, self._settings, self._ledger = jobs, settings, ledger
        self._slots = threading.Semaphore(IN_FLIGHT)
        self._memory = MemoryBudget(memory)
        self._read: queue.Queue[_Item | None] = queue.Queue()  # bounded by the slots
        self._treated: queue.Queue[_Item | None] = queue.Queue()
        self._written: queue.Queue[_Item] = queue.Queue()
        self._stopped = threading.Event()
        self._writer = threading.Thread(target=self._write_all, daemon=True)
        self._reader = threading.Thread(target=self._read_all, daemon=True)

    def outcomes(self, treat: Treat) -> Iterator[Outcome]:
        self._reader.start()
        self._writer.start()
        while (item := self._read.get()) is not None:
            _attempt("compute", item, partial(self._compute, treat))
            self._treated.put(item)
            yield from self._finished()
        self._treated.put(None)
        self._writer.join()
        yield from self._finished()

    def stop(self) -> None:
        self._stopped.set()
        self._slots.release()
        self._memory.close()
        self._treated.put(None)
        if self._writer.is_alive():
            self._writer.join(PATIENCE)

    def _finished(self) -> Iterator[Outcome]:
        while not self._written.empty():
            yield _outcome(self._written.get())

    def _read_all(self) -> None:
        for job in self._jobs:
            self._slots.acquire()
            if self._stopped.is_set():
                return
            item = _Item(job)
            _attempt("read", item, self._read_one)
            self._read.put(item)
        self._read.put(None)

    def _read_one(self, item: _Item) -> None:
        job, settings = item.job, self._settings

        def reserve(size: int) -> None:
            start = time.perf_counter()
            item.size = 2 * size if self._memory.take(2 * size) else 0  # the picture and its result
            item.waited = time.perf_counter() - start

        item.picture = read_picture(job.source, max_pixels=settings.max_pixels, reserve=reserve)
        check_writable(
            item.picture, job.target, format=settings.format, overwrite=settings.overwrite
        )
        item.megapixels = sum(page.shape[0] * page.shape[1] for page in item.picture.pages) / 1e6

    def _compute(self, treat: Treat, item: _Item) -> None:
        before = item.picture
        assert before is not None
        item.picture, item.findings = treat(before)
        item.notes = (*before.notes, *item.findings.notes)
        if self._settings.compare is not None:
            item.comparison, note = compare_pictures(before, item.picture, self._settings.compare)
            item.notes += (note,)

    def _write_all(self) -> None:
        while (item := self._treated.get()) is not None and not self._stopped.is_set():
            _attempt("write", item, self._write_one)
            item.picture = item.comparison = None  # outcomes may wait long to be looked at
            self._memory.give(item.size)
            self._written.put(item)
            self._slots.release()

    def _write_one(self, item: _Item) -> None:
        job, settings = item.job, self._settings
        assert item.picture is not None
        make_folder(job.target.parent)
        if item.comparison is not None and settings.compare is not None:
            make_folder(settings.compare.parent)
            write_picture(item.comparison, settings.compare, overwrite=settings.overwrite)
        if self._ledger is not None:
            self._ledger.begin(job)
        item.notes += write_picture(
            item.picture,
            job.target,
            format=settings.format,
            quality=settings.quality,
            overwrite=settings.overwrite,
            like=job.source,
        )


def _attempt(name: str, item: _Item, step: Callable[[_Item], None]) -> None:
    """Take a step unless an earlier one failed; what goes wrong is kept with the item."""
    if item.error is not None:
        return
    start = time.perf_counter()
    try:
        step(item)
    except Exception as error:
        item.error = error
        item.picture = item.comparison = None
    item.seconds[name] = time.perf_counter() - start


def _outcome(item: _Item) -> Outcome:
    error = item.error
    if error is not None and not isinstance(error, QuietpixelError | OSError | MemoryError):
        raise error
    return Outcome(
        job=item.job,
        error=_sentence(item.job, error) if error is not None else "",
        notes=item.notes,
        findings=item.findings,
        megapixels=item.megapixels,
        read_seconds=item.seconds.get("read", 0.0) - item.waited,
        compute_seconds=item.seconds.get("compute", 0.0),
        write_seconds=item.seconds.get("write", 0.0),
    )


def _sentence(job: Job, error: Exception) -> str:
    """Return the error's sentence, with the file's name where it does not hold it."""
    if isinstance(error, MemoryError):
        return f"'{job.source}': there is not enough memory for it."
    text = " ".join(str(error).split())
    return text if str(job.source) in text else f"{job.source}: {text}"


def make_folder(folder: Path) -> None:
    """Make a folder for results unless it is there, or raise FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder '{folder}' cannot be made: {error.strerror}.") from error


def denoise_one(
    denoiser: Denoiser,
    source: Path | bytes,
    target: Path | BinaryIO,
    settings: Settings,
) -> Outcome:
    """Denoise a picture into a file or a stream; the job of the outcome calls a stream ``-``."""
    start = time.perf_counter()
    picture = read_picture(source, max_pixels=settings.max_pixels)
    check_writable(picture, target, format=settings.format, overwrite=settings.overwrite)
    ready = time.perf_counter()
    clean, findings = denoise_picture(denoiser, picture, settings, reuse=settings.compare is None)
    computed = time.perf_counter()
    notes = (*picture.notes, *findings.notes)
    if settings.compare is not None:
        comparison, note = compare_pictures(picture, clean, settings.compare)
        write_picture(comparison, settings.compare, overwrite=settings.overwrite)
        notes += (note,)
    if isinstance(target, Path):
        make_folder(target.parent)
        remove_leftovers(target.parent)
    notes += write_picture(
        clean,
        target,
        format=settings.format,
        quality=settings.quality,
        overwrite=settings.overwrite,
        like=source if isinstance(source, Path) else None,
    )
    return Outcome(
        Job(*(each if isinstance(each, Path) else Path("-") for each in (source, target))),
        notes=notes,
        findings=findings,
        megapixels=sum(page.shape[0] * page.shape[1] for page in clean.pages) / 1e6,
        read_seconds=ready - start,
        compute_seconds=computed - ready,
        write_seconds=time.perf_counter() - computed,
    )
