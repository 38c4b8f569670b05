"""Jobs for large images, `/v1/jobs`: the work goes on without the client."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response, StreamingResponse

from quietpixel.errors import QuietpixelError
from quietpixel.web.api import BODY, IMAGE, UPLOAD, example, image_response
from quietpixel.web.app_state import AppState, Progress, get_app_state
from quietpixel.web.parameters import PARAMETERS, read_settings
from quietpixel.web.problems import BusyError, RefusalError, problem_responses, word
from quietpixel.web.processing import Result, Upload, denoise
from quietpixel.web.uploads import receive_upload

KEPT = 600.0
"""Seconds for which a finished job is kept."""
MOST = 100
"""Most jobs that are kept at once."""
TICK = 0.25
"""Seconds between two events of a stream."""

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problem_responses(401, 403, 421))
# The identifier is all that a client without a token needs, so it must not be guessed.
EXAMPLE = "0123456789abcdef0123456789abcdef"
Identifier = Path(description="As `id` of the job.", examples=[EXAMPLE])


class JobStatus(BaseModel):
    """State and progress of a job.

    Parameters
    ----------
    id
        Secret name of the job: whoever has it can read the result, together with the token if the
        service has one.
    state
        ``"waiting"``, ``"working"``, ``"done"`` or ``"failed"``.
    progress
        Completed fraction, in [0, 1].
    detail
        Why it failed.
    """

    model_config = example(id=EXAMPLE, state="working", progress=0.4, detail=None)

    id: str
    state: Literal["waiting", "working", "done", "failed"]
    progress: float
    detail: str | None = None


class Job:
    """One image in work, or its result."""

    def __init__(
        self, app_state: AppState, upload: Upload, work: Callable[[Progress], Result]
    ) -> None:
        self.id, self.name = secrets.token_hex(16), upload.name
        self.progress = Progress()
        self._memory, self._held = app_state.memory, upload.getbuffer().nbytes
        self._memory.add(self._held)
        self.task = app_state.start_in_slot(app_state.queue, work, self.progress)
        self.task.add_done_callback(self._finish)

    def _finish(self, task: "asyncio.Task[Result]") -> None:
        self._hold(0 if self.error else len(task.result().content))

    def _hold(self, count: int) -> None:
        self._memory.release(self._held)
        self._memory.add(count)
        self._held = count

    @property
    def error(self) -> BaseException | None:
        """Why the job failed, None while it has not."""
        if not self.task.done():
            return None
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    @property
    def status(self) -> JobStatus:
        """State and progress."""
        error, fraction = self.error, self.progress.fraction
        if error is None and self.task.done():
            return JobStatus(id=self.id, state="done", progress=1)
        state: Any = "failed" if error else "waiting" if fraction is None else "working"
        detail = describe(error) if error else None
        return JobStatus(id=self.id, state=state, progress=fraction or 0, detail=detail)

    def remove(self) -> None:
        """End the work and free the memory."""
        self.task.remove_done_callback(self._finish)
        self.task.cancel()
        self._hold(0)


def describe(error: BaseException) -> str:
    """Return what a client is told of an error."""
    if isinstance(error, RefusalError):
        return error.detail
    if isinstance(error, QuietpixelError):
        return word(error)
    if isinstance(error, asyncio.CancelledError):
        return "The service is shutting down."
    return "The service failed at this job; its log says why."


class Jobs:
    """The jobs of a service, by identifier; finished ones expire."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Keep a job until it has been finished for a while."""
        self._jobs[job.id] = job
        loop = asyncio.get_running_loop()
        job.task.add_done_callback(lambda _: loop.call_later(KEPT, self.discard, job.id))

    def check_room(self, app_state: AppState) -> None:
        """Raise BusyError if no further job can be kept or run."""
        if len(self._jobs) >= MOST:
            raise BusyError("waiting", app_state.queue.retry_after)
        app_state.queue.check_room()

    def get(self, id: str) -> Job:
        """Return the job of an identifier.

        Raises
        ------
        RefusalError
            If there is none, or no longer.
        """
        if id not in self._jobs:
            raise RefusalError(
                404, f"There is no such job, or it has expired ({KEPT:g} s after it ended)."
            )
        return self._jobs[id]

    def discard(self, id: str) -> None:
        """End a job and forget it, if there is one."""
        if job := self._jobs.pop(id, None):
            job.remove()


def get_jobs(request: Request) -> Jobs:
    """Return the jobs of the application that serves a request."""
    jobs = request.app.state.jobs
    assert isinstance(jobs, Jobs)
    return jobs


@router.post(
    "",
    summary="Start a job",
    status_code=202,
    responses={
        202: {"description": "The job has been accepted; Location is its address."},
        **UPLOAD,
    },
    response_model=JobStatus,
    openapi_extra={"parameters": PARAMETERS, **BODY},
)
async def start_job(request: Request) -> Response:
    """Send a large image file; the work goes on after the answer, without the client."""
    app_state, jobs = get_app_state(request), get_jobs(request)
    models, limits = app_state.models, app_state.options.limits
    settings = read_settings(request.query_params, app_state.options.denoise, limits.max_pixels)
    models.choose(settings.options.model)  # reports an unknown name before the upload
    jobs.check_room(app_state)
    async with receive_upload(request, limits, app_state.memory) as upload:
        if app_state.draining:
            raise BusyError("ending", app_state.queue.retry_after)
        job = Job(app_state, upload, partial(denoise, models, upload, settings))
    jobs.add(job)
    status = job.status.model_dump()
    return JSONResponse(status, 202, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get(
    "/{id}",
    summary="Read the progress of a job",
    response_model=JobStatus,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problem_responses(404),
    },
)
async def read_job(request: Request, id: str = Identifier) -> Response:
    """Return its state; with ``Accept: text/event-stream``, a stream of states until its end."""
    job = get_jobs(request).get(id)
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(_stream(job), media_type="text/event-stream")
    return JSONResponse(job.status.model_dump())


async def _stream(job: Job) -> AsyncIterator[str]:
    sent = None
    while True:
        status = job.status
        if status != sent:
            yield f"event: {status.state}\ndata: {json.dumps(status.model_dump())}\n\n"
            sent = status
        if job.task.done():
            return
        await asyncio.wait({job.task}, timeout=TICK)


@router.get(
    "/{id}/result",
    summary="Fetch the result of a job",
    response_class=Response,
    responses={**IMAGE, **problem_responses(404, 409, 413, 422, 500, 503)},
)
async def fetch_result(request: Request, id: str = Identifier) -> Response:
    """Return the denoised image, as `/v1/denoise` does, until the job expires or is deleted."""
    job = get_jobs(request).get(id)
    if not job.task.done():
        raise RefusalError(409, "The job is not done yet.", {"Retry-After": "1"})
    if isinstance(job.error, asyncio.CancelledError):
        raise RefusalError(503, describe(job.error), {"Retry-After": "5"})
    return image_response(get_app_state(request), job.name, job.task.result())


@router.delete(
    "/{id}",
    summary="Cancel a job, or delete its result",
    status_code=204,
    response_class=Response,
    responses=problem_responses(404),
)
async def delete_job(request: Request, id: str = Identifier) -> Response:
    """End the work and forget the image and the result."""
    jobs = get_jobs(request)
    jobs.discard(jobs.get(id).id)
    return Response(status_code=204)
