"""Reads the next picture and writes the last one while one is computed."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quietpixel.errors import FileError, QuietpixelError
from quietpixel.files import Job, Picture, check_writable, read_picture, write_picture
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.folders.ledger import Ledger
from quietpixel.inference.folders.treat import Settings, denoise_picture

IN_FLIGHT = 3
"""Pictures in memory at once: one is read, one computed, one written."""
PATIENCE = 0.5
"""Seconds that an interrupted run waits for the file that is being written."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job: `error` is empty where it went well."""

    job: Job
    error: str = ""
    notes: tuple[str, ...] = ()
    skipped: bool = False
    megapixels: float = 0.0
    seconds: float = 0.0


@dataclass
class _Item:
    job: Job
    picture: Picture | None = None
    error: Exception | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    done: bool = False


def run_jobs(
    denoiser: Denoiser,
    jobs: Sequence[Job],
    settings: Settings,
    *,
    ledger: Ledger | None = None,
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
        What earlier runs did: skipped, and gets what this run does.
    """
    run = _Run(jobs, settings, ledger)
    try:
        yield from run.outcomes(denoiser)
    finally:
        run.stop()


class _Run:
    def __init__(self, jobs: Sequence[Job], settings: Settings, ledger: Ledger | None) -> None:
        self._jobs, self._settings, self._ledger = jobs, settings, ledger
        self._slots = threading.Semaphore(IN_FLIGHT)
        self._read: queue.Queue[_Item | None] = queue.Queue()  # bounded by the slots
        self._treated: queue.Queue[_Item | None] = queue.Queue()
        self._written: queue.Queue[_Item] = queue.Queue()
        self._stopped = threading.Event()
        self._writer = threading.Thread(target=self._write_all, daemon=True)
        self._reader = threading.Thread(target=self._read_all, daemon=True)

    def outcomes(self, denoiser: Denoiser) -> Iterator[Outcome]:
        self._reader.start()
        self._writer.start()
        while (item := self._read.get()) is not None:
            start = time.perf_counter()
            _attempt(item, lambda item: self._treat(denoiser, item))
            item.seconds = time.perf_counter() - start
            self._treated.put(item)
            yield from self._finished()
        self._treated.put(None)
        self._writer.join()
        yield from self._finished()

    def stop(self) -> None:
        self._stopped.set()
        self._slots.release()
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
            _attempt(item, self._read_one)
            self._read.put(item)
        self._read.put(None)

    def _read_one(self, item: _Item) -> None:
        job, settings = item.job, self._settings
        if self._ledger is not None and self._ledger.is_done(job):
            item.done = True
            return
        item.picture = read_picture(job.source, max_pixels=settings.max_pixels)
        check_writable(
            item.picture, job.target, format=settings.format, overwrite=settings.overwrite
        )

    def _treat(self, denoiser: Denoiser, item: _Item) -> None:
        if item.picture is not None:
            item.picture, notes = denoise_picture(denoiser, item.picture, self._settings)
            item.notes = (*item.picture.notes, *notes)

    def _write_all(self) -> None:
        while (item := self._treated.get()) is not None and not self._stopped.is_set():
            _attempt(item, self._write_one)
            self._written.put(item)
            self._slots.release()

    def _write_one(self, item: _Item) -> None:
        if item.picture is None:
            return
        job, settings = item.job, self._settings
        _make_folder(job)
        if self._ledger is not None:
            self._ledger.begin(job)
        item.notes += write_picture(
            item.picture,
            job.target,
            format=settings.format,
            overwrite=settings.overwrite,
            like=job.source,
        )


def _attempt(item: _Item, step: Callable[[_Item], None]) -> None:
    """Take a step unless an earlier one failed; what goes wrong is kept with the item."""
    if item.error is not None:
        return
    try:
        step(item)
    except Exception as error:
        item.error = error
        item.picture = None


def _outcome(item: _Item) -> Outcome:
    error = item.error
    if error is not None and not isinstance(error, QuietpixelError | OSError | MemoryError):
        raise error
    pages = item.picture.pages if item.picture else ()
    return Outcome(
        job=item.job,
        error=_sentence(item.job, error) if error is not None else "",
        notes=item.notes,
        skipped=item.done,
        megapixels=sum(page.shape[0] * page.shape[1] for page in pages) / 1e6,
        seconds=item.seconds,
    )


def _sentence(job: Job, error: Exception) -> str:
    """Return the error's sentence, with the file's name where it does not hold it."""
    if isinstance(error, MemoryError):
        return f"'{job.source}': there is not enough memory for it."
    text = " ".join(str(error).split())
    return text if str(job.source) in text else f"{job.source}: {text}"


def _make_folder(job: Job) -> None:
    folder = job.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder '{folder}' cannot be made: {error.strerror}.") from error
