"""The application and its HTTP server: routes, timeouts, listening, a graceful shutdown."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from quietpixel import __version__
from quietpixel.errors import QuietpixelError
from quietpixel.web import api, digits, jobs, metrics, pages
from quietpixel.web.app_state import AppState, get_app_state
from quietpixel.web.middleware import Guard
from quietpixel.web.models import Models, find_models
from quietpixel.web.options import Limits, ServiceOptions
from quietpixel.web.problems import BusyError, add_handlers, problem, problem_responses

ABOUT = """Denoises images. An image comes back in its own format, with its size, depth, colour
profile and metadata. Errors are `application/problem+json`."""

PUBLIC: dict[str, Any] = {"security": []}
"""Operations that need no token."""

BACKLOG = 512
"""Connections that the system queues before they are accepted."""
LINGER = 1.0
"""Seconds that a client which sent a malformed request has to read the response."""
LAST_RESPONSES = 5
"""Seconds that clients get to read their responses at the end of the shutdown."""
LOGGED_URL = 200
"""Letters of a URL in the log."""


router = APIRouter(tags=["operation"], responses=problem_responses(401, 403, 421))


@router.get("/healthz", summary="Liveness check", openapi_extra=PUBLIC)
async def check_health() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "alive"}


@router.get(
    "/readyz", summary="Readiness check", responses=problem_responses(503), openapi_extra=PUBLIC
)
async def check_ready(request: Request) -> dict[str, str]:
    """Answer until the shutdown begins."""
    app_state = get_app_state(request)
    if app_state.draining:
        raise BusyError("ending", app_state.queue.retry_after)
    return {"status": "ready"}


@router.get(
    "/metrics",
    summary="Metrics in the text format of Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Return counters, gauges and request times."""
    headers = {"Content-Type": metrics.MEDIA_TYPE}
    return Response(get_app_state(request).metrics.to_text(), headers=headers)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the description, made when it is first asked for: that takes 40 ms."""
        if self.openapi_schema is None:
            document = super().openapi()  # kept by the application, so changes stay
            service: AppState = self.state.shared
            for path in ("/v1/denoise", "/v1/jobs"):
                for parameter in document["paths"][path]["post"]["parameters"]:
                    # Which models there are is known only once the service has started.
                    if parameter["name"] == "model":
                        names = sorted(service.models.paths)
                        parameter["schema"] = {"type": "string", "enum": names}
            if service.options.token is not None:
                bearer = {"type": "http", "scheme": "bearer"}
                document["components"]["securitySchemes"] = {"token": bearer}
                document["security"] = [{"token": []}]
        return super().openapi()


def make_app(options: ServiceOptions, models: Models) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    options
        Settings of the service.
    models
        Models that it offers.
    """
    app_state = AppState(options, models)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app_state.close()

    app = _Application(
        title="quietpixel",
        description=ABOUT,
        version=__version__,
        # FastAPI's own pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.shared = app_state
    app.state.jobs = jobs.Jobs()
    for part in (api, jobs, pages, digits):
        app.include_router(part.router)
    app.include_router(router)
    add_handlers(app)
    app.add_middleware(Guard, options=options, metrics=app_state.metrics)
    if options.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[*api.HEADERS, "Location", "Retry-After"],
        )
    return app


class ServiceError(QuietpixelError, OSError):
    """The service cannot listen on its address."""


