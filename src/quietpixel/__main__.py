"""The command ``quietpixel``, also as ``python -m quietpixel``."""

import os
import signal
import sys
from typing import Any


def main() -> int:
    """Run the command line; Ctrl-C during the imports, which take 0.1 s, ends it in one line."""

    def leave(number: int, frame: Any) -> None:
        # Not by an exception, which an import would report with a traceback.
        os.write(2, b"quietpixel: interrupted\n")
        os._exit(128 + number)

    # A shell starts background jobs with Ctrl-C ignored.
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if own:
        signal.signal(signal.SIGINT, leave)
    from quietpixel.cli.main import main as run

    if own:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()


if __name__ == "__main__":
    sys.exit(main())
