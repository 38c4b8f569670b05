"""Admission control for concurrent requests."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from statistics import fmean

from quietpixel.web.problems import BusyError


class RequestQueue:
    """A fixed number of slots and a bounded first-in, first-out queue in front of them.

    Parameters
    ----------
    slots
        Requests processed at once.
    limit
        Requests that may wait; further ones are refused with `BusyError`.
    """

    def __init__(self, slots: int, limit: int) -> None:
        self.waiting = 0
        self._slots, self._limit = slots, limit
        self._semaphore = asyncio.Semaphore(slots)
        self._starts: list[float] = []
        self._seconds: deque[float] = deque(maxlen=10)  # of the last requests

    @property
    def working(self) -> int:
        """Number of requests that hold a slot."""
        return len(self._starts)

    @property
    def retry_after(self) -> int:
        """Seconds after which a slot will probably be free for a new request."""
        # A running request may already have taken longer than all before it.
        running = [time.monotonic() - start for start in self._starts]
        seconds = max([fmean(self._seconds or [1.0]), *running])
        return max(1, math.ceil(seconds * (self.waiting + 1) / self._slots))

    def check_room(self) -> None:
        """Raise `BusyError` if the queue is full."""
        if self._semaphore.locked() and self.waiting >= self._limit:
            raise BusyError("waiting", self.retry_after)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block.

        Raises
        ------
        BusyError
            If the queue is full.
        """
        self.check_room()
        self.waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self.waiting -= 1
        start = time.monotonic()
        self._starts.append(start)
        try:
            yield
        finally:
            self._starts.remove(start)
            self._seconds.append(time.monotonic() - start)
            self._semaphore.release()


class MemoryBudget:
    """Bytes of all uploads and results, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit

    def reserve(self, count: int) -> None:
        """Count bytes in.

        Raises
        ------
        BusyError
            If they would exceed the limit; nothing is counted then.
        """
        if self.bytes + count > self._limit:
            raise BusyError("memory", 5)
        self.bytes += count

    def add(self, count: int) -> None:
        """Count bytes in that exist already, beyond the limit if need be."""
        self.bytes += count

    def release(self, count: int) -> None:
        """Count bytes out."""
        self.bytes -= count
