"""Ctrl-C and SIGTERM are answered at once, even while a library computes for seconds."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import click

INTERRUPTED = 130
TERMINATED = 143
_GLANCE = 0.1
"""Seconds between looks at whether the work is done; a signal or its end is seen at once."""
_PATIENCE = 0.5
"""Seconds that the last words may take, should the work hold a lock that they need."""


class _Terminated(BaseException):
    """SIGTERM came."""


def run_interruptibly(work: Callable[[], int], last_words: Callable[[], None]) -> int:
    """Return what `work` returns, computed on a thread of its own.

    The main thread only waits, so that a signal never has to wait for a library. After one, the
    process ends without waiting for the work, whatever it does; 130 is its exit code after Ctrl-C,
    143 after SIGTERM.

    Parameters
    ----------
    work
        Does everything; what it raises is raised here.
    last_words
        Cleans up and reports in a moment, while the work may still go on; called after a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        return _wait_for(work)
    except KeyboardInterrupt:
        _end(last_words, INTERRUPTED)
    except _Terminated:
        _end(last_words, TERMINATED)
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
        except BaseException as error:  # handed to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_GLANCE)
    if errors:
        raise errors[0]
    return results[0]


def _end(last_words: Callable[[], None], code: int) -> NoReturn:
    """Leave without the interpreter's own end, which would wait for threads inside libraries."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    def speak() -> None:
        try:
            last_words()
        except OSError as error:  # such as a report that cannot be written
            click.echo(f"quietpixel: {error}", err=True)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    speaker.join(_PATIENCE)
    click.echo("quietpixel: interrupted", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
