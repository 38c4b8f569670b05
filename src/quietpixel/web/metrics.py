"""Metrics of the service in the text format of Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE

__all__ = ["MEDIA_TYPE", "Metrics"]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: a preview takes tens of milliseconds, an image of 64 megapixels up to a minute."""


class Metrics:
    """Counters and the request times of one application, with a registry of their own."""

    def __init__(self) -> None:
        # A registry of its own, because tests have several applications in one process.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series per counter
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = self._counter("requests", "Answered requests.", "method", "path", "status")
        self.refused = self._counter("refused", "Requests refused by a limit.", "reason")
        self.clients_gone = self._counter("clients_gone", "Requests cancelled by their client.")
        self.faults = self._counter("faults", "Requests that failed inside the service.")
        self.pixels = self._counter("pixels", "Pixels denoised.", "model")
        self.seconds = Histogram(
            "quietpixel_request_seconds",
            "Time from the request to the end of its response.",
            ["path"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"quietpixel_{name}", description, labels, registry=self._registry)

    def add_gauge(self, name: str, description: str, function: Callable[[], float]) -> None:
        """Add a gauge whose value is read when the text is made."""
        Gauge(f"quietpixel_{name}", description, registry=self._registry).set_function(function)

    def to_text(self) -> bytes:
        """Return all metrics in the text format 0.0.4."""
        return generate_latest(self._registry)
