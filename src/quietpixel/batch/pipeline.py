"""Reads the next picture and writes the last one while one is being denoised."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from quietpixel.batch.denoise import (
    Findings,
    Settings,
    denoise_picture,
    make_folder,
    write_result,
)
from quietpixel.batch.ledger import RESULT
from quietpixel.errors import FileError, QuietpixelError
from quietpixel.files import (
    Content,
    Job,
    Picture,
    check_replaceable,
    check_target,
    check_writable,
    inspect_content,
    read_picture,
    remove_leftovers,
)
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.job import OnProgress

AT_ONCE, SMALL = 2, 4.0
"""Pictures of so many megapixels at most that are prepared, denoised and converted at once: one
goes through the engine meanwhile. Of larger ones, tiles are."""
IN_FLIGHT = AT_ONCE + 2
"""Pictures in memory at once: one is read and one written, too. Fewer, where they and their results
would take more bytes than the denoiser's `memory`; a single one may."""
STOP_SECONDS = 0.5
"""How long an interrupted run waits for the file that is being written."""


class Journal(Protocol):
    """What is notified of each result, such as a `Ledger`."""

    def is_result(self, job: Job) -> bool:
        """Return whether the job's source is itself a result."""

    def begin(self, job: Job, result: Content | None = None) -> None:
        """Note that the job's result is about to be put in place; an error prevents it."""


class MemoryBudget:
    """A number of bytes to take from and give back to; a single picture may exceed it.

    Parameters
    ----------
    size
        Bytes that all takers may hold together.

    Examples
    --------
    >>> budget = MemoryBudget(100)
    >>> budget.take(250), budget.give(250), budget.take(60)
    (True, None, True)
    """

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait until `size` bytes are free, or nobody holds any; False if closed."""

        def ready() -> bool:
            return self._closed or self._used == 0 or self._used + size <= self._size

        with self._changed:
            self._changed.wait_for(ready)
            if not self._closed:
                self._used += size
            return not self._closed

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all who wait, and let nobody take any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass(frozen=True)
class Outcome:
    """The result of one job.

    Parameters
    ----------
    job
        What was read and where it went.
    error
        Why it failed, a sentence; empty where it succeeded.
    notes
        Sentences on what a user should know.
    findings
        Noise level and scale of each page.
    skipped
        Whether an earlier run did it.
    megapixels
        Size of all its pages.
    jpeg_quality, size_ratio
        Quality of a JPEG result, and its size relative to that of the source file.
    read_seconds, compute_seconds, write_seconds
        Duration of each step; those of several jobs overlap.
    """

    job: Job
    error: str = ""
    notes: tuple[str, ...] = ()
    findings: Findings = field(default_factory=Findings)
    skipped: bool = False
    megapixels: float = 0.0
    jpeg_quality: int | None = None
    size_ratio: float | None = None
    read_seconds: float = 0.0
    compute_seconds: float = 0.0
    write_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Duration of all three steps."""
        return self.read_seconds + self.compute_seconds + self.write_seconds


