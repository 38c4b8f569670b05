"""Keeps a bounded number of tasks on a cluster, whatever happens to its workers."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import quietpixel
from quietpixel.cluster.connect import LOOK_SECONDS, Cluster
from quietpixel.errors import ClusterError

Task = TypeVar("Task")
Tell = Callable[[str], None]
"""Gets a sentence that a person should know at once."""

AHEAD = 2
"""Tasks for each thread of the cluster: one in work, one waiting beside it."""
LEAST = 4
"""Tasks on a cluster that has no worker yet."""
ATTEMPTS = 5
"""How often a task that no worker could begin is handed out again."""


_DIED = "each worker that took it died; is it too large for their memory?"


class WorkerDiedError(ClusterError):
    """The workers that took a task died, one after the other."""


class OtherVersionError(Exception):
    """Raised on a worker whose version is another."""


@dataclass(frozen=True)
class Shared:
    """What all tasks of a run have in common; it travels to each worker once.

    Parameters
    ----------
    content
        What the function gets as its second argument.
    version
        The version of whoever asks.
    """

    content: Any
    version: str = field(default_factory=lambda: quietpixel.__version__)


def carry_out(function: Callable[[Any, Any], Any], task: Any, shared: Shared) -> Any:
    """Return what `function` makes of a task; called on a worker."""
    if shared.version != quietpixel.__version__:
        raise OtherVersionError(quietpixel.__version__)
    return function(task, shared.content)


@dataclass
class _Aloft(Generic[Task]):
    task: Task
    attempts: int = 1
    avoid: frozenset[str] = frozenset()


class Flight(Generic[Task]):
    """Tasks on their way: handed out, watched, handed out again.

    Parameters
    ----------
    cluster
        Where the work is done.
    function
        ``function(task, content)``, called on workers.
    content
        What all tasks have in common.
    tell
        Gets sentences on workers that cannot be used.
    """

    def __init__(
        self,
        cluster: Cluster,
        function: Callable[[Any, Any], Any],
        content: Any,
        tell: Tell = lambda sentence: None,
    ) -> None:
        self._cluster, self._function, self._tell = cluster, function, tell
        self._avoid: dict[str, str] = {}
        self._landed: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._aloft: dict[str, tuple[Any, _Aloft[Task]]] = {}
        self._shared = cluster.client.submit(_same, Shared(content), pure=False)

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
        self._submit(_Aloft(task, avoid=frozenset({avoid} - {""})))

    def leave_out(self, address: str, sentence: str) -> None:
        """Give a worker no more tasks as long as there are others, and say why."""
        if address not in self._avoid:
            self._avoid[address] = sentence
            self._tell(sentence)

    def _fill(self, tasks: Iterator[Task]) -> bool:
        """Hand out tasks up to the limit; False if all have come back."""
        threads = self._cluster.look()
        limit = max(AHEAD * sum(threads.values()), LEAST)
        while len(self._aloft) < limit:
            try:
                task = next(tasks)
            except StopIteration:
                break
            self._submit(_Aloft(task))
        return bool(self._aloft)

    def _submit(self, item: _Aloft[Task]) -> None:
        self._cluster.refuse_lost()
        left = self._cluster.look().keys() - self._avoid.keys() - item.avoid
        choice: dict[str, Any] = {}
        if left and (self._avoid or item.avoid):
            choice = {"workers": sorted(left), "allow_other_workers": True}
        future = self._cluster.client.submit(
            carry_out, self._function, item.task, self._shared, pure=False, **choice
        )
        self._aloft[future.key] = future, item
        future.add_done_callback(self._landed.put)

    def _next(self) -> tuple[Task, Any] | None:
        """Return a task that came back, or None after a moment without one."""
        try:
            future = self._landed.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            self._cluster.look(now=True)
            return None
        self._cluster.refuse_lost()
        if future.key not in self._aloft:
            return None
        _, item = self._aloft.pop(future.key)
        return self._judge(future, item)

    def _judge(self, future: Any, item: _Aloft[Task]) -> tuple[Task, Any] | None:
        if future.status == "finished":
            return item.task, future.result()
        if future.status != "error":  # the scheduler forgot it: it was restarted
            return self._repeat(item, ClusterError("The scheduler forgot a task again and again."))
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            return item.task, WorkerDiedError(_DIED)
        unfit = isinstance(error, ImportError | AttributeError | OtherVersionError)
        if unfit and self._learn_unfit():
            return self._repeat(item, error)
        return item.task, error

    def _repeat(self, item: _Aloft[Task], error: BaseException) -> tuple[Task, Any] | None:
        if item.attempts >= ATTEMPTS:
            return item.task, error
        self._submit(_Aloft(item.task, item.attempts + 1, item.avoid))
        return None

    def _learn_unfit(self) -> bool:
        """Find workers that cannot do the work; False if there are none, an error if only such."""
        unfit = self._cluster.unfit_workers()
        for address, sentence in unfit.items():
            self.leave_out(address, sentence)
        if unfit and not self._cluster.look(now=True).keys() - unfit.keys():
            raise ClusterError(next(iter(unfit.values())))
        return bool(unfit)

    def _cancel(self) -> None:
        """Take back what was not begun; what a worker is at ends on its own."""
        futures = [future for future, _ in self._aloft.values()]
        self._aloft.clear()
        if futures and self._cluster.client.status == "running":
            self._cluster.client.cancel(futures)


def _same(value: Any) -> Any:
    return value
