"""Who is served now, who waits, and who is sent away: nothing in the service grows without end."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator

from quietpixel.web.problems import BusyError


class RequestQueue:
    """Places for requests that are worked on, and a line for those that wait.

    Parameters
    ----------
    places
        Requests worked on at once.
    waiting
        The longest line; who comes then is sent away with `BusyError`.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self.working = 0
        self._places, self._longest = places, waiting
        self._line: deque[asyncio.Future[None]] = deque()
        self._seconds = 1.0  # what a turn took lately

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._line)

    @property
    def retry_after(self) -> int:
        """Seconds after which a place will probably be free."""
        return max(1, math.ceil(self._seconds * (self.waiting + 1) / self._places))

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it; whoever stops waiting leaves the line.

        Raises
        ------
        BusyError
            If the line is full.
        """
        await self._enter()
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds += 0.2 * (time.monotonic() - start - self._seconds)
            self._leave()

    async def _enter(self) -> None:
        if self.working < self._places and not self._line:
            self.working += 1
            return
        if len(self._line) >= self._longest:
            raise BusyError("waiting", self.retry_after)
        ticket = asyncio.get_running_loop().create_future()
        self._line.append(ticket)
        try:
            await ticket  # the one who leaves hands over the place
        except asyncio.CancelledError:
            self._forget(ticket)
            raise

    def _leave(self) -> None:
        while self._line:
            ticket = self._line.popleft()
            if not ticket.done():
                ticket.set_result(None)
                return
        self.working -= 1

    def _forget(self, ticket: "asyncio.Future[None]") -> None:
        """Take a ticket out of the line; if it was just called, its place goes to the next."""
        if ticket in self._line:
            self._line.remove(ticket)
        elif ticket.done() and not ticket.cancelled():
            self._leave()


class MemoryBudget:
    """Bytes that uploads and results take together, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit

    def take(self, count: int) -> None:
        """Count bytes in.

        Raises
        ------
        BusyError
            If they would exceed the limit; nothing is counted then.
        """
        if self.bytes + count > self._limit:
            raise BusyError("memory", 5)
        self.bytes += count

    def force(self, count: int) -> None:
        """Count bytes in that are there already."""
        self.bytes += count

    def give(self, count: int) -> None:
        """Count bytes out."""
        self.bytes -= count
