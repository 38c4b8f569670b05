"""Ctrl-C, SIGTERM and SIGHUP take effect at once, even while a library computes for seconds."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, NoReturn

import click

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals besides Ctrl-C that end the process; Windows has no SIGHUP."""
_POLL_SECONDS = 0.1
"""Between checks for signals; the end of the work is seen at once."""
_CLEANUP_SECONDS = 0.5
"""Time limit of the cleanup, in case the work holds a lock that it needs."""


class _Ended(BaseException):
    """A signal that ends the process was received; its number is the argument."""


def run_interruptibly(work: Callable[[], int], cleanup: Callable[[], None]) -> int:
    """Return what `work` returns, computed on a thread of its own.

    The main thread only waits, so that no signal has to wait for a library. After a signal the
    process ends at once, whatever the work does; its exit code is 130 after Ctrl-C, 143 after
    SIGTERM and 129 after SIGHUP, which a terminal sends when it is closed.

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
    # What is ignored stays so: nohup is there to ignore SIGHUP.
    caught = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, _raise_ended) for each in caught}
    try:
        return _wait_for(work)
    except KeyboardInterrupt:
        _exit(cleanup, signal.SIGINT)
    except _Ended as end:
        _exit(cleanup, end.args[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_ended(number: int, frame: Any) -> NoReturn:
    raise _Ended(number)


def _wait_for(work: Callable[[], int]) -> int:
    done: Future[int] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # raised again in the main thread
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    # Waiting without a timeout would hold signals back on Windows.
    while not done.done():
        wait([done], _POLL_SECONDS)
    return done.result()


def _exit(cleanup: Callable[[], None], number: int) -> NoReturn:
    """Leave by `os._exit`, because the interpreter would wait for threads inside libraries."""
    for each in (signal.SIGINT, *ENDING):
        signal.signal(each, signal.SIG_IGN)

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
    os._exit(128 + number)
