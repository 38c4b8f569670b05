"""Admission control for concurrent requests."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator

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
        self.working = 0
        self._slots, self._limit = slots, limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = 1.0  # moving average of the time that a slot is held

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block.

        Raises
        ------
        BusyError
            If the queue is full.
        """
        await self._acquire()
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds += 0.2 * (time.monotonic() - start - self._seconds)
            self._release()

    async def _acquire(self) -> None:
        if self.working < self._slots and not self._waiting:
            self.working += 1
            return
        if self.waiting >= self._limit:
            retry_after = math.ceil(self._seconds * (self.waiting + 1) / self._slots)
            raise BusyError("waiting", max(1, retry_after))
        ticket = asyncio.get_running_loop().create_future()
        self._waiting.append(ticket)
        try:
            await ticket  # `_release` passes its slot on
        except asyncio.CancelledError:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif ticket.done() and not ticket.cancelled():  # cancelled just after it got the slot
                self._release()
            raise

    def _release(self) -> None:
        """Pass the slot on to the next waiting request, or free it."""
        while self._waiting:
            ticket = self._waiting.popleft()
            if not ticket.done():
                ticket.set_result(None)
                return
        self.working -= 1


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
