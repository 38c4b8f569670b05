"""Many files on a cluster, with the plan, the ledger and the pipeline of one machine."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quietpixel.batch import pipeline
from quietpixel.batch.denoise import Settings
from quietpixel.batch.ledger import Ledger
from quietpixel.batch.pipeline import Outcome
from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.task_pool import Notify, TaskPool, WorkerDiedError
from quietpixel.cluster.worker_model import TravellingModel, open_model
from quietpixel.cluster.workers import Cluster
from quietpixel.errors import FileError
from quietpixel.files import Content, Job, inspect_content

MOST_FILES = 16
"""Most files in one task, which saves the scheduler time where they are small."""
MOST_BYTES = 4_000_000
"""Most bytes of files in one task, so that large ones are spread evenly."""
SHARES = 8
"""Least tasks for each thread, so that all threads finish at nearly the same time."""


@dataclass(frozen=True)
class Item:
    """One job as a worker gets it.

    Parameters
    ----------
    job
        With absolute paths.
    shown
        The job as the user named it.
    before
        The `stamp` of the result's place when the task was submitted; anything else there now is
        from an earlier attempt, whose worker died before it could answer.
    """

    job: Job
    shown: Job
    before: tuple[int, int] | None


@dataclass(frozen=True)
class Answer:
    """The answer of a worker about one item.

    Parameters
    ----------
    outcome
        As on one machine.
    found
        Whether the place of the result had changed.
    worker
        Its address.
    result
        The content of the result that it made.
    """

    outcome: Outcome
    found: bool = False
    worker: str = ""
    result: Content | None = None


class _Guard:
    """Stands in for a ledger; refuses to replace a result that appeared in the meantime."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._before = {item.job: item.before for item in items}
        self.found: set[Job] = set()
        self.results: dict[Job, Content | None] = {}

    def changed(self, job: Job) -> bool:
        if stamp(job.target) != self._before[job]:
            self.found.add(job)
        return job in self.found

    def is_result(self, job: Job) -> bool:
        return inspect_content(job.source).marked

    def begin(self, job: Job, result: Content | None = None) -> None:
        # Right before the result is put in place, which may be long after the first check.
        if self.changed(job):
            raise FileError(f"'{job.target}' already exists; use `overwrite` to replace it.")
        self.results[job] = result


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from a later one; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size


def denoise_items(items: Sequence[Item], shared: tuple[TravellingModel, Settings]) -> list[Answer]:
    """Denoise some files one after the other; called on a worker."""
    model, settings = shared
    guard = _Guard(items)
    left = [item.job for item in items if not guard.changed(item.job)]
    outcomes = {}
    if left:
        run = pipeline.run_jobs(open_model(model), left, settings, ledger=guard)
        outcomes = {outcome.job: outcome for outcome in run}
    try:
        here = str(need("distributed").get_worker().address)
    except ValueError:  # called in the user's own process
        here = ""
    return [
        Answer(
            outcomes.get(item.job, Outcome(item.job)),
            item.job in guard.found,
            here,
            guard.results.get(item.job),
        )
        for item in items
    ]


def run_jobs(
    cluster: Cluster,
    model: TravellingModel,
    jobs: Sequence[Job],
    settings: Settings,
    *,
    ledger: Ledger | None = None,
    notify: Notify = lambda sentence: None,
) -> Iterator[Outcome]:
    """Denoise files on a cluster; yield the outcome of each as soon as its result is in place.

    A job whose worker dies is done by another one. A result that is in place is never computed
    again, and an image is never denoised twice in its own place.

    Parameters
    ----------
    cluster
        Its workers must find the files under the same paths.
    model
        What workers open, once each.
    jobs, settings, ledger
        As on one machine; the ledger is written here, so that only one process writes it.
    notify
        Gets sentences on workers that cannot be used.

    Raises
    ------
    ClusterError
        If the scheduler is lost, or no worker can do the work.
    """
    if jobs:
        # The folder of the result may not exist yet, but one above it does.
        source, target = _full(jobs[0].source), _full(jobs[0].target)
        above = next(filter(Path.is_dir, target.parents), target.parent)
        cluster.check_folders(list(dict.fromkeys([source.parent, above])))
    travelling = replace(
        settings,
        compare=settings.compare and _full(settings.compare),
        uncertainty=settings.uncertainty and _full(settings.uncertainty),
    )
    pool: TaskPool[tuple[Item, ...]] = TaskPool(cluster, denoise_items, (model, travelling), notify)
    run = _Run(cluster, pool, settings, ledger)
    for items, result in pool.run(run.tasks(jobs)):
        yield from run.settle(items, result)


