"""Uploads over real connections: too long, too slow, cut, many at once."""

import contextlib
import socket
import time

import httpx
from web_making import coded, detail, noisy, wait_for

from quietpixel.web.options import Limits


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def head(length: int, *more: str) -> bytes:
    lines = ["POST /v1/denoise HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_bodies_beyond_the_limit_are_413(make_client):
    client = make_client(Limits(max_body=1000))
    whole = client.post("/v1/denoise", content=b"x" * 1001)
    assert "longer than the 1,000 bytes" in detail(whole, 413)
    chunks = (b"x" * 100 for _ in range(20))
    assert "larger `max_body`" in detail(client.post("/v1/denoise", content=chunks), 413)
    form = client.post("/v1/denoise", files={"file": ("a.png", b"x" * 2000)})
    assert form.status_code == 413
    assert client.app.state.shared.memory.bytes == 0


def test_a_client_that_expects_100_is_refused_before_it_sends(start):
    port, _ = start(Limits(max_body=1000))
    with connect(port) as connection:
        connection.sendall(head(10**12, "Expect: 100-continue"))
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_refused_upload_gets_a_response_and_not_a_broken_connection(make_client):
    client = make_client(Limits(max_body=1000))
    for _ in range(5):
        assert client.post("/v1/denoise", content=b"x" * 3_000_000).status_code == 413


def test_uploads_beyond_the_memory_budget_are_503(start):
    port, app = start(Limits(max_body=5000, max_held=5000))
    with connect(port) as connection:
        connection.sendall(head(4500) + b"x" * 4400)
        wait_for(lambda: app.state.shared.memory.bytes == 4400)
        answer = httpx.post(f"http://localhost:{port}/v1/denoise", content=b"x" * 1000)
        assert "use all the memory allowed for them" in detail(answer, 503)
        assert answer.headers["retry-after"] == "5"
    wait_for(lambda: app.state.shared.memory.bytes == 0)
    metrics = f"http://localhost:{port}/metrics"
    assert 'quietpixel_refused_total{reason="memory"} 1' in httpx.get(metrics).text
    wait_for(lambda: "quietpixel_clients_gone_total 1" in httpx.get(metrics).text)


def test_silent_and_trickling_uploads_time_out(start):
    port, _ = start(Limits(patience=0.3, rate=10_000))
    with connect(port) as silent:
        silent.sendall(head(1000) + b"x")
        assert b"The body arrived too slowly" in read_all(silent)
    with connect(port) as trickling:
        trickling.sendall(head(1000))
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                trickling.sendall(b"x")
                time.sleep(0.02)
        assert read_all(trickling).startswith(b"HTTP/1.1 408 ")


def test_two_hundred_slow_and_cut_connections_do_not_disturb(start):
    """Some never complete their head, some their body, some disconnect in between."""
    port, app = start(Limits(patience=600.0))  # so that they are still there meanwhile
    file = coded(noisy())
    with contextlib.ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(connect(port))
            kind = number % 4
            if kind == 0:
                connection.sendall(b"POST /v1/denoise HTT")
            elif kind == 1:
                connection.sendall(head(len(file)) + file[:100])
            elif kind == 2:
                connection.sendall(head(len(file)) + file[:50])
                connection.close()
        # Its timeout passes before a slow one is given up.
        with httpx.Client(base_url=f"http://localhost:{port}", timeout=60) as client:
            for _ in range(5):
                assert client.post("/v1/denoise", content=file).status_code == 200
    wait_for(lambda: app.state.shared.memory.bytes == 0 and app.state.shared.queue.working == 0)
