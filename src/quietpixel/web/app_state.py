"""Brings work to the threads: waits for a turn, follows it, ends it when the client has gone."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from quietpixel.errors import QuietpixelError
from quietpixel.web.metrics import Metrics
from quietpixel.web.models import Models
from quietpixel.web.options import Options
from quietpixel.web.problems import BusyError, ClientGoneError, FaultError, RefusalError
from quietpixel.web.request_queue import MemoryBudget, RequestQueue
from quietpixel.web.uploads import Upload, receive_upload

Answer = TypeVar("Answer")

log = logging.getLogger("quietpixel.web")

QUICK = 8
"""The longest line of previews: newer ones replace them anyway."""


class StoppedError(Exception):
    """The work was ended because nobody waits for it."""


class Watch:
    """What work calls now and then with the share done; it ends the work when it is told to."""

    def __init__(self) -> None:
        self.share: float | None = None
        self._stop = threading.Event()

    def __call__(self, share: float) -> None:
        """Note the share done, in [0, 1]; raise `StoppedError` if the work shall end."""
        if self._stop.is_set():
            raise StoppedError
        self.share = share

    def stop(self) -> None:
        """Let the work end at its next word."""
        self._stop.set()


class AppState:
    """Everything that requests share: models, places, memory, counters."""

    def __init__(self, options: Options, models: Models) -> None:
        self.options, self.models, self.metrics = options, models, Metrics()
        self.queue = RequestQueue(options.in_hand, options.limits.waiting)
        self.quick = RequestQueue(1, QUICK)
        self.held = MemoryBudget(options.limits.held)
        self.watches: dict[str, Watch] = {}
        self.ready = False
        self._pool = ThreadPoolExecutor(options.in_hand + 1, "quietpixel")
        self.metrics.gauges |= {
            "quietpixel_working": ("Requests in work.", lambda: self.queue.working),
            "quietpixel_waiting": ("Requests that wait.", lambda: self.queue.waiting),
            "quietpixel_held_bytes": ("Bytes of uploads and results.", lambda: self.held.bytes),
        }

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def upload(self, request: Request) -> AsyncIterator[Upload]:
        """Take in the picture of a request; see `receive_upload`."""
        with self._counted():
            async with receive_upload(request, self.options.limits, self.held) as upload:
                yield upload

    async def do(
        self,
        request: Request,
        work: Callable[[Watch], Answer],
        *,
        queue: RequestQueue | None = None,
        name: str | None = None,
    ) -> Answer:
        """Run `work` in a thread when it is its turn, and return its answer.

        Parameters
        ----------
        request
            Whose body has been taken in; when its client leaves, the work ends.
        work
            Called with what it must call now and then with the share done.
        queue
            The places that it waits for; by default those of full pictures.
        name
            Under which others may ask for the progress.

        Raises
        ------
        ClientGoneError, BusyError, FaultError
            If the client left, there was no place, or the work failed in an unforeseen way.
        """
        watch = Watch()
        with self._shown(watch, name):
            gone = asyncio.ensure_future(wait_until_gone(request.receive))
            task = asyncio.ensure_future(self._in_turn(queue or self.queue, work, watch))
            try:
                await asyncio.wait({gone, task}, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    raise ClientGoneError
                return task.result()
            finally:
                gone.cancel()
                task.cancel()
                await asyncio.gather(gone, task, return_exceptions=True)

    async def _in_turn(
        self, queue: RequestQueue, work: Callable[[Watch], Answer], watch: Watch
    ) -> Answer:
        async with queue.turn():
            done = asyncio.get_running_loop().run_in_executor(self._pool, work, watch)
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                watch.stop()
                with contextlib.suppress(Exception):
                    await done  # the place is free only when the thread is
                raise
            except (QuietpixelError, RefusalError):
                raise
            except MemoryError as error:
                raise _no_memory() from error
            except Exception as error:
                self.metrics.count("quietpixel_faults_total")
                log.exception("A request could not be answered.")
                raise FaultError from error

    @contextlib.contextmanager
    def _shown(self, watch: Watch, name: str | None) -> Iterator[None]:
        if name is not None:
            self.watches[name] = watch
        try:
            yield
        finally:
            if name is not None and self.watches.get(name) is watch:
                del self.watches[name]

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except BusyError as busy:
            self.metrics.count("quietpixel_refused_total", reason=busy.reason)
            raise
        except ClientGoneError:
            self.metrics.count("quietpixel_clients_gone_total")
            raise


async def wait_until_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def get_app_state(request: Request) -> AppState:
    """Return what the requests of an application share."""
    app_state: Any = request.app.state.shared
    assert isinstance(app_state, AppState)
    return app_state


def _no_memory() -> RefusalError:
    return RefusalError(503, "There is not enough memory for this.", {"Retry-After": "5"})
