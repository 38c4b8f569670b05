"""Keeps what libraries write below Python out of standard output, and hides it in part."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module


@contextlib.contextmanager
def own_stdout() -> Iterator[None]:
    """Send what libraries write to the process's standard output to standard error.

    What Python writes may be JSON or an image, which a line of a decoder would damage.
    """
    stream = sys.stdout
    try:
        ours = stream.fileno() == 1 and os.fstat(2)
    except (AttributeError, OSError, ValueError):  # closed, or replaced by a caller
        ours = None
    if not ours:
        yield
        return
    stream.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    own = open(kept, "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115
    sys.stdout = own
    try:
        yield
    finally:
        os.dup2(kept, 1)
        sys.stdout = stream
        with contextlib.suppress(BrokenPipeError):  # of a reader that left, which click reports
            own.close()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back what is written to the process's standard error; print it if the block fails.

    TensorFlow announces oneDNN before any of its own settings can silence it.
    """
    # Otherwise text in Python's own buffer would get into the file.
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = False
        try:
            yield
        except Exception:  # not Ctrl-C, on which one line is enough
            failed = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held.seek(0)
                with open(2, "wb", closefd=False) as error:
                    shutil.copyfileobj(held, error)


def load_training() -> None:
    """Import what training needs, quietly; whoever needs a missing package reports it."""
    with contextlib.suppress(ModuleNotFoundError), held_back():
        import_module("quietpixel.training.trainer")
