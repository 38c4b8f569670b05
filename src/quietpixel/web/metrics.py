"""Counts what the service does, and tells it in the text format of Prometheus."""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters and one histogram; gauges are asked when the text is made."""

    def __init__(self) -> None:
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "process_resident_memory_bytes": ("Memory that the process holds.", resident_bytes),
        }
        self._start = time.time()
        self._counts: dict[str, Counter[Labels]] = defaultdict(Counter)
        self._seconds: dict[Labels, Counter[float]] = defaultdict(Counter)
        self._sums: Counter[Labels] = Counter()

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        self._counts[name][tuple(labels.items())] += amount  # type: ignore[assignment]

    def observe(self, seconds: float, /, **labels: str) -> None:
        """Note how long a request took."""
        key = tuple(labels.items())
        bound = next((bound for bound in BOUNDS if seconds <= bound), float("inf"))
        self._seconds[key][bound] += 1
        self._sums[key] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        used = (
            "# HELP process_cpu_seconds_total Time of the processor that the process used.",
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {time.process_time():.3f}",
        )
        return "\n".join([*self._counters(), *self._histogram(), *used, *self._gauges(), ""])

    def _counters(self) -> Iterator[str]:
        for name, description in COUNTERS.items():
            yield f"# HELP {name} {description}"
            yield f"# TYPE {name} counter"
            for labels, value in sorted((self._counts[name] or {(): 0}).items()):
                yield f"{name}{_braces(labels)} {value:g}"

    def _histogram(self) -> Iterator[str]:
        name = "quietpixel_request_seconds"
        yield f"# HELP {name} Time from the request to the end of its answer."
        yield f"# TYPE {name} histogram"
        for labels, counts in sorted(self._seconds.items()):
            total = 0
            for bound in (*BOUNDS, float("inf")):
                total += counts[bound]
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{name}_bucket{_braces((*labels, ('le', edge)))} {total}"
            yield f"{name}_sum{_braces(labels)} {self._sums[labels]:.6f}"
            yield f"{name}_count{_braces(labels)} {total}"

    def _gauges(self) -> Iterator[str]:
        start = ("When the service began.", lambda: self._start)
        for name, (description, ask) in {
            **self.gauges,
            "process_start_time_seconds": start,
        }.items():
            yield f"# HELP {name} {description}"
            yield f"# TYPE {name} gauge"
            yield f"{name} {ask():.15g}"


COUNTERS = {
    "quietpixel_requests_total": "Answered requests.",
    "quietpixel_refused_total": "Requests sent away for want of room.",
    "quietpixel_clients_gone_total": "Requests whose client left before the answer.",
    "quietpixel_faults_total": "Requests at which the service itself failed.",
    "quietpixel_pixels_total": "Pixels denoised.",
}


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in labels)
    return f"{{{inner}}}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def resident_bytes() -> float:
    """Return the memory that this process holds, or not-a-number where nobody tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE")
