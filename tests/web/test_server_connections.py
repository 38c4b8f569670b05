"""Connections that send nothing or no HTTP, or do not read their response."""

import contextlib
import socket
import time

import httpx
import numpy as np
from web_making import coded

from quietpixel.web.options import Limits


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def read_to_end(connection: socket.socket) -> None:
    """Read until the service closes the connection; fail if it does not, by its timeout."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass


def test_incomplete_request_heads_time_out(start):
    port, _ = start(Limits(patience=0.3))
    start_time = time.monotonic()
    with connect(port) as silent:
        read_to_end(silent)
    assert time.monotonic() - start_time > 0.2
    with connect(port) as half:
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        read_to_end(half)
    with connect(port) as second:
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert second.recv(65536).startswith(b"HTTP/1.1 200")
        second.sendall(b"GET /hea")
        read_to_end(second)


def test_answers_on_a_connection_in_use_come_at_once(client):
    """The system held each back for 40 ms, in the hope of more to send with it."""

    def seconds() -> float:
        start_time = time.monotonic()
        client.get("/healthz")
        return time.monotonic() - start_time

    assert min(seconds() for _ in range(10)) < 0.02


def test_a_client_that_does_not_read_is_dropped(start):
    port, app = start(Limits(patience=0.5))
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    body = coded(noise, "BMP")
    line = "POST /v1/denoise?strength=0 HTTP/1.1\r\nHost: localhost\r\n"
    head = f"{line}Content-Length: {len(body)}\r\n\r\n"
    with connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head.encode() + body)
        memory = app.state.shared.memory
        end = time.monotonic() + 60
        while memory.bytes == 0 and time.monotonic() < end:
            time.sleep(0.01)
        while memory.bytes and time.monotonic() < end:
            time.sleep(0.05)
        assert memory.bytes == 0


def test_other_protocols_are_refused(start):
    port, _ = start()
    with connect(port) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"application/problem+json" in answer
    assert b"The request is not valid HTTP/1.1" in answer


def test_long_headers_are_431(start):
    port, _ = start()
    for size in (300_000, 2_000_000):  # more than one read takes
        with connect(port) as connection:
            line = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * size}\r\n\r\n"
            connection.sendall(line.encode())
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
        assert b"application/problem+json" in answer


def test_connections_beyond_the_limit_are_refused(start):
    port, _ = start(Limits(connections=3))
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(connect(port)) for _ in range(3)]
        kept[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept[0].recv(4096).startswith(b"HTTP/1.1 200")
        fourth = stack.enter_context(connect(port))
        answer = fourth.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"Retry-After: 5" in answer
    assert httpx.get(f"http://localhost:{port}/healthz").status_code == 200
