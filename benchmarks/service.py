"""Throughput, latency, overhead and memory of the service, from real clients over HTTP.

    python benchmarks/service.py [MODEL] [--workers 1] [--seconds 20] [--requests 2000]
                                 [--size 1000 1000] [--before CHECKOUT] [--json FILE]

MODEL is a bundled name, a run folder or an .onnx file. JPEGs of --size are made here, sent
by 1, 2, 8 and 32 clients at once, each sending the next picture when the last has come back; a
client that gets 503 retries later, and the wait counts. The overhead is the time per picture at 2
clients minus the time of the engine: `quietpixel.Denoiser` on the same decoded pixels in a process
of its own, measured before and after, by the clock and in processor time, which other work on the
machine disturbs less. Memory is the resident memory reported by `/metrics` while two clients send
`--requests` pictures. --before names a checkout of an earlier version: its service and this one
take turns at 8 clients, three times each.
"""

import argparse
import http.client
import io
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from record import Record

from quietpixel.files import Picture, write_picture

ENGINE = """
import json, sys, time
from quietpixel import Denoiser
from quietpixel.files import read_picture
denoiser = Denoiser(sys.argv[1], precision=sys.argv[3])
pixels = read_picture(sys.stdin.buffer.read()).pages[0]
words = {} if sys.argv[2] == "auto" else {"sigma": float(sys.argv[2])}
for _ in range(3):
    denoiser(pixels, **words)
times, end, used = [], time.perf_counter() + float(sys.argv[4]), time.process_time()
while time.perf_counter() < end or len(times) < 5:
    start = time.perf_counter()
    denoiser(pixels, **words)
    times.append(time.perf_counter() - start)
print(json.dumps([times, (time.process_time() - used) / len(times)]))
"""


def main() -> int:
    options = read_options()
    files = [make_jpeg(*options.size, seed) for seed in range(4)]
    record = Record()
    before = time_engine(options, files[0])
    words = [f"--workers={options.workers}", "--queue=64", f"--precision={options.precision}"]
    with service(options.model, *words) as port:
        served = report_clients(port, files, options, record)
        report_preview(port, record)
        memory = report_memory(port, options, record)
        if options.before:
            report_before(port, files, options, words, record)
    after = time_engine(options, files[0])
    engine = Cost(*(statistics.mean(pair) for pair in zip(before, after, strict=True)))
    clock, processor = (a / b - 1 for a, b in zip(served, engine, strict=True))
    record.note(
        f"For an image, the engine alone takes {describe(engine)}; the service at 2 clients "
        f"{describe(served)}: {clock:+.1%} by the clock, {processor:+.1%} of processor time."
    )
    record.save(options.json)
    return int(clock > 0.15 or memory > 1.05)


class Cost(NamedTuple):
    """Seconds that a picture takes: by the clock, and of the processor."""

    clock: float
    processor: float


def describe(cost: Cost) -> str:
    return f"{1000 * cost.clock:.1f} ms, {1000 * cost.processor:.1f} ms of processor time"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="photo")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sigma", default="auto", help="a number spares both sides the estimate")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=20, help="for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 8, 32])
    parser.add_argument("--requests", type=int, default=2000, help="for the memory; 0 leaves it")
    parser.add_argument("--size", type=int, nargs=2, default=(1000, 1000), help="of the images")
    parser.add_argument("--side", type=int, default=512, help="of the pictures for the memory")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def make_jpeg(height: int, width: int, seed: int) -> bytes:
    stream = io.BytesIO()
    write_picture(make_picture(height, width, seed), stream, format="jpeg", quality=90)
    return stream.getvalue()


def make_picture(height: int, width: int, seed: int) -> Picture:
    """Return soft waves with noise of 0.06: it compresses about as photographs do."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(height)[:, None] / 97) * np.cos(np.arange(width) / 131)
    noisy = 0.5 + 0.35 * waves[:, :, None] + rng.normal(0, 0.06, (height, width, 3))
    return Picture.from_pixels(np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8))


def time_engine(options: argparse.Namespace, file: bytes) -> Cost:
    words = [options.model, options.sigma, options.precision, str(options.seconds / 2)]
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, *words], input=file, capture_output=True, check=True
    )
    times, used = json.loads(done.stdout)
    return Cost(statistics.mean(times), used)


@contextmanager
def service(model: str, *words: str, checkout: Path | None = None) -> Iterator[int]:
    """Run the service in a process of its own with further options, and yield its port."""
    with running(model, *words, checkout=checkout) as (_, port):
        yield port


@contextmanager
def running(
    model: str, *words: str, checkout: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the service as `service` does, and yield its process and port."""
    line = ["serve", "--port=0", "--quiet", "--no-browser", f"--model={model}", *words]
    source = {"PYTHONPATH": str(checkout.resolve() / "src")} if checkout else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "quietpixel", *line],
        stdout=subprocess.PIPE, text=True, env=os.environ | source,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+) ", process.stdout.readline())
        assert found, "the service did not begin"
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait()


