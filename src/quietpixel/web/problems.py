"""What goes wrong, as `application/problem+json` (RFC 9457) with the command line's sentences."""

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from quietpixel.errors import QuietpixelError, TooLargeError

MEDIA_TYPE = "application/problem+json"
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence: what, why, and what to do."},
    },
}

log = logging.getLogger("quietpixel.web")

_BUSY = {
    "waiting": "Too many requests are waiting; try again in {} s.",
    "memory": "The uploads in work take all the memory allowed for them; try again in {} s.",
    "ending": "The service is ending; try again in {} s.",
}


class RefusalError(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class BusyError(RefusalError):
    """There is no room now, and may be soon."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(503, _BUSY[reason].format(seconds), {"Retry-After": str(seconds)})
        self.reason = reason


class ClientGoneError(Exception):
    """Nobody is there any more to get the answer."""


class FaultError(Exception):
    """The service itself failed; what happened is in the log."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that says what went wrong."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(json.dumps(body), status, headers, media_type=MEDIA_TYPE)


def status_of(error: QuietpixelError) -> int:
    """Return the status that says what kind of error this is."""
    return 413 if isinstance(error, TooLargeError) else 422


def add_handlers(app: FastAPI) -> None:
    """Let the application answer errors with problems."""
    handlers: dict[Any, Any] = {
        RefusalError: _refuse,
        QuietpixelError: _explain,
        HTTPException: _describe,
        ClientGoneError: _nobody,
        FaultError: _admit,
        Exception: _admit,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _refuse(request: Request, error: RefusalError) -> Response:
    return problem(error.status, error.detail, error.headers)


async def _explain(request: Request, error: QuietpixelError) -> Response:
    return problem(status_of(error), " ".join(str(error).split()))


async def _nobody(request: Request, error: ClientGoneError) -> Response:
    return Response(status_code=499)


async def _admit(request: Request, error: Exception) -> Response:
    return problem(
        500, "The service failed at this request; its log says why. Other requests still work."
    )


async def _describe(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    path, method = request.url.path, request.method
    if error.status_code == 404:
        detail = f"There is nothing at {path}; the description of the service is at /docs."
    elif error.status_code == 405:
        detail = f"{path} does not take {method}; it takes {headers.get('Allow', 'others')}."
    else:
        detail = str(error.detail)
    return problem(error.status_code, detail, headers)
