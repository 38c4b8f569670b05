"""Keeps a bounded number of tasks on a cluster, whatever happens to its workers."""

import queue
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from quietpixel.cluster.workers import LOOK_SECONDS, Cluster
from quietpixel.errors import ClusterError

Task = TypeVar("Task")
Notify = Callable[[str], None]
"""Gets a sentence that a person should know at once."""

AHEAD = 2
"""Tasks for each thread of the cluster: one in work, one waiting beside it."""
LEAST = 4
"""Tasks on a cluster that has no worker yet."""
ATTEMPTS = 5
"""How often a task that the scheduler forgot is handed out again."""


_DIED = "each worker that took it died; is it too large for their memory?"


class WorkerDiedError(ClusterError):
    """The workers that took a task died, one after the other."""


@dataclass
class _Pending(Generic[Task]):
    task: Task
    attempts: int = 1
    avoid: frozenset[str] = frozenset()
    choice: frozenset[str] = frozenset()
    """The only workers that may take it; empty where there was none, so that one is asked for."""


class TaskPool(Generic[Task]):
    """Tasks on their way: handed out, watched, handed out again.

    Parameters
    ----------
    cluster
        Where the work is done.
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
        """How many tasks could go to one worker only, for each."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Any]]:
        """Hand tasks out, never more than the cluster keeps busy; yield each with its result.

        A result may be the exception that a task ended with, or a `WorkerDiedError`.

        Raises
        ------
        ClusterError
            If the scheduler is lost, or no worker that is there can be used.
        """
        try:
            while self._fill(tasks):
                found = self._next()
                if found is not None:
                    yield found
        finally:
            self._cancel()

    def again(self, task: Task, *, avoid: str = "") -> None:
        """Hand a task out once more, not to the worker `avoid` if there is another."""
        self._submit(_Pending(task, avoid=frozenset({avoid} - {""})))

    def leave_out(self, address: str, sentence: str) -> None:
        """Give a worker no more tasks as long as there are others, and say why."""
        if address not in self._avoid:
            self._avoid[address] = sentence
            self._notify(sentence)

    def _fill(self, tasks: Iterator[Task]) -> bool:
        """Hand out tasks up to the limit; False if all have come back."""
        threads = self._cluster.threads()
        for address, sentence in self._cluster.unfit.items():
            self.leave_out(address, sentence)
        limit = max(AHEAD * sum(threads.values()), LEAST)
        while len(self._pending) < limit:
            try:
                task = next(tasks)
            except StopIteration:
                break
            self._submit(_Pending(task))
        return bool(self._pending)

    def _submit(self, item: _Pending[Task]) -> None:
        self._cluster.refuse_lost()
        fit = self._cluster.threads()
        choice = frozenset(fit.keys() - self._avoid.keys() - item.avoid) or frozenset(fit)
        submit = self._cluster.client.submit
        if self._shared is None or self._shared.status in ("error", "cancelled", "lost"):
            self._shared = submit(_same, self._content, pure=False, workers=sorted(choice) or None)
            self._shared_choice = choice
            self._placed.clear()
        item.choice = self._place(choice, fit)
        workers = sorted(item.choice) or None
        future = submit(self._function, item.task, self._shared, pure=False, workers=workers)
        self._pending[future.key] = future, item
        future.add_done_callback(self._completed.put)

    def _place(self, choice: frozenset[str], threads: Mapping[str, int]) -> frozenset[str]:
        """Return the workers that may take the next task: at first one, so that all get some.

        The scheduler gives tasks to workers that hold what all have in common; the others would
        wait until they steal one, and get that with it.
        """
        short = [each for each in choice if self._placed[each] < AHEAD * threads[each]]
        if not short:
            return choice
        one = min(short, key=lambda each: (self._placed[each], each))
        self._placed[one] += 1
        return frozenset({one})

    def _next(self) -> tuple[Task, Any] | None:
        """Return a task that came back, or None after a moment without one."""
        try:
            future = self._completed.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            self._rescue(self._cluster.threads(now=True).keys())
            return None
        self._cluster.refuse_lost()
        if future.key not in self._pending:
            return None
        _, item = self._pending.pop(future.key)
        return self._judge(future, item)

    def _rescue(self, there: Set[str]) -> None:
        """Hand out once more what waits for workers that are all gone."""
        everything = bool(self._shared_choice) and self._shared_choice.isdisjoint(there)
        if everything:
            self._shared = None
        for key, (future, item) in list(self._pending.items()):
            if everything or (item.choice and item.choice.isdisjoint(there)):
                del self._pending[key]
                self._cluster.client.cancel([future])
                self._submit(replace(item, avoid=frozenset()))

    def _judge(self, future: Any, item: _Pending[Task]) -> tuple[Task, Any] | None:
        if future.status == "finished":
            return item.task, future.result()
        if future.status != "error":  # the scheduler forgot it: it was restarted
            return self._repeat(item, ClusterError("The scheduler forgot a task again and again."))
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            return item.task, WorkerDiedError(_DIED)
        return item.task, error

    def _repeat(self, item: _Pending[Task], error: BaseException) -> tuple[Task, Any] | None:
        if item.attempts >= ATTEMPTS:
            return item.task, error
        self._submit(replace(item, attempts=item.attempts + 1))
        return None

    def _cancel(self) -> None:
        """Take back what was not begun; what a worker is at ends on its own."""
        futures = [future for future, _ in self._pending.values()]
        self._pending.clear()
        if futures and self._cluster.client.status == "running":
            self._cluster.client.cancel(futures)


def _same(value: Any) -> Any:
    return value
