"""Keeps a bounded number of tasks on a cluster, whatever happens to its workers."""

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from quietpixel.cluster.workers import REFRESH_SECONDS, Cluster
from quietpixel.errors import ClusterError

Task = TypeVar("Task")
Notify = Callable[[str], None]
"""Gets a sentence that the user should know at once."""

AHEAD = 2
"""Tasks for each thread of the cluster: one running, one waiting beside it."""
LEAST = 4
"""Tasks at once on a cluster of a single thread."""
ATTEMPTS = 5
"""How often a task that the scheduler forgot is submitted."""


class WorkerDiedError(ClusterError):
    """The workers that took a task died, one after the other."""


@dataclass
class _Pending(Generic[Task]):
    task: Task
    attempts: int = 1
    avoid: frozenset[str] = frozenset()
    choice: frozenset[str] = frozenset()
    """The only workers that may take it."""


class TaskPool(Generic[Task]):
    """Tasks on a cluster: submitted, watched, and submitted again if they are lost.

    Parameters
    ----------
    cluster
        Where the tasks run.
    function
        ``function(task, content)``, called on workers.
    content
        What all tasks have in common.
    notify
        Gets sentences on workers that cannot be used.
    """

    def __init__(
        self,
        cluster: Cluster,
        function: Callable[[Any, Any], Any],
        content: Any,
        notify: Notify = lambda sentence: None,
    ) -> None:
        self._cluster, self._function, self._notify = cluster, function, notify
        self._avoid: dict[str, str] = {}
        self._completed: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pending: dict[str, tuple[Any, _Pending[Task]]] = {}
        self._content = content
        self._shared: Any = None
        self._shared_choice: frozenset[str] = frozenset()
        self._placed: Counter[str] = Counter()
        """Number of tasks restricted to one worker, for each."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Any]]:
        """Submit tasks, only as many as keep the cluster busy; yield each with its result.

        A result may be the exception that a task raised, or a `WorkerDiedError`.

        Raises
        ------
        ClusterError
            If the scheduler is lost, or no connected worker can be used.
        """
        try:
            while self._fill(tasks):
                try:
                    future, fetched = self._completed.get(timeout=REFRESH_SECONDS)
                except queue.Empty:
                    self._rescue(self._cluster.threads(now=True).keys())
                    continue
                self._cluster.refuse_lost()
                # A task that was submitted again may still answer under its old key.
                if future.key in self._pending:
                    _, item = self._pending.pop(future.key)
                    if (result := self._result(fetched, item)) is not None:
                        yield item.task, result[0]
        finally:
            # What a worker is running ends on its own.
            futures = [future for future, _ in self._pending.values()]
            self._pending.clear()
            if futures and self._cluster.client.status == "running":
                self._cluster.client.cancel(futures)

    def again(self, task: Task, *, avoid: str = "") -> None:
        """Submit a task once more, not to the worker `avoid` if there is another."""
        self._submit(_Pending(task, avoid=frozenset({avoid} - {""})))

    def exclude(self, address: str, sentence: str) -> None:
        """Give a worker no more tasks as long as there are others, and say why."""
        if address not in self._avoid:
            self._avoid[address] = sentence
            self._notify(sentence)

    def _fill(self, tasks: Iterator[Task]) -> bool:
        """Submit tasks up to the limit; False if all are completed."""
        threads = self._cluster.threads()
        for address, sentence in self._cluster.unfit.items():
            self.exclude(address, sentence)
        limit = max(AHEAD * sum(threads.values()), LEAST)
        while len(self._pending) < limit:
            try:
                task = next(tasks)
            except StopIteration:
                break
            self._submit(_Pending(task))
        return bool(self._pending)

    def _submit(self, item: _Pending[Task]) -> None:
        # Unpickling a task kills a worker without the package, so none is left to the scheduler
        # for whichever worker comes first.
        while not (threads := self._cluster.threads()):
            time.sleep(REFRESH_SECONDS)
        # If every worker is to be avoided, any may: a poor one is better than none.
        choice = frozenset(threads.keys() - self._avoid.keys() - item.avoid) or frozenset(threads)
        submit = self._cluster.client.submit
        if self._shared is None or self._shared.status in ("error", "cancelled", "lost"):
            self._shared = submit(_same, self._content, pure=False, workers=sorted(choice))
            self._shared_choice = choice
            self._placed.clear()
        item.choice = self._place(choice, threads)
        workers = sorted(item.choice)
        # Not pure: Dask would answer a task that is submitted again with the error of the first.
        future = submit(self._function, item.task, self._shared, pure=False, workers=workers)
        self._pending[future.key] = future, item
        future.add_done_callback(self._fetch)

    def _place(self, choice: frozenset[str], threads: Mapping[str, int]) -> frozenset[str]:
        """Return the workers that may take the next task: at first only one.

        The scheduler prefers workers that hold the shared content; without this, the others would
        wait until they steal a task, and get the content with it.
        """
        short = [each for each in choice if self._placed[each] < AHEAD * threads[each]]
        if not short:
            return choice
        one = min(short, key=lambda each: (self._placed[each], each))
        self._placed[one] += 1
        return frozenset({one})

    def _fetch(self, future: Any) -> None:
        """Fetch the result of a task beside the others.

        `Future.result` would wait without end here: if the only worker that may take the task
        dies before it sends the result, somebody must submit the task again.
        """
        if future.status in ("cancelled", "lost"):
            self._completed.put((future, None))
            return
        fetched = self._cluster.start(self._cluster.client.gather(future, asynchronous=True))
        fetched.add_done_callback(lambda done: self._completed.put((future, done)))

    def _rescue(self, connected: Set[str]) -> None:
        """Submit again what waits for workers that are all gone."""
        everything = self._shared_choice.isdisjoint(connected)
        if everything:
            self._shared = None
        for key, (future, item) in list(self._pending.items()):
            if everything or item.choice.isdisjoint(connected):
                del self._pending[key]
                self._cluster.client.cancel([future])
                self._submit(replace(item, avoid=frozenset()))

    def _result(self, fetched: Any, item: _Pending[Task]) -> tuple[Any] | None:
        """Return a result or error in a tuple; None if the task was submitted again."""
        lost = fetched is None or fetched.cancelled()
        error = None if lost else fetched.exception()
        if lost or isinstance(error, CancelledError):  # the scheduler was restarted
            if item.attempts >= ATTEMPTS:
                return (ClusterError("The scheduler lost the same task several times."),)
            self._submit(replace(item, attempts=item.attempts + 1))
            return None
        # The client may notice only later that the scheduler is gone.
        if type(error).__name__ == "CommClosedError":
            raise self._cluster.lost()
        if type(error).__name__ == "KilledWorker":
            return (WorkerDiedError("each worker that took it died; does it need more memory?"),)
        return (fetched.result() if error is None else error,)


def _same(value: Any) -> Any:
    return value
