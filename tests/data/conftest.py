"""A tiny data set in IDX files, mirrors on loopback with faults, and no other network."""

import gzip
import hashlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from quietpixel.data import idx
from quietpixel.data.idx import IdxSet

from ..waiting import PATIENCE

CONTENT: dict[str, bytes] = {}
"""The uncompressed content of each file of the tiny set: 8 training images and 4 for test."""


def pack_idx(array: np.ndarray) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


for _part, _count in (("train", 8), ("t10k", 4)):
    _rng = np.random.default_rng(_count)
    CONTENT[f"{_part}-images-idx3-ubyte"] = pack_idx(_rng.integers(0, 256, (_count, 5, 6)))
    CONTENT[f"{_part}-labels-idx1-ubyte"] = pack_idx(np.arange(_count))

SUMS = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}


@dataclass
class Mirror:
    """A server of the tiny set, with one fault or none."""

    fault: str = ""
    asked: list[str] = field(default_factory=list)
    address: str = ""
    closed: Event = field(default_factory=Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        body = gzip.compress(CONTENT[name.removesuffix(".gz")])
        if self.fault == "missing":
            request.send_error(404)
        else:
            self.send(request, body)

    def send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.fault == "slow":
            self.closed.wait(PATIENCE)
        if self.fault == "wrong":
            body = gzip.compress(pack_idx(np.zeros((4, 5, 6))))
        if self.fault == "page":
            body = b"<html>Please log in to this network</html>"
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if self.fault == "cut" else body)


def make_handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                mirror.answer(self)
            except OSError:  # a slow answer that nobody waits for any more
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def make_mirror() -> Iterator[Callable[..., Mirror]]:
    servers: list[tuple[Mirror, ThreadingHTTPServer]] = []

    def make(fault: str = "") -> Mirror:
        mirror = Mirror(fault)
        server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(mirror))
        servers.append((mirror, server))
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        mirror.address = f"http://127.0.0.1:{server.server_port}/tiny/"
        return mirror

    yield make
    for mirror, server in servers:
        mirror.closed.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_address() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as bound:  # and nothing can begin to
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/tiny/"


@pytest.fixture
def make_set() -> Callable[..., IdxSet]:
    def make(*mirrors: str) -> IdxSet:
        return IdxSet("tiny", mirrors, SUMS, train_count=6, timeout=PATIENCE)

    return make


@pytest.fixture
def fill_folder() -> Callable[..., Path]:
    """Write the tiny set into a folder, packed or not."""

    def fill(folder: Path, *, packed: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in CONTENT.items():
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
        return folder

    return fill


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and neither proxies nor a folder from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("QUIETPIXEL_DATA", raising=False)
    monkeypatch.setattr(idx, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):  # type: ignore[index]
            raise AssertionError(f"A test must not use the network; it asked for {address}.")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
