"""The door: who may come in, what every answer carries, and how long it took."""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quietpixel.web.metrics import Metrics
from quietpixel.web.options import Options
from quietpixel.web.problems import problem

Next = Callable[[], Awaitable[None]]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PUBLIC = ("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/")
"""What needs no token: the page's own files, and whether the service is alive. A last slash stands
for everything below."""


class Guard:
    """Wraps the application: checks each request first, and completes each answer."""

    def __init__(self, app: ASGIApp, options: Options, metrics: Metrics) -> None:
        self.app, self.options, self.metrics = app, options, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, told = time.monotonic(), _Told(send)
        refusal = refuse(scope, self.options)
        try:
            await (refusal or self.app)(scope, receive, told.send)
        finally:
            labels = {"method": _method(scope), "path": _route(scope)}
            self.metrics.count("quietpixel_requests_total", **labels, status=str(told.status))
            self.metrics.observe(time.monotonic() - start, path=labels["path"])


class _Told:
    """Sends an answer on with the headers that all answers carry, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def refuse(scope: Scope, options: Options) -> Response | None:
    """Return the answer to a request that must not come in, or None."""
    headers = Headers(scope=scope)
    known = options.known_hosts
    if known is not None and _host(headers) not in known:
        return problem(
            421,
            "The service was called under a name that it does not answer to; call it as "
            "127.0.0.1 or localhost, or start it with --allow-host NAME.",
        )
    if _is_foreign(headers, options):
        return problem(
            403,
            "A page of another site may not call this service; start it with --cors ORIGIN "
            "to let that site in.",
        )
    if options.token is not None and not _is_public(scope) and not _knows(headers, options.token):
        return problem(
            401,
            "This service wants a token; send the header 'Authorization: Bearer TOKEN'.",
            {"WWW-Authenticate": "Bearer"},
        )
    return None


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(headers: Headers, options: Options) -> bool:
    """Tell whether a browser says that the request comes from a page of another site."""
    origin = headers.get("origin")
    if origin in options.origins:
        return False
    if headers.get("sec-fetch-site") == "cross-site":
        return headers.get("sec-fetch-mode") != "navigate"
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _is_public(scope: Scope) -> bool:
    path = scope["path"]
    return scope["method"] == "OPTIONS" or any(
        path == public or (public.endswith("/") and public != "/" and path.startswith(public))
        for public in PUBLIC
    )


def _knows(headers: Headers, token: str) -> bool:
    """Compare in a time that tells nothing of the token, not even its length."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(_digest(given.strip()), _digest(token))
    return kind.lower() == "bearer" and same


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _method(scope: MutableMapping[str, Any]) -> str:
    known = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
    return scope["method"] if scope["method"] in known else "other"


def _route(scope: MutableMapping[str, Any]) -> str:
    """Return the path as the application knows it, so that strangers cannot make new labels."""
    return str(getattr(scope.get("route"), "path", None) or "other")
