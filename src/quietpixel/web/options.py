"""What the service may be told: where it listens, who may come, how much it takes at once."""

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any

from quietpixel.errors import ArgumentError

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, and all of them together, may take.

    Parameters
    ----------
    body
        Bytes that one request may send.
    pixels
        Pixels, over all pages, that a picture may declare.
    waiting
        Requests that wait for their turn.
    held
        Bytes of uploads and of results not yet fetched, over all requests.
    connections
        Open connections.
    patience
        Seconds that a client may be silent, or take to fetch the next part of its result.
    rate
        Bytes per second that an upload must reach on average once `patience` is over.
    """

    body: int = 128 * 2**20
    pixels: int = 64_000_000
    waiting: int = 16
    held: int = 512 * 2**20
    connections: int = 1000
    patience: float = 20.0
    rate: int = 4096


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the service runs.

    Parameters
    ----------
    host, port
        Where it listens; port 0 takes a free one.
    token
        What callers must send as ``Authorization: Bearer TOKEN``; None lets all in.
    open
        Says that the service may be reached from elsewhere without a token.
    names
        Host names, beside this machine's own, under which the service may be called.
    origins
        Other sites whose pages may call the service (CORS).
    model
        A name, a run folder or an .onnx file that takes the place of the default models.
    workers
        Pictures that are computed at once.
    engine
        Options for each `quietpixel.Denoiser`.
    limits
        What is refused.
    grace
        Seconds that running requests get when the service is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    open: bool = False
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    model: str | None = None
    workers: int = 1
    engine: dict[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()
    grace: int = 60

    @property
    def in_hand(self) -> int:
        """Requests that are worked on at once: one more than computed, to read and to write."""
        return self.workers + 1

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Host names that are answered; None answers to all.

        A page elsewhere can make its own name lead to 127.0.0.1; what protects a service without
        a token is that it does not answer to such a name.
        """
        if self.token is not None or not is_local(self.host):
            return None
        return frozenset({*LOCAL_NAMES, self.host, *self.names})


def is_local(host: str) -> bool:
    """Say whether an address can be reached from this machine only.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_options(options: Options) -> None:
    """Raise ArgumentError unless the service may run with these options."""
    if options.token is not None and not options.token.strip():
        raise ArgumentError(
            "`--token` must not be empty because it is all that keeps strangers out; pass a long "
            "random one, such as the output of 'openssl rand -hex 20'."
        )
    if options.token is not None and not options.token.isascii():
        raise ArgumentError(
            "`--token` must be ASCII because it travels in a header; pass a long random one, such "
            "as the output of 'openssl rand -hex 20'."
        )
    if not is_local(options.host) and options.token is None and not options.open:
        raise ArgumentError(
            f"`--host {options.host}` can be reached by others, so it needs `--token TOKEN`, which "
            "callers must send, or `--open`, which says that anyone may use it; got neither. "
            "Leave `--host` out to be reached from this machine only."
        )
    for origin in options.origins:
        _check_origin(origin)


def _check_origin(origin: str) -> None:
    scheme, mark, rest = origin.partition("://")
    if scheme not in ("http", "https") or not mark or not rest or "/" in rest or "*" in rest:
        raise ArgumentError(
            "`--cors` must be the origin of one site because each is let in by name; "
            f"got '{origin}'. Try https://example.org."
        )


def usual_threads() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
