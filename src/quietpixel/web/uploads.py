"""Takes in what a client sends: in memory only, within limits, and not for ever."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Receive

from quietpixel.web.options import Limits
from quietpixel.web.problems import ClientGoneError, RefusalError
from quietpixel.web.processing import NamedBytes
from quietpixel.web.request_queue import MemoryBudget

LINGER = 5.0
"""Seconds for which a refused upload is still taken in and dropped: a client that is sending would
otherwise see a broken connection instead of the reason."""


@dataclass(frozen=True)
class Upload:
    """A picture file as a client sent it; `name` is what the client called it, if anything."""

    content: bytes
    name: str = ""

    @property
    def file(self) -> NamedBytes:
        """The picture as a file in memory."""
        return NamedBytes(self.content, self.name)


class _MemoryParser(MultiPartParser):
    """Keeps files in memory; how long they may be was checked before."""

    spool_max_size = 2**62


@contextlib.asynccontextmanager
async def receive_upload(
    request: Request, limits: Limits, held: MemoryBudget
) -> AsyncIterator[Upload]:
    """Take in the one picture of a request, and count its bytes as held while the block runs.

    Raises
    ------
    RefusalError
        If it is too long, too slow, not there, or there is no room for it now.
    ClientGoneError
        If the client left before all had come.
    """
    body = _Body(request.receive, limits, held)
    try:
        try:
            _check_declared(request, limits)
            upload = await _read_upload(request, body)
        except RefusalError as refusal:
            await _drop_rest(request, body, refusal.status)
            refusal.headers["Connection"] = "close"
            raise
        yield upload
    finally:
        held.give(body.size)


class _Body:
    """The parts of a body as they come, counted and timed."""

    def __init__(self, receive: Receive, limits: Limits, held: MemoryBudget) -> None:
        self._receive, self._limits, self._held = receive, limits, held
        self.size = 0
        self.ended = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        start = time.monotonic()
        while not self.ended:
            part = await self.next_part(self._limits.patience)
            self._check_length(len(part))
            self._held.take(len(part))
            self.size += len(part)
            self._check_rate(time.monotonic() - start)
            yield part

    async def next_part(self, patience: float) -> bytes:
        try:
            message = await asyncio.wait_for(self._receive(), patience)
        except TimeoutError:
            raise _too_slow(self._limits) from None
        if message["type"] == "http.disconnect":
            self.ended = True
            raise ClientGoneError
        self.ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    def _check_length(self, more: int) -> None:
        if self.size + more > self._limits.body:
            raise _too_long(self._limits)

    def _check_rate(self, seconds: float) -> None:
        late = not self.ended and seconds > self._limits.patience
        if late and self.size < seconds * self._limits.rate:
            raise _too_slow(self._limits)


def _check_declared(request: Request, limits: Limits) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body:
        raise _too_long(limits)


async def _drop_rest(request: Request, body: _Body, status: int) -> None:
    """Take in and drop what is still being sent, for a while."""
    waits = request.headers.get("expect", "").lower() == "100-continue" and body.size == 0
    if waits or status == 408:
        return  # the client waits for leave before it sends, or hardly sends
    with contextlib.suppress(ClientGoneError, RefusalError, TimeoutError):
        async with asyncio.timeout(LINGER):
            while not body.ended:
                await body.next_part(LINGER)


async def _read_upload(request: Request, body: _Body) -> Upload:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request, body)
    content = b"".join([part async for part in body.parts()])
    if not content:
        raise RefusalError(422, "The request has no body; send a picture file as the body.")
    return Upload(content)


async def _read_form(request: Request, body: _Body) -> Upload:
    parser = _MemoryParser(request.headers, body.parts(), max_files=2, max_fields=20)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(
            400, f"The multipart body cannot be read: {str(error.message).rstrip('.')}."
        ) from error
    try:
        file = _one_file(form)
        return Upload(await file.read(), file.filename or "")
    finally:
        await form.close()


def _one_file(form: FormData) -> UploadFile:
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    fields = sorted({name for name, value in form.multi_items() if isinstance(value, str)})
    if fields:
        raise RefusalError(
            422,
            f"The multipart body has the field '{fields[0][:100]}', and only one picture file is "
            "taken there; put model, sigma, strength and format into the address, such as "
            "/v1/denoise?strength=0.8.",
        )
    if len(files) != 1:
        raise RefusalError(
            422,
            "The multipart body must hold one picture file because one comes back; "
            f"got {'none' if not files else 'several'}. Send each in a request of its own.",
        )
    return files[0]


def _too_long(limits: Limits) -> RefusalError:
    return RefusalError(
        413,
        f"The body is longer than the {limits.body:,} bytes that this service takes; send a "
        "smaller file, or start the service with a larger --max-body.",
    )


def _too_slow(limits: Limits) -> RefusalError:
    return RefusalError(
        408,
        f"The body came too slowly: nothing for {limits.patience:g} s, or less than "
        f"{limits.rate:,} bytes per second; send it again over a better connection.",
    )
