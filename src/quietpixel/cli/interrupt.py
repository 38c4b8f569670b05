"""Ctrl-C and SIGTERM take effect at once, even while a library computes for seconds."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import click

INTERRUPTED = 130
TERMINATED = 143
_POLL_SECONDS = 0.1
"""Between checks for signals; the end of the work is seen at once."""
_CLEANUP_SECONDS = 0.5
"""Time limit of the cleanup, in case the work holds a lock that it needs."""


class _Terminated(BaseException):
    """SIGTERM was received."""


def run_interruptibly(work: Callable[[], int], cleanup: Callable[[], None]) -> int:
    """Return what `work` returns, computed on a thread of its own.

    The main thread only waits, so that no signal has to wait for a library. After a signal the
    process ends at once, whatever the work does; its exit code is 130 after Ctrl-C and 143 after
    SIGTERM.

    Parameters
    ----------
    work
        Does everything; what it raises is raised here.
    cleanup
        Called after a signal, while the work may still go on, to clean up and report briefly.
    """
    # Python delivers signals to the main thread only, so elsewhere there is nothing to gain.
    if threading.current_thread() is not threading.main_thread():
        return work()
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        return _wait_for(work)
    except KeyboardInterrupt:
        _exit(cleanup, INTERRUPTED)
    except _Terminated:
        _exit(cleanup, TERMINATED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise_terminated(number: int, frame: Any) -> NoReturn:
    raise _Terminated


def _wait_for(work: Callable[[], int]) -> int:
    results: list[int] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again in the main thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    # A join without a timeout would hold signals back on Windows.
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
    if errors:
        raise errors[0]
    return results[0]


def _exit(cleanup: Callable[[], None], code: int) -> NoReturn:
    """Leave by `os._exit`, because the interpreter would wait for threads inside libraries."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    def clean() -> None:
        try:
            cleanup()
        except OSError as error:  # such as a report that cannot be written
            click.echo(f"quietpixel: {error}", err=True)

    cleaner = threading.Thread(target=clean, daemon=True)
    cleaner.start()
    cleaner.join(_CLEANUP_SECONDS)
    click.echo("quietpixel: interrupted", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
