"""Listens, answers, and ends when it is told to: what `quietpixel serve` runs."""

import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from quietpixel.errors import ArgumentError, QuietpixelError
from quietpixel.web.app import make_app
from quietpixel.web.connections import PatientProtocol
from quietpixel.web.models import find_models
from quietpixel.web.options import Options, check_options

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
        self.config.app.state.house.ready = False  # type: ignore[union-attr]
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
