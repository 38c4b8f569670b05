"""Access control, security headers and request metrics for every request."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quietpixel.web.metrics import Metrics
from quietpixel.web.options import ServiceOptions
from quietpixel.web.problems import problem

# The page has all its files on this service; previews are blobs that it makes itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # An upload comes back as a file: browsers must not take one for a page or a script.
    "X-Content-Type-Options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PUBLIC = {"/", "/docs", "/openapi.json", "/healthz", "/readyz"}
"""Paths that need no token, beside those below `/static/`."""
METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}


class Guard:
    """ASGI middleware that refuses forbidden requests and completes each response."""

    def __init__(self, app: ASGIApp, options: ServiceOptions, metrics: Metrics) -> None:
        self.app, self.options, self.metrics = app, options, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, method = time.monotonic(), 0, scope["method"]
        if method == "HEAD":  # the server itself omits the body
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Cache-Control": "no-store"}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await (refuse(scope, self.options) or self.app)(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            if status:
                raise
            # The shutdown waits no longer, for example for an upload that arrives slowly.
            sentence = "The service is shutting down; try again in 5 s."
            ending = problem(503, sentence, {"Retry-After": "5"})
            await ending(scope, receive, send_with_headers)
        finally:
            # Unknown methods and paths share one label: clients cannot create new series.
            method = method if method in METHODS else "other"
            path = str(getattr(scope.get("route"), "path", None) or "other")
            self.metrics.requests.labels(method, path, str(status or 500)).inc()
            self.metrics.seconds.labels(path).observe(time.monotonic() - start)


def refuse(scope: Scope, options: ServiceOptions) -> Response | None:
    """Return the response to a forbidden request, None for a permitted one."""
    headers, path = Headers(scope=scope), scope["path"]
    # Load balancers check health with HTTP/1.0, which has no Host.
    known = None if path in ("/healthz", "/readyz") else options.known_hosts
    if known is not None and _host(headers) not in known:
        return problem(
            421,
            "The service does not answer to this host name; call it as 127.0.0.1 or localhost, or "
            "start it with the name in `allow_host`.",
        )
    if _is_foreign(headers, scope["method"], options):
        return problem(
            403,
            "A page of another site may not call this service; start it with the site's origin in "
            "`cors` to permit that.",
        )
    public = scope["method"] == "OPTIONS" or path in PUBLIC or path.startswith("/static/")
    if options.token is not None and not public and not _is_authorized(headers, options.token):
        what = "The token is wrong" if "authorization" in headers else "This service needs a token"
        detail = f"{what}; send the header 'Authorization: Bearer TOKEN'."
        return problem(401, detail, {"WWW-Authenticate": "Bearer"})
    return None


def _host(headers: Headers) -> str:
    with contextlib.suppress(ValueError):
        # `hostname` drops the port and the brackets of IPv6, and is in lower case.
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    return ""


def _is_foreign(headers: Headers, method: str, options: ServiceOptions) -> bool:
    """Return whether a browser sent the request for a page of another site."""
    origin = headers.get("origin")
    if origin in options.cors:
        return False
    # Browsers send no Origin with GET and HEAD of other sites, but they send Sec-Fetch-Site.
    if headers.get("sec-fetch-site") == "cross-site":
        # A link from another site may open the page, but a form there must not post to it.
        return headers.get("sec-fetch-mode") != "navigate" or method != "GET"
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _is_authorized(headers: Headers, token: str) -> bool:
    kind, _, given = headers.get("authorization", "").partition(" ")
    # Digests have one length, so that not even the token's length shows in the time taken.
    sent, own = (
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        for text in (given.strip(), token)
    )
    return hmac.compare_digest(sent, own) and kind.lower() == "bearer"
