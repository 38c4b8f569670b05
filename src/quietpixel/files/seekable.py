"""Writing by libraries that need a file which they can read and seek in."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file of the system with the content of `file` to be: itself, or a temporary one."""
    try:
        is_file = file.fileno() >= 0 and file.seekable() and file.readable()
    except (AttributeError, OSError):
        is_file = False
    if is_file:
        yield file
        return
    with tempfile.TemporaryFile() as between:
        yield between
        between.seek(0)
        shutil.copyfileobj(between, file, 1 << 20)
