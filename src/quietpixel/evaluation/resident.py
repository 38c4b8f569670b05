"""How much memory a call takes, as the system counts it."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

PROCESS = Path("/proc/self")
FORGET_PEAK = "5"
"""What, written to ``clear_refs``, makes Linux begin anew with the peak it remembers."""


def measure_growth(call: Callable[[], Result]) -> tuple[Result, int | None]:
    """Return what `call` returns, and by how many bytes the resident memory grew at its peak.

    What the process kept from before and uses again is not counted. ``None`` where the system does
    not tell: this is how Linux does.

    References
    ----------
    proc_pid_clear_refs(5), proc_pid_status(5): ``VmRSS``, ``VmHWM``.
    """
    try:
        (PROCESS / "clear_refs").write_text(FORGET_PEAK)
    except OSError:
        return call(), None
    before = _read("VmRSS")
    result = call()
    after = _read("VmHWM")
    return result, None if before is None or after is None else max(after - before, 0)


def _read(word: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in (PROCESS / "status").read_text().splitlines():
            if line.startswith(f"{word}:"):
                return int(line.split()[1]) * 1024
    return None
