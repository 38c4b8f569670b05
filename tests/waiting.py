"""Waiting for what other threads and processes do, however busy the machine is."""

import subprocess
import time
from collections.abc import Callable

PATIENCE = 120
"""Seconds that a busy machine may take for anything."""


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Poll until a condition holds, and fail if it never does or a process ends before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
