"""One connection of the server: it does not wait for ever for a client that says nothing."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from quietpixel.web.options import Limits
from quietpixel.web.problems import MEDIA_TYPE


class PatientProtocol(H11Protocol):
    """Ends a connection whose request does not come, or whose answer is not taken in.

    uvicorn itself would wait without end for the rest of a request's head, and for a client to
    take in what it asked for.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the request; send the client away if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._answer(503, "Too many connections are open; try again in 5 s.", "Retry-After: 5")
            transport.close()
            return
        self._head = self._later(transport.close)

    def data_received(self, data: bytes) -> None:
        """Take in what came; while a request's head is not complete, time runs."""
        super().data_received(data)
        waits = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if not waits:
            _cancel(self._head)
            self._head = None
        elif self._head is None:
            self._head = self._later(self.transport.close)

    def pause_writing(self) -> None:
        """Begin to wait for the client to take in what was sent."""
        super().pause_writing()
        self._stall = self._stall or self._later(self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client takes things in."""
        super().resume_writing()
        _cancel(self._stall)
        self._stall = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        _cancel(self._head)
        _cancel(self._stall)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem."""
        self._answer(400, "The request is not HTTP/1.1 as this service understands it.")
        self.transport.close()

    def _later(self, act: Any) -> asyncio.TimerHandle:
        return self.loop.call_later(self.limits.patience, act)

    def _answer(self, status: int, detail: str, *headers: str) -> None:
        """Write an answer where there is no application to give one."""
        title = {400: "Bad Request", 503: "Service Unavailable"}[status]
        about = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = json.dumps(about).encode()
        lines = [
            f"HTTP/1.1 {status} {title}",
            f"Content-Type: {MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *headers,
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
