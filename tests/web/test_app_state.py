"""Work in threads: progress, cancellation, and isolation of failures."""

import gc
import logging
import socket
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
from web_making import coded, detail, noisy, wait_for

from quietpixel.errors import ImageError
from quietpixel.inference import planes
from quietpixel.web import processing, request_queue
from quietpixel.web.options import Limits


def send(port: int, query: str = "") -> socket.socket:
    body = coded(noisy())
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    line = f"POST /v1/denoise{query} HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall(f"{line}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_work_ends_when_its_client_disconnects(start, slow):
    port, app = start()
    app_state = app.state.shared
    connection = send(port)
    wait_for(lambda: slow.steps > 2)
    connection.close()
    wait_for(lambda: app_state.queue.working == 0)
    steps = slow.steps
    time.sleep(0.1)
    assert slow.steps == steps
    wait_for(lambda: app_state.memory.bytes == 0)
    metrics = f"http://localhost:{port}/metrics"
    wait_for(lambda: "quietpixel_clients_gone_total 1" in httpx.get(metrics).text)


@pytest.mark.parametrize("stage", ["read", "denoise"])
def test_work_of_a_gone_client_ends_with_its_stage_and_frees_its_memory(
    start, slow, monkeypatch, stage
):
    reading, read = threading.Event(), processing.read
    pages = []

    def slow_read(upload, max_pixels):
        picture = read(upload, max_pixels)
        pages.append(weakref.ref(picture.pages[0]))
        if stage == "read":
            reading.wait(60)
        return picture

    monkeypatch.setattr(processing, "read", slow_read)
    port, app = start()
    connection = send(port, "?job=mine")
    wait_for(lambda: app.state.shared.jobs)
    cancelled = app.state.shared.jobs["mine"]._cancelled
    wait_for(lambda: pages and (stage == "read" or slow.steps))
    connection.close()
    gc.disable()  # memory must not wait for the garbage collector
    try:
        wait_for(cancelled.is_set)
        reading.set()
        wait_for(lambda: app.state.shared.queue.working == 0)
        wait_for(lambda: pages[0]() is None)
    finally:
        gc.enable()
    assert stage == "denoise" or slow.steps == 0


def test_clients_that_disconnect_leave_the_queue(start, slow):
    port, app = start()
    queue = app.state.shared.queue
    connections = [send(port) for _ in range(6)]
    wait_for(lambda: queue.waiting == 4)
    for connection in connections[2:]:
        connection.close()
    wait_for(lambda: queue.waiting == 0)
    assert queue.working == 2
    slow.released.set()
    for connection in connections[:2]:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()


def test_a_full_queue_is_503_and_other_routes_still_answer(start, slow):
    port, _ = start(Limits(queue=2))
    connections = [send(port) for _ in range(4)]
    address = f"http://localhost:{port}"
    wait_for(lambda: "quietpixel_waiting 2" in httpx.get(f"{address}/metrics").text)
    answer = httpx.post(f"{address}/v1/denoise", content=coded(noisy()))
    assert "Too many requests are waiting" in detail(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert httpx.get(f"{address}/healthz").status_code == 200
    assert "quietpixel_working 2" in httpx.get(f"{address}/metrics").text
    slow.released.set()
    for connection in connections:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()


def test_retry_after_follows_the_time_that_requests_take(start, slow, monkeypatch):
    port, _ = start(Limits(queue=0))
    connections = [send(port) for _ in range(2)]
    address = f"http://localhost:{port}"
    wait_for(lambda: "quietpixel_working 2" in httpx.get(f"{address}/metrics").text)
    # Two slots: one is expected to be free after half of this.
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 2.5)
    monkeypatch.setattr(request_queue, "time", later)
    answer = httpx.post(f"{address}/v1/denoise", content=coded(noisy()))
    slow.released.set()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 2
    for connection in connections:
        connection.recv(100)
        connection.close()


def test_progress_can_be_queried_by_name(start, slow):
    port, _ = start()
    address = f"http://localhost:{port}/page/progress?job=mine&job=other"
    assert httpx.get(address).json() == {}
    with ThreadPoolExecutor(1) as pool:
        body = coded(noisy())
        answer = pool.submit(
            httpx.post, f"http://localhost:{port}/v1/denoise?job=mine", content=body
        )
        wait_for(lambda: httpx.get(address).json() == {"mine": 0.25})
        slow.released.set()
        assert answer.result().status_code == 200
    assert httpx.get(address).json() == {}


def test_a_failure_is_500_and_the_next_request_works(start, models, monkeypatch, caplog):
    port, app = start()
    address = f"http://localhost:{port}/v1/denoise"

    def broken(job, on_progress):
        raise RuntimeError("the engine broke")

    with monkeypatch.context() as patch:
        patch.setattr(planes, "run", broken)
        with caplog.at_level(logging.ERROR, "quietpixel.web"):
            answer = httpx.post(address, content=coded(noisy()))
    assert "The service failed at this request" in detail(answer, 500)
    assert "engine broke" not in answer.text
    assert "the engine broke" in caplog.text
    assert httpx.post(address, content=coded(noisy())).status_code == 200
    assert "quietpixel_faults_total 1" in httpx.get(f"http://localhost:{port}/metrics").text
    assert app.state.shared.queue.working == 0


def test_too_little_memory_is_503(start, models, monkeypatch):
    port, _ = start()

    def fail(name):
        raise MemoryError

    monkeypatch.setattr(models, "open", fail)
    answer = httpx.post(f"http://localhost:{port}/v1/denoise", content=coded(noisy()))
    assert detail(answer, 503) == "There is not enough memory for this."


def test_memory_of_a_refused_image_is_freed(start, monkeypatch):
    port, _ = start()
    pages = []

    def refuse(job, on_progress):
        pages.append(weakref.ref(job.images))
        raise ImageError("`image` must be finite.")

    monkeypatch.setattr(planes, "run", refuse)
    gc.disable()
    try:
        answer = httpx.post(f"http://localhost:{port}/v1/denoise", content=coded(noisy()))
        assert detail(answer, 422) == "`image` must be finite."
        wait_for(lambda: pages[0]() is None)
    finally:
        gc.enable()