class _Run:
    """Turns the answers of workers into outcomes."""

    def __init__(
        self,
        cluster: Cluster,
        pool: "TaskPool[tuple[Item, ...]]",
        settings: Settings,
        ledger: Ledger | None,
    ) -> None:
        self._cluster, self._pool = cluster, pool
        self._settings, self._ledger = settings, ledger
        self._lost_before: frozenset[str] = cluster.lost_workers()
        self._failed: dict[Job, Answer] = {}

    def tasks(self, jobs: Sequence[Job]) -> Iterator[tuple[Item, ...]]:
        """Yield the jobs, small files together; each gets its line in the ledger."""
        threads = max(sum(self._cluster.threads().values()), 1)
        most = min(max(len(jobs) // (SHARES * threads), 1), MOST_FILES)
        return (tuple(self._item(job) for job in some) for some in _together(jobs, most))

    def settle(self, items: tuple[Item, ...], result: Any) -> Iterator[Outcome]:
        """Yield the outcomes of a task, or submit it again."""
        if isinstance(result, WorkerDiedError):
            for item in items:
                if len(items) > 1:  # one of them may be too large; the others need not suffer
                    self._pool.again((item,))
                else:
                    yield Outcome(item.shown, error=f"{item.shown.source}: {result}.")
            return
        if isinstance(result, BaseException):
            raise result
        for item, answer in zip(items, result, strict=True):
            if (outcome := self._settle_one(item, answer)) is not None:
                yield outcome

    def _settle_one(self, item: Item, answer: Answer) -> Outcome | None:
        if answer.found:
            return self._settle_found(item)
        earlier = self._failed.pop(item.job, None)
        if earlier is not None and not answer.outcome.error:
            reason = earlier.outcome.error
            self._pool.exclude(
                earlier.worker, f"The worker {earlier.worker} gets no more work: {reason}"
            )
        elif (
            earlier is None
            # Only the writing failed, and another worker may have a better disk.
            and answer.outcome.error
            and answer.outcome.write_seconds > 0
            and len(self._cluster.threads()) > 1
        ):
            self._failed[item.job] = answer
            self._pool.again((self._item(item.shown),), avoid=answer.worker)
            return None
        if self._ledger is not None and answer.result is not None and not answer.outcome.error:
            self._ledger.begin(item.shown, answer.result)
        error = answer.outcome.error
        for place in ("source", "target"):  # the user did not give absolute paths
            named = str(getattr(item.shown, place))
            error = error.replace(str(getattr(item.job, place)), named)
        return replace(answer.outcome, job=item.shown, error=error)

    def _settle_found(self, item: Item) -> Outcome | None:
        """Return the outcome of a result that was there before the task ran."""
        if self._cluster.lost_workers() - self._lost_before:
            return Outcome(item.shown)  # its worker died before it could answer
        if self._settings.overwrite and item.job.source != item.job.target:
            self._pool.again((self._item(item.shown),))
            return None
        return Outcome(
            item.shown,
            error=f"'{item.shown.target}' was put there by another program during the work.",
        )

    def _item(self, job: Job) -> Item:
        # Before the task is submitted: a run that is killed then knows what may be unfinished.
        if self._ledger is not None:
            self._ledger.begin(job)
        whole = Job(_full(job.source), _full(job.target))
        return Item(whole, job, stamp(whole.target))


def _together(jobs: Sequence[Job], most: int) -> Iterator[list[Job]]:
    some: list[Job] = []
    total = 0
    for job in jobs:
        # A file that is gone counts as nothing here; the worker that opens it reports it.
        _, size = stamp(job.source) or (0, 0)
        if some and (total + size > MOST_BYTES or len(some) == most):
            yield some
            some, total = [], 0
        some.append(job)
        total += size
    if some:
        yield some


def _full(path: Path) -> Path:
    """Make a path absolute without following links, which keep their meaning."""
    return Path(os.path.abspath(path))
