"""Errors as `application/problem+json` (RFC 9457), worded like those of the command line."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from quietpixel.errors import QuietpixelError, TooLargeError

MEDIA_TYPE = "application/problem+json"
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong, why, and what to do."},
        "reason": {"type": "string", "description": "The detail without the name of the file."},
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "`sigma` must be 'auto', a number or a fraction such as 25/255; got '25%'.",
        }
    ],
}

_BUSY = {
    "waiting": "Too many requests are waiting; try again in {} s.",
    "memory": "Uploads in progress use all the memory allowed for them; try again in {} s.",
    "ending": "The service is shutting down; try again in {} s.",
}
_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "A page of another site made the request.",
    404: "There is no such job, or it has expired.",
    408: "The body arrived too slowly.",
    409: "The job is not done yet.",
    413: "The body or the image exceeds a limit.",
    415: "The body is compressed.",
    421: "The service does not answer to this host name.",
    422: "The image or a parameter cannot be used; the detail says why.",
    500: "The service failed.",
    503: "The service is at capacity; Retry-After says when to try again.",
}


class RefusalError(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class BusyError(RefusalError):
    """The service is at capacity; the request may succeed later."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(503, _BUSY[reason].format(seconds), {"Retry-After": str(seconds)})
        self.reason = reason


class ClientGoneError(Exception):
    """The client has disconnected."""


class FaultError(Exception):
    """The service failed; the log holds the traceback."""


def word(error: QuietpixelError) -> str:
    """Return what a client is told of an error of the library."""
    sentence = str(error)
    if isinstance(error, TooLargeError) and error.limit:  # which no request can raise
        sentence = error.explain(f"start the service with a higher `{error.limit}`")
    return " ".join(sentence.split())


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, *, reason: str | None = None
) -> Response:
    """Return the response for an error."""
    # RFC 9457: the type "about:blank" says that the status alone is the kind of problem.
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if reason is not None:
        body["reason"] = reason
    return Response(json.dumps(body), status, headers, media_type=MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of error responses."""
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
        for status in statuses
    }


def add_handlers(app: FastAPI) -> None:
    """Make the application answer errors with problems."""

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, error: RefusalError) -> Response:
        return problem(error.status, error.detail, error.headers)

    @app.exception_handler(QuietpixelError)
    async def explain(request: Request, error: QuietpixelError) -> Response:
        # 413 lets clients tell a limit of the service from a file that no service can use.
        status = 413 if isinstance(error, TooLargeError) else 422
        reason = word(error.unnamed) if error.unnamed else None
        return problem(status, word(error), reason=reason)

    @app.exception_handler(ClientGoneError)
    async def give_up(request: Request, error: ClientGoneError) -> Response:
        return Response(status_code=499)  # nginx's code for it; nobody reads this response

    @app.exception_handler(FaultError)
    @app.exception_handler(Exception)
    async def report_fault(request: Request, error: Exception) -> Response:
        return problem(500, "The service failed at this request; its log says why.")

    @app.exception_handler(HTTPException)
    async def describe(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the router names the methods of the first route alone
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        path, method = request.url.path, request.method
        details = {
            404: f"There is nothing at {path}; the API is documented at /docs.",
            405: f"{path} does not take {method}; it takes {headers.get('Allow', 'others')}.",
        }
        return problem(
            error.status_code, details.get(error.status_code, str(error.detail)), headers
        )


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes of a path."""
    found: set[str] = set()
    for part in request.app.routes:
        for route in getattr(part, "original_router", request.app).routes:
            if hasattr(route, "methods") and route.matches(request.scope)[0] != Match.NONE:
                found |= route.methods
    return found
