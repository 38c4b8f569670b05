"""Uploads and downloads: in memory only, within limits of size and time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from quietpixel.web.options import Limits
from quietpixel.web.problems import ClientGoneError, RefusalError
from quietpixel.web.processing import Upload
from quietpixel.web.request_queue import MemoryBudget

CHUNK = 256 * 1024
LINGER = 5.0
"""Seconds for which a refused upload is still received and dropped: a client that is sending would
otherwise see a broken connection instead of the reason."""


class ChunkedResponse(Response):
    """A response sent in chunks; its bytes count as held until the last chunk is sent."""

    def __init__(
        self, content: bytes, memory: MemoryBudget, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._memory = memory
        memory.add(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; between chunks the server waits for a slow client."""
        start = {"type": "http.response.start", "status": self.status_code}
        view = memoryview(self.body)
        try:
            await send({**start, "headers": self.raw_headers})
            for at in range(0, max(len(view), 1), CHUNK):
                body, more = bytes(view[at : at + CHUNK]), at + CHUNK < len(view)
                await send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            self._memory.release(len(view))


@contextlib.asynccontextmanager
async def receive_upload(
    request: Request, limits: Limits, memory: MemoryBudget
) -> AsyncIterator[Upload]:
    """Receive the one image of a request; its bytes count as held for the block.

    Raises
    ------
    RefusalError
        If it is too long, too slow or missing, or the memory budget is exhausted.
    ClientGoneError
        If the client disconnected before the end.
    """
    body = _Body(request, limits, memory)
    try:
        try:
            encoding = request.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                raise RefusalError(
                    415,
                    f"The body is encoded as '{encoding[:50]}'; send the image file as it is, "
                    "without Content-Encoding.",
                    {"Accept-Encoding": "identity"},
                )
            declared = request.headers.get("content-length", "")
            if declared.isdecimal():
                body.check_length(int(declared))
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            read = _read_form if kind == "multipart/form-data" else _read_raw
            upload = await read(request, body)
        except RefusalError as refusal:
            if refusal.status != 408:  # a slow client hardly sends
                await body.drop_rest()
            refusal.headers["Connection"] = "close"
            raise
        yield upload
    finally:
        memory.release(body.size)


class _Body:
    """The body of a request as it arrives, counted and timed."""

    def __init__(self, request: Request, limits: Limits, memory: MemoryBudget) -> None:
        self._request, self._limits, self._memory = request, limits, memory
        self.size = 0
        self._complete = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        patience, start = self._limits.patience, time.monotonic()
        while not self._complete:
            chunk = await self._next_chunk(patience)
            self.check_length(self.size + len(chunk))
            self._memory.reserve(len(chunk))
            self.size += len(chunk)
            seconds = time.monotonic() - start
            late = not self._complete and seconds > patience
            if late and self.size < seconds * self._limits.rate:
                raise self._too_slow()
            yield chunk

    async def _next_chunk(self, patience: float) -> bytes:
        try:
            message = await asyncio.wait_for(self._request.receive(), patience)
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.disconnect":
            self._complete = True
            raise ClientGoneError
        self._complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def drop_rest(self) -> None:
        """Receive and drop what is still being sent, for a while."""
        if self.size == 0 and self._request.headers.get("expect", "").lower() == "100-continue":
            return  # the client waits for permission to send
        with contextlib.suppress(ClientGoneError, RefusalError, TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self._complete:
                    await self._next_chunk(LINGER)

    def check_length(self, length: int) -> None:
        if length > self._limits.max_body:
            raise RefusalError(
                413,
                f"The body is longer than the {self._limits.max_body:,} bytes that this service "
                "accepts; send a smaller file, or start the service with a larger `max_body`.",
            )

    def _too_slow(self) -> RefusalError:
        return RefusalError(
            408,
            f"The body arrived too slowly: nothing for {self._limits.patience:g} s, or less than "
            f"{self._limits.rate:,} bytes per second; retry over a faster connection.",
        )


async def _read_raw(request: Request, body: _Body) -> Upload:
    # Joined once at the end: a growing buffer would copy a large upload again and again.
    content = b"".join([chunk async for chunk in body.chunks()])
    if not content:
        raise RefusalError(422, "The request has no body; send an image file as the body.")
    return Upload(content)


async def _read_form(request: Request, body: _Body) -> Upload:
    # Two files show that there is more than one, and a field is named in the refusal.
    parser = MultiPartParser(request.headers, body.chunks(), max_files=2, max_fields=20)
    parser.spool_max_size = 2**62  # never to disk; the length is checked as the body arrives
    try:
        form = await parser.parse()
    except MultiPartException as error:
        reason = str(error.message).rstrip(".")
        raise RefusalError(400, f"The multipart body cannot be read: {reason}.") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        fields = sorted({name for name, value in form.multi_items() if isinstance(value, str)})
        if fields:
            raise RefusalError(
                422,
                f"The multipart body has the field '{fields[0][:100]}' but may only hold one image "
                "file; put model, sigma, strength and format into the address, such as "
                "/v1/denoise?strength=0.8.",
            )
        if len(files) != 1:
            raise RefusalError(
                422,
                "The multipart body must hold one image file because one comes back; got "
                f"{'none' if not files else 'several'}. Send each in its own request.",
            )
        return Upload(await files[0].read(), files[0].filename or "")
    finally:
        await form.close()