class Client:
    """Sends pictures over one connection, one after the other."""

    def __init__(self, port: int, query: str, path: str = "/v1/denoise") -> None:
        self.times: list[float] = []
        self.refused = 0
        self._path = f"{path}{query}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def send(self, file: bytes) -> None:
        start = time.perf_counter()
        while True:
            self._connection.request("POST", self._path, file)
            answer = self._connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            assert answer.status == 503, answer.status
            self.refused += 1
            time.sleep(float(answer.headers["Retry-After"]))
        self.times.append(time.perf_counter() - start)


def report_clients(
    port: int, files: list[bytes], options: argparse.Namespace, record: Record
) -> Cost:
    """Print a row for each number of clients; return what a picture takes at 2."""
    query = "" if options.sigma == "auto" else f"?sigma={options.sigma}"
    run_clients(port, files, 2, query, 3)
    record.table(
        "clients", "images/s", "processor time, ms", "p50, ms", "p95, ms", "p99, ms", "refused"
    )
    at_two = Cost(float("nan"), float("nan"))
    for count in options.clients:
        used = read_metric(port, "process_cpu_seconds_total")
        clients, seconds = run_clients(port, files, count, query, options.seconds)
        used = read_metric(port, "process_cpu_seconds_total") - used
        times = sorted(each for client in clients for each in client.times)
        quantiles = (f"{1000 * float(np.percentile(times, part)):.0f}" for part in (50, 95, 99))
        refused = sum(client.refused for client in clients)
        rate = len(times) / seconds
        processor = f"{1000 * used / len(times):.0f}"
        record.row(f"{count}", f"{rate:.2f}", processor, *quantiles, f"{refused}")
        at_two = Cost(1 / rate, used / len(times)) if count == 2 else at_two
    return at_two


def run_clients(
    port: int, files: list[bytes], count: int, query: str, seconds: float
) -> tuple[list[Client], float]:
    """Let clients send for a while; return them and how long it took until the last was done."""
    clients = [Client(port, query) for _ in range(count)]
    start = time.perf_counter()

    def work(number: int) -> None:
        sent = number
        while time.perf_counter() - start < seconds:
            clients[number].send(files[sent % len(files)])
            sent += 1

    run_threads(work, count)
    return clients, time.perf_counter() - start


def report_before(
    port: int, files: list[bytes], options: argparse.Namespace, words: list[str], record: Record
) -> None:
    """Let this service and that of an earlier version take turns; report both."""
    rounds = []
    with service(options.model, *words, checkout=options.before) as earlier:
        for each in (port, earlier) * 4:
            clients, seconds = run_clients(each, files, 8, "", options.seconds)
            times = [time for client in clients for time in client.times]
            rounds.append((len(times) / seconds, 1000 * float(np.percentile(times, 95))))
    # The first of each is for warming up.
    now, then = (np.median(rounds[start::2], axis=0) for start in (2, 3))
    record.note(
        f"At 8 clients, in turn with the version before: {now[0]:.2f} images/s, p95 {now[1]:.0f} "
        f"ms, where that makes {then[0]:.2f}, {then[1]:.0f} ms: {now[0] / then[0]:.2f} times."
    )


def report_preview(port: int, record: Record) -> None:
    """Print how long the page's preview of a screen-sized part takes, there and back."""
    pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    client = Client(port, "?format=pnm", path="/page/preview")
    for _ in range(12):
        client.send(b"P6 1280 720 255\n" + pixels.tobytes())
    times = [1000 * each for each in client.times[2:]]
    median, most = statistics.median(times), max(times)
    record.note(f"A preview of 1280 x 720 takes {median:.0f} ms (median; longest {most:.0f} ms).")


def report_memory(port: int, options: argparse.Namespace, record: Record) -> float:
    """Send pictures; report how much the memory grew after the first quarter, and return it."""
    if not options.requests:
        return 1.0
    files = [make_jpeg(options.side, options.side + 16 * seed, seed) for seed in range(4)]
    levels, parts = [], 20
    for _ in range(parts):

        def work(number: int) -> None:
            client = Client(port, "")
            for sent in range(options.requests // parts // 2):
                client.send(files[(number + sent) % len(files)])

        run_threads(work, 2)
        levels.append(read_metric(port, "process_resident_memory_bytes") / 2**20)
    growth = max(levels[parts // 4 :]) / levels[parts // 4]
    record.note(
        f"Memory after {options.requests // 4} images: {levels[parts // 4]:.0f} MiB; it grew by "
        f"{growth - 1:.1%} until {options.requests}."
    )
    return growth


def run_threads(work, count: int) -> None:  # type: ignore[no-untyped-def]
    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


if __name__ == "__main__":
    sys.exit(main())
