"""Hides what libraries write to standard error below Python."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module


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
        try:
            yield
        except BaseException:
            _give_back(kept)
            held.seek(0)
            with open(2, "wb", closefd=False) as error:
                shutil.copyfileobj(held, error)
            raise
        _give_back(kept)


def _give_back(kept: int) -> None:
    sys.stderr.flush()
    os.dup2(kept, 2)
    os.close(kept)


def load_training() -> None:
    """Import what training needs, quietly; whoever needs a missing package reports it."""
    with contextlib.suppress(ModuleNotFoundError), held_back():
        import_module("quietpixel.training.trainer")