class TimeoutProtocol(H11Protocol):
    """HTTP/1.1 with timeouts for request heads and for responses that a client does not read.

    uvicorn itself waits without limit in both cases.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._malformed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request; refuse the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "Too many connections are open; try again in 5 s.", "Retry-After: 5")
            transport.close()
            return
        self._head_timer = self._start_timer(transport.close)

    def data_received(self, data: bytes) -> None:
        """Process received bytes; the timeout runs until a request's head is complete."""
        if self._malformed:
            return
        super().data_received(data)
        incomplete = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if not incomplete:
            _cancel(self._head_timer)
            self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self._start_timer(self.transport.close)

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read."""
        super().pause_writing()
        self._write_timer = self._write_timer or self._start_timer(self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timeout because the client reads again."""
        super().resume_writing()
        _cancel(self._write_timer)
        self._write_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timeouts."""
        _cancel(self._head_timer)
        _cancel(self._write_timer)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request with a problem."""
        # uvicorn calls this while it handles h11's exception, which alone knows the status.
        hint = getattr(sys.exception(), "error_status_hint", 400)
        if hint == 431:
            self._refuse(431, "The address and headers of the request are too long.")
        else:
            self._refuse(400, "The request is not valid HTTP/1.1.")
        # If the rest of the request were still unread at the close, the system would reset the
        # connection and the client could lose the response.
        self._malformed = True
        _cancel(self._head_timer)
        self._head_timer = self.loop.call_later(LINGER, self.transport.close)

    def _start_timer(self, action: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(self.limits.patience, action)

    def _refuse(self, status: int, detail: str, *headers: str) -> None:
        """Answer with a problem, without the application."""
        response = problem(status, detail)
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
            "Connection: close",
            *headers,
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + bytes(response.body))


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def serve(options: ServiceOptions, *, log: bool = True, on_ready: Callable[[str], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; running requests are completed first.

    Parameters
    ----------
    options
        Settings of the service.
    log
        Whether each request is logged on standard error.
    on_ready
        Called with the address once the service accepts requests.

    Raises
    ------
    ServiceError
        If the address cannot be used.
    ModelError, UnknownNameError
        If the model cannot be used.
    """
    models = find_models(options.denoise)
    models.warm_up()
    with listen(options) as listener:
        _log_to_stderr(log)
        for sentence in models.fallbacks:
            logging.getLogger("quietpixel.web").error(sentence)
        config = uvicorn.Config(
            make_app(options, models),
            http=type("Protocol", (TimeoutProtocol,), {"limits": options.limits}),
            ws="none",  # else uvicorn loads a WebSocket library if there is one
            lifespan="on",  # "auto" would hide an error at the start
            access_log=log,
            log_config=None,
            server_header=False,
            proxy_headers=bool(options.trusted_proxy),
            forwarded_allow_ips=list(options.trusted_proxy),
            timeout_graceful_shutdown=options.grace,
            timeout_keep_alive=15,  # the page polls its progress on one connection
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        address = f"http://{host}:{listener.getsockname()[1]}"
        _Server(config, lambda: on_ready(address)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that reports its start, and is not ready once its shutdown begins."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signals again once it has shut down because of them.
        with _signals_ignored(), super().capture_signals():
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # modules and models stay, so later collections need not visit them
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app_state: AppState = self.config.app.state.shared  # type: ignore[union-attr]
        app_state.draining = True
        # Listen while requests run, so that load balancers see 503 at /readyz and not an error.
        deadline = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        while app_state.tasks and not self.force_exit and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        app_state.cancel_all()
        self.config.timeout_graceful_shutdown = LAST_RESPONSES
        await super().shutdown(sockets)


class _RequestFilter(logging.Filter):
    """Keeps the access log short.

    A visit of the page loads 30 files and asks for progress twice a second; what of that succeeds
    is left out. Long URLs are cut: anyone could fill the disk with them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, url, version, status = record.args
            record.args = (client, method, str(url)[:LOGGED_URL], version, status)
            loaded = str(url).startswith(("/static/", "/page/progress"))
            return not (loaded and int(str(status)) < 400)
        return True


def _log_to_stderr(log: bool) -> None:
    """Log requests if wanted, and errors always, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(_RequestFilter())
    for name in ("uvicorn", "uvicorn.access", "quietpixel.web", "asyncio", "concurrent.futures"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel("INFO" if log and name == "uvicorn.access" else "ERROR")


def listen(options: ServiceOptions) -> socket.socket:
    """Return a socket that listens at the address in `options`.

    Raises
    ------
    ServiceError
        If the address is in use or does not belong to this machine.
    """
    address = (options.host, options.port)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        socket.getaddrinfo(*address)  # the error of `create_server` would not say what it is
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
        # For all connections: asyncio leaves theirs alone, because they do not name the protocol.
        # Without, each answer on a connection in use came 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        known = not isinstance(error, socket.gaierror)
        reason = os.strerror(error.errno or 0).lower() if known else "no such host"
        remedy = "choose another `port`, or 0 for any free one."
        if not known or error.errno == errno.EADDRNOTAVAIL:
            remedy = "`host` must be an address of this machine."
        raise ServiceError(
            f"The service cannot listen on {options.host}:{options.port} ({reason}); {remedy}"
        ) from error


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignore the signals that end the service; one that comes before the block ends the process."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda number, frame: None) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
