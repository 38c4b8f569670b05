"""Files that never reach a disk."""

import io
import os
from typing import BinaryIO


def memory_file() -> BinaryIO:
    """Return an empty binary file in memory; under Linux one that the system knows too.

    A TIFF is written through a file of the system. Linux has such files in memory; elsewhere the
    writer of TIFF takes an unnamed temporary file between.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("quietpixel"), "w+b")
    return io.BytesIO()