@dataclass
class _Item:
    job: Job
    source: Path | bytes
    target: Path | BinaryIO
    picture: Picture | None = None
    error: Exception | None = None
    reserved: int = 0
    waited: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of the outcome, as far as they are known."""

    def attempt(self, name: str, step: Callable[["_Item"], None]) -> None:
        """Take a step unless an earlier one failed; keep its error."""
        if self.error is not None:
            return
        start = time.perf_counter()
        try:
            step(self)
        except Exception as error:
            self.error, self.picture = error, None
        seconds = time.perf_counter() - start
        self.facts[f"{name}_seconds"] = seconds - (self.waited if name == "read" else 0.0)

    def outcome(self) -> Outcome:
        """Return what is to be reported; raise an error that no file explains."""
        text, error = "", self.error
        if isinstance(error, MemoryError):
            text = f"'{self.job.source}': there is not enough memory for it."
        elif isinstance(error, QuietpixelError | OSError):
            text = str(error).strip()
            if str(self.job.source) not in text:
                text = f"{self.job.source}: {text}"
        elif error is not None:
            raise error
        return Outcome(self.job, text, **self.facts)


class _Steps:
    """The three steps of a job, each called in a thread of its own."""

    def __init__(
        self,
        denoiser: Denoiser,
        settings: Settings,
        ledger: Journal | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.memory = MemoryBudget(denoiser.memory)
        self._denoiser, self._settings = denoiser, settings
        self._ledger, self._on_progress = ledger, on_progress

    def read(self, item: _Item) -> None:
        settings = self._settings

        def reserve(size: int) -> None:
            start = time.perf_counter()
            both = 2 * size  # the picture and its result
            item.reserved = both if self.memory.take(both) else 0
            item.waited = time.perf_counter() - start

        picture = read_picture(
            item.source,
            max_pixels=settings.max_pixels,
            reserve=reserve,
            axes=settings.options.axes,
            part=settings.part,
        )
        if isinstance(item.source, Path) and isinstance(item.target, Path):
            check_target(picture.format, item.source, item.target)
        check_writable(
            settings.expected(picture),
            item.target,
            format=settings.format,
            overwrite=settings.overwrite,
        )
        if isinstance(item.source, Path) and item.source.resolve() == item.job.target.resolve():
            check_replaceable(item.source, picture.lost)
        # Once it is read: since it was planned, a run in place may have replaced it.
        known = None if settings.again or isinstance(item.source, bytes) else self._ledger
        if known is not None and known.is_result(item.job):
            raise FileError(RESULT.format(item.source))
        item.picture = picture
        pixels = sum(page.shape[0] * page.shape[1] for page in picture.pages)
        item.facts["megapixels"] = pixels / 1e6

    def compute(self, item: _Item) -> None:
        before = item.picture
        assert before is not None
        item.picture, findings = denoise_picture(
            self._denoiser, before, self._settings, on_progress=self._on_progress, reuse=True
        )
        item.facts |= {"findings": findings, "notes": (*before.notes, *findings.notes)}

    def write(self, item: _Item) -> None:
        settings = self._settings
        assert item.picture is not None
        backup = None
        if isinstance(item.target, Path):
            make_folder(item.target.parent)
            backup = settings.backup_of(item.target)

        def begin(file: BinaryIO) -> None:
            if self._ledger is not None:
                self._ledger.begin(item.job, inspect_content(file))

        options: dict[str, Any] = {
            "overwrite": settings.overwrite,
            "like": item.source if isinstance(item.source, Path) else None,
            "backup": backup,
            "on_complete": begin,
        }
        # Now, because in place the source is replaced.
        before = item.source.stat().st_size if isinstance(item.source, Path) else len(item.source)
        notes, jpeg = write_result(item.picture, item.source, item.target, settings, **options)
        item.facts["notes"] += notes
        if jpeg is not None:
            item.facts["jpeg_quality"] = jpeg.quality
            if isinstance(item.target, Path):  # a stream cannot say how much it took
                item.facts["size_ratio"] = item.target.stat().st_size / before


def run_jobs(
    denoiser: Denoiser,
    jobs: Sequence[Job],
    settings: Settings,
    *,
    ledger: Journal | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Outcome]:
    """Denoise files; yield the outcome of each as soon as its result is in place.

    A file that cannot be read, denoised or written does not stop the others.

    Parameters
    ----------
    denoiser
        Called in the caller's thread for large pictures, in others for small ones.
    jobs
        What is read and where it goes; folders for the results are made.
    settings
        How pictures are read, denoised and written.
    ledger
        Gets a line for each result before it is put in place.
    on_progress
        Called with the share done of the current picture.
    """
    run = _Run(jobs, _Steps(denoiser, settings, ledger, on_progress))
    try:
        yield from run.outcomes()
    finally:
        run.stop()


class _Run:
    """A thread that reads and one that writes; small pictures are computed in a pool."""

    def __init__(self, jobs: Sequence[Job], steps: _Steps) -> None:
        self._jobs, self._steps = jobs, steps
        self._slots = threading.Semaphore(IN_FLIGHT)
        self._read: queue.Queue[_Item | None] = queue.Queue()  # bounded by the slots
        self._computed: queue.Queue[tuple[_Item, Future[None] | None] | None] = queue.Queue()
        self._written: queue.Queue[_Item] = queue.Queue()
        self._stopped = threading.Event()
        # Daemons, so that an interrupted process does not wait for them.
        self._writer = threading.Thread(target=self._write_all, daemon=True)

    def outcomes(self) -> Iterator[Outcome]:
        threading.Thread(target=self._read_all, daemon=True).start()
        self._writer.start()
        with ThreadPoolExecutor(AT_ONCE, "quietpixel-compute") as pool:
            small: list[Future[None]] = []
            while (item := self._read.get()) is not None:
                if item.facts.get("megapixels", 0.0) <= SMALL:
                    small = [each for each in small if not each.done() or each.result()]
                    small.append(pool.submit(item.attempt, "compute", self._steps.compute))
                    self._computed.put((item, small[-1]))
                else:
                    wait(small)
                    item.attempt("compute", self._steps.compute)
                    self._computed.put((item, None))
                yield from self._finished()
        self._computed.put(None)
        self._writer.join()
        yield from self._finished()

    def stop(self) -> None:
        self._stopped.set()
        # Both wake the reader, which may wait for a slot or for memory.
        self._slots.release()
        self._steps.memory.close()
        self._computed.put(None)
        if self._writer.is_alive():
            self._writer.join(STOP_SECONDS)

    def _finished(self) -> Iterator[Outcome]:
        while not self._written.empty():
            yield self._written.get().outcome()

    def _read_all(self) -> None:
        for job in self._jobs:
            self._slots.acquire()
            if self._stopped.is_set():
                return
            item = _Item(job, job.source, job.target)
            item.attempt("read", self._steps.read)
            self._read.put(item)
        self._read.put(None)

    def _write_all(self) -> None:
        while (work := self._computed.get()) is not None and not self._stopped.is_set():
            item, computed = work
            if computed is not None:
                wait([computed])
            item.attempt("write", self._steps.write)
            item.picture = None  # the caller may take its time over the outcomes
            self._steps.memory.give(item.reserved)
            self._written.put(item)
            self._slots.release()


def denoise_one(
    denoiser: Denoiser,
    source: Path | bytes,
    target: Path | BinaryIO,
    settings: Settings,
    ledger: Journal | None = None,
) -> Outcome:
    """Denoise a picture into a file or a stream; the job of the outcome calls a stream ``-``.

    Errors are raised, unlike those of `run_jobs`.
    """
    job = Job(*(each if isinstance(each, Path) else Path("-") for each in (source, target)))
    item, steps = _Item(job, source, target), _Steps(denoiser, settings, ledger)
    if isinstance(target, Path) and target.parent.is_dir():
        remove_leftovers(target.parent)
    item.attempt("read", steps.read)
    item.attempt("compute", steps.compute)
    item.attempt("write", steps.write)
    if item.error is not None:
        raise item.error
    return item.outcome()
