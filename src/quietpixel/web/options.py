"""Settings of the service: address, access control and limits."""

import ipaddress
import re
from dataclasses import dataclass, field

from quietpixel.errors import ArgumentError
from quietpixel.inference.options import DenoiseOptions

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on single requests and on all requests together.

    Parameters
    ----------
    max_body
        Bytes in the body of one request.
    max_pixels
        Pixels of an image over all its pages, as declared by the file.
    queue
        Requests that may wait.
    max_held
        Bytes of uploads and unfetched results over all requests.
    connections
        Open connections.
    patience
        Seconds that a client may be silent, or take to fetch the next part of its result.
    rate
        Mean bytes per second that an upload must reach once `patience` is over.
    """

    max_body: int = 128 * 2**20
    max_pixels: int = 64_000_000
    queue: int = 16
    max_held: int = 512 * 2**20
    connections: int = 1000
    patience: float = 20.0
    rate: int = 4096


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """Settings of one service.

    Parameters
    ----------
    host, port
        Address to listen on; port 0 takes a free one.
    token
        Secret that callers must send as ``Authorization: Bearer TOKEN``; None asks for none.
    open
        Whether other machines may use the service without a token.
    allow_host
        Further host names under which the service may be called.
    cors
        Origins of other sites whose pages may call the service.
    trusted_proxy
        Addresses, or networks such as ``"10.0.0.0/8"``, of proxies whose ``X-Forwarded-For`` names
        the client in the log.
    denoise
        Options of the denoisers and defaults for requests; `model` replaces the default models,
        and `streams` images are denoised at the same time.
    limits
        Limits on requests.
    grace
        Seconds that running requests get when the service shuts down.

    Raises
    ------
    ArgumentError
        If a value breaks its rule, or others could use the service without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    open: bool = False
    allow_host: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ()
    denoise: DenoiseOptions = field(default_factory=DenoiseOptions)
    limits: Limits = Limits()
    grace: int = 60

    def __post_init__(self) -> None:
        """Refuse an unsafe or impossible service before anything is loaded."""
        if not 0 <= self.port <= 65535:
            raise ArgumentError(f"`port` must lie between 0 and 65535; got {self.port}.")
        for name, hosts in {"host": (self.host,), "allow_host": self.allow_host}.items():
            for host in hosts:
                if not is_host(host):
                    raise ArgumentError(
                        f"`{name}` must be an address or a name such as pictures.example, without "
                        f"scheme, port, path and brackets; got '{host}'."
                    )
        for proxy in self.trusted_proxy:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise ArgumentError(
                    "`trusted_proxy` must be an IP address or a network, because others are never "
                    f"those of a connection; got '{proxy}'. Try 127.0.0.1 or 10.0.0.0/8."
                ) from error
        if self.limits.max_held < self.limits.max_body:
            raise ArgumentError(
                "`max_held` must be at least `max_body`, or the largest uploads would always be "
                f"refused; got {self.limits.max_held:,} and {self.limits.max_body:,} bytes."
            )
        # Checked before the port is opened: an unsafe service must not exist even for a moment.
        if self.token is not None:
            rule = (
                "not be empty because nothing else protects the service"
                if not self.token.strip()
                else "be of ASCII letters, digits and signs because it is sent in a header"
                if not re.fullmatch("[!-~]([ -~]*[!-~])?", self.token)
                else None
            )
            if rule:
                raise ArgumentError(
                    f"`token` must {rule}; pass a long random one, such as the output of "
                    "'openssl rand -hex 20'."
                )
        elif not is_local(self.host) and not self.open:
            raise ArgumentError(
                f"`host` '{self.host}' can be reached from other machines, so it needs `token`, "
                "which callers must send, or `open`, which lets anyone use the service; got "
                "neither. Omit `host` to serve this machine only."
            )
        for origin in self.cors:
            if not re.fullmatch(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", origin):
                raise ArgumentError(
                    "`cors` must be the origin of one site, in lower case as browsers send it, "
                    f"because each is permitted by name; got '{origin}'. Try https://example.org."
                )

    @property
    def slots(self) -> int:
        """Requests processed at once: one beyond `streams`, to read and write meanwhile."""
        return self.denoise.streams + 1

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Accepted host names; None accepts all."""
        # Against DNS rebinding: a foreign page can make its own name resolve to 127.0.0.1, so a
        # local service without a token must not answer to that name.
        if self.token is not None or not is_local(self.host):
            return None
        return frozenset({*LOCAL_NAMES, self.host, *map(str.lower, self.allow_host)})


def is_host(host: str) -> bool:
    """Return whether a text can be the address or the name of a host.

    Examples
    --------
    >>> is_host("example.org"), is_host("::1"), is_host("http://example.org"), is_host("")
    (True, True, False, False)
    """
    return re.fullmatch(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+(%\w+)?", host) is not None


def is_local(host: str) -> bool:
    """Return whether an address can only be reached from this machine.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
