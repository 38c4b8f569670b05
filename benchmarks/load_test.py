"""Loads the service for minutes with clients of every kind, and checks that it stays well.

    python benchmarks/load_test.py [MODEL] [--minutes 10] [--large 24] [--scale 1]

Two clients send pictures of `--large` megapixels, 20 of 0.3; 50 send slowly, and 20 leave in the
middle of the work. The service is ended by SIGTERM and started again `--restarts` times; while it
drains, `/readyz` must not say that it is ready. `--scale` multiplies the numbers of clients. Prints
the answers by status and the resident memory now and then. Ends with 1 after any 5xx other than 503
with Retry-After, if a service that drains says that it is ready, or if the memory between two
restarts grows by more than a tenth after the first third.
"""

import argparse
import collections
import http.client
import signal
import socket
import sys
import threading
import time

from service import make_jpeg, read_metric, running

SMALL = 0.3
MINUTE = 60.0
LEVELS = 9
"""How often the memory is read between two restarts."""


class Load:
    """Counts answers, and tells the clients where the service is and when to stop."""

    def __init__(self) -> None:
        self.port, self.stop = 0, False
        self.answers: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def count(self, word: object) -> None:
        with self._lock:
            self.answers[str(word)] += 1

    def repeat(self, act) -> None:  # type: ignore[no-untyped-def]
        """Let a client act until the end; a service that restarts is no fault."""
        while not self.stop:
            try:
                act()
            except (OSError, http.client.HTTPException):
                self.count("no connection")
                time.sleep(0.2)

    def send(self, file: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/v1/denoise", file)
        answer = connection.getresponse()
        answer.read()
        retry = answer.headers["Retry-After"]
        self.count(answer.status if answer.status != 503 or retry else "503 without Retry-After")
        if retry:
            time.sleep(min(float(retry), 5))

    def send_slowly(self, file: bytes) -> None:
        """Send a kilobyte a second, which is below the rate that the service accepts."""
        with self._open(len(file)) as connection:
            for at in range(0, len(file), 1024):
                if self.stop:
                    return
                connection.sendall(file[at : at + 1024])
                time.sleep(1)
            self.count(connection.recv(12)[9:].decode())

    def leave(self, file: bytes) -> None:
        """Send a picture and leave while it is in work."""
        with self._open(len(file)) as connection:
            connection.sendall(file)
            time.sleep(0.3)
        self.count("left")

    def _open(self, length: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        head = f"POST /v1/denoise HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        return connection


def main() -> int:
    options = read_options()
    side = round((options.large * 1e6) ** 0.5)
    large, small = make_jpeg(side, side, 0), make_jpeg(450, 667, 1)
    load, grown, ready = Load(), False, 0
    kinds = [(2, load.send, large), (20, load.send, small)]
    kinds += [(50, load.send_slowly, small), (20, load.leave, small)]
    threads = [
        threading.Thread(target=load.repeat, args=[lambda act=act, file=file: act(file)])
        for count, act, file in kinds
        for _ in range(max(1, round(options.scale * count)))
    ]
    for _ in range(options.restarts + 1):
        with running(options.model) as (process, port):
            load.port = port
            for thread in threads:
                if not thread.ident:
                    thread.start()
            grown |= watch_memory(port, load, options.minutes / (options.restarts + 1))
            process.send_signal(signal.SIGTERM)
            ready += says_ready(port)
    load.stop = True
    for thread in threads:
        thread.join()
    faults = [word for word in load.answers if word.startswith("5") and word != "503"]
    print(f"faults {faults}, memory grown {grown}, ready while draining {ready}")
    return int(bool(faults) or grown or ready > 0)


def watch_memory(port: int, load: Load, minutes: float) -> bool:
    """Print memory and answers now and then; return whether the memory grew after a third."""
    levels = []
    for _ in range(LEVELS):
        time.sleep(MINUTE * minutes / LEVELS)
        levels.append(read_metric(port, "process_resident_memory_bytes") / 2**20)
        print(f"{levels[-1]:.0f} MiB, {dict(load.answers)}", flush=True)
    return max(levels[LEVELS // 3 :]) > 1.1 * max(levels[: LEVELS // 3])


def says_ready(port: int) -> bool:
    """Return whether a service that drains says that it is ready; a closed one does not."""
    time.sleep(0.2)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="photo")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--large", type=float, default=24)
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
