"""The command ``quietpixel``, also as ``python -m quietpixel``."""

import os
import sys


def leave(number: int, frame: object) -> None:
    """End the process after a signal; an exception might be reported with a traceback."""
    os.write(2, b"quietpixel: interrupted\n")
    os._exit(128 + number)


try:
    import signal
except KeyboardInterrupt:  # while enum is imported, which takes milliseconds
    leave(2, None)


def main() -> int:
    """Run the command line; a signal that no command handles ends the process in one line."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A shell starts background jobs with Ctrl-C ignored, and nohup is there to ignore SIGHUP.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
    _fill_closed_streams()
    from quietpixel.cli.main import main as run

    if signal.getsignal(signal.SIGINT) is not leave:
        return run()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as the commands expect it
        code = run()
        signal.signal(signal.SIGINT, leave)  # Python ends with a traceback, too
    except KeyboardInterrupt:  # before or after all that `run` catches
        leave(signal.SIGINT, None)
    return code


def _fill_closed_streams() -> None:
    """Lead closed standard streams nowhere: an image that got their number would get messages."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # for workers, too
    os.close(descriptor)
    if sys.stderr is None:  # standard output may stay so, where nothing is to be written to it
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())
