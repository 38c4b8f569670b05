"""State shared by all requests, and the threads that do their work."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from starlette.requests import Request

from quietpixel.errors import QuietpixelError
from quietpixel.web.metrics import Metrics
from quietpixel.web.models import Models
from quietpixel.web.options import ServiceOptions
from quietpixel.web.problems import BusyError, ClientGoneError, FaultError, RefusalError
from quietpixel.web.processing import Upload
from quietpixel.web.request_queue import MemoryBudget, RequestQueue
from quietpixel.web.uploads import receive_upload

Result = TypeVar("Result")

log = logging.getLogger("quietpixel.web")

WAITING_PREVIEWS = 8
"""Previews that may wait; the page replaces them by newer ones anyway."""


class CancelledWorkError(Exception):
    """The work was cancelled because its client has gone."""


class Progress:
    """Callback that work calls with its completed fraction; it also cancels the work."""

    def __init__(self) -> None:
        self.fraction: float | None = None
        self._cancelled = threading.Event()

    def __call__(self, fraction: float) -> None:
        """Store the completed fraction, in [0, 1]; raise `CancelledWorkError` after `cancel`."""
        if self._cancelled.is_set():
            raise CancelledWorkError
        self.fraction = fraction

    def cancel(self) -> None:
        """End the work at its next call."""
        self._cancelled.set()


class AppState:
    """Models, queues, memory budget, metrics and threads of one application."""

    def __init__(self, options: ServiceOptions, models: Models) -> None:
        self.options, self.models, self.metrics = options, models, Metrics()
        self.queue = RequestQueue(options.slots, options.limits.queue)
        self.previews = RequestQueue(1, WAITING_PREVIEWS)
        self.memory = MemoryBudget(options.limits.max_held)
        self.jobs: dict[str, Progress] = {}
        self.draining = self._expired = False
        self.tasks: set[asyncio.Task[Any]] = set()  # requests whose upload is complete
        # One thread beyond the slots, for previews, which do not wait behind full-size images.
        self._pool = ThreadPoolExecutor(options.slots + 1, "quietpixel")
        add_gauge = self.metrics.add_gauge
        add_gauge("working", "Requests being processed.", lambda: self.queue.working)
        add_gauge("waiting", "Requests waiting.", lambda: self.queue.waiting)
        add_gauge("held_bytes", "Bytes of uploads and results.", lambda: self.memory.bytes)

    def cancel_all(self) -> None:
        """Answer all requests with 503 at once; their threads end at their next progress call."""
        self._expired = True
        for task in self.tasks:
            task.cancel()

    def close(self) -> None:
        """Shut the threads down."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def process(
        self,
        request: Request,
        work: Callable[[Upload, Progress], Result],
        *,
        queue: RequestQueue | None = None,
        job: str | None = None,
    ) -> Result:
        """Receive the file of a request and run `work` on it in a thread once a slot is free.

        Parameters
        ----------
        request
            Request with the file; the work ends when its client disconnects.
        work
            Called with the file and a callback, which it must call now and then.
        queue
            Queue to wait in; by default that of full-size images.
        job
            Name under which the progress can be queried.

        Returns
        -------
        Result
            What `work` returns.

        Raises
        ------
        RefusalError, ClientGoneError, FaultError
            If the upload or the queue exceeds a limit, the client disconnected, or the work failed
            unexpectedly.
        """
        progress = Progress()
        if job is not None:
            self.jobs[job] = progress
        try:
            async with receive_upload(request, self.options.limits, self.memory) as upload:
                if self.draining:
                    raise BusyError("ending", self.queue.retry_after)
                gone = asyncio.ensure_future(_wait_for_disconnect(request))
                task = self.start_in_slot(queue or self.queue, partial(work, upload), progress)
                try:
                    await asyncio.wait({gone, task}, return_when=asyncio.FIRST_COMPLETED)
                    if not task.done():
                        raise ClientGoneError
                    if task.cancelled():  # the shutdown waits no longer
                        raise BusyError("ending", self.queue.retry_after)
                    return task.result()
                finally:
                    gone.cancel()
                    task.cancel()
                    await asyncio.gather(gone, task, return_exceptions=True)
        except BusyError as busy:
            self.metrics.refused.labels(busy.reason).inc()
            raise
        except ClientGoneError:
            self.metrics.clients_gone.inc()
            raise
        finally:
            if job is not None and self.jobs.get(job) is progress:
                del self.jobs[job]

    def start_in_slot(
        self, queue: RequestQueue, work: Callable[[Progress], Result], progress: Progress
    ) -> asyncio.Task[Result]:
        """Run `work` in a thread once a slot is free; the task can be cancelled."""
        task = asyncio.ensure_future(self._run_in_slot(queue, work, progress))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _run_in_slot(
        self, queue: RequestQueue, work: Callable[[Progress], Result], progress: Progress
    ) -> Result:
        def run() -> Result | None:
            try:
                return work(progress)
            except CancelledWorkError:
                return None  # a kept traceback would hold the image until the next collection

        async with queue.slot():
            done = asyncio.get_running_loop().run_in_executor(self._pool, run)
            try:
                return cast(Result, await asyncio.shield(done))
            except asyncio.CancelledError:
                progress.cancel()
                if not self._expired:
                    with contextlib.suppress(Exception):
                        await done  # the slot stays taken as long as the thread
                raise
            except (QuietpixelError, RefusalError):
                raise
            except MemoryError as error:
                detail = "There is not enough memory for this."
                raise RefusalError(503, detail, {"Retry-After": "5"}) from error
            except Exception as error:
                self.metrics.faults.inc()
                log.exception("A request could not be answered.")
                raise FaultError from error


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def get_app_state(request: Request) -> AppState:
    """Return the state of the application that serves a request."""
    app_state = request.app.state.shared
    assert isinstance(app_state, AppState)
    return app_state
