"""Listens, answers, and ends when it is told to: what `quietpixel serve` runs."""

import asyncio
import contextlib
import gc
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from quietpixel.errors import ArgumentError, QuietpixelError
from quietpixel.web.app import make_app
from quietpixel.web.models import find_models
from quietpixel.web.options import Limits, Options, check_options
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


BACKLOG = 512


class ServiceError(QuietpixelError, OSError):
    """The service cannot listen where it was told to."""


def serve(options: Options, *, log: bool = True, on_ready: Callable[[str], None]) -> None:
    """Answer requests until Ctrl-C or SIGTERM; requests in work are ended first.

    Parameters
    ----------
    options
        How the service runs.
    log
        Whether each request is told on standard error.
    on_ready
        Called with the address once requests are answered.

    Raises
    ------
    ArgumentError, ServiceError
        If an option breaks its rule, or the address is taken.
    ModelError, UnknownNameError
        If the model cannot be used.
    """
    check_options(options)
    models = find_models(options.model, {**options.engine, "streams": options.workers})
    models.warm()
    app = make_app(options, models)
    with listen(options) as listener, _quiet_signals():
        server = _Server(_configure(app, options, log=log), _address(options, listener), on_ready)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it answers, and is not ready any more once it ends."""

    def __init__(self, config: uvicorn.Config, address: str, on_ready: Callable[[str], None]):
        super().__init__(config)
        self._address, self._on_ready = address, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # what is there now stays: later collections need not look at it
        self._on_ready(self._address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.shared.ready = False  # type: ignore[union-attr]
        await super().shutdown(sockets)


def _configure(app: object, options: Options, *, log: bool) -> uvicorn.Config:
    protocol = type("Protocol", (PatientProtocol,), {"limits": options.limits})
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=log,
        log_config=_logging(log),
        server_header=False,
        timeout_graceful_shutdown=options.grace,
        timeout_keep_alive=15,
    )


def _logging(log: bool) -> dict[str, object]:
    """Everything goes to standard error: times and requests if wanted, faults always."""
    handler = {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(message)s", "datefmt": "%H:%M:%S"}},
        "handlers": {"line": handler},
        "loggers": {
            "uvicorn": {"handlers": ["line"], "level": "ERROR", "propagate": False},
            "uvicorn.access": {
                "handlers": ["line"],
                "level": "INFO" if log else "ERROR",
                "propagate": False,
            },
            "quietpixel.web": {"handlers": ["line"], "level": "ERROR", "propagate": False},
        },
    }


def listen(options: Options) -> socket.socket:
    """Return a socket that listens at the address of the options.

    Raises
    ------
    ServiceError
        If the address is taken or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServiceError(
            f"The service cannot listen on {options.host}:{options.port} "
            f"({(error.strerror or str(error)).lower()}); choose another --port, or 0 for any that "
            "is free."
        ) from error
    except OverflowError as error:
        listener.close()
        raise ArgumentError(
            f"`--port` must lie between 0 and 65535; got {options.port}."
        ) from error
    return listener


def _address(options: Options, listener: socket.socket) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"http://{host}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """Take no notice of the signals that uvicorn raises again after it has ended by them."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda number, frame: None) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
