"""The one place that talks to libvips: quiet, with errors as sentences.

libvips' operation cache is turned off, because it would keep large pictures in memory after use.
Its warnings reach Python's logging; `collect_warnings` gathers them so that a picture can say them.
"""

import contextlib
import errno
import io
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips

from quietpixel.errors import FileError
from quietpixel.files.picture import Metadata, Pixels

pyvips.cache_set_max(0)

VipsError = pyvips.Error

_PREFIX = re.compile(r"^(?:[\w ]*(?:vips|load|save)\w*:\s*)+", re.IGNORECASE)
"""The name of the function of libvips that speaks."""

_DTYPES = {
    "uchar": "uint8", "char": "int8", "ushort": "uint16", "short": "int16", "uint": "uint32",
    "int": "int32", "float": "float32",
}  # fmt: skip


class Warnings(list[str]):
    """What libvips warned of; `shared` if another thread's picture may be meant."""

    shared = False


class _Collector(logging.Handler):
    """Gathers warnings, for each thread that asked for them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lists: dict[int, Warnings] = {}

    def emit(self, record: logging.LogRecord) -> None:
        # libvips decodes on threads of its own: a warning may concern any reader now at work.
        text = record.getMessage().strip().splitlines()
        lists = list(self.lists.values())
        for found in lists:
            found.shared = found.shared or len(lists) > 1
            found.extend(line for line in text if line)


_collector = _Collector()
logging.getLogger("pyvips").addHandler(_collector)
logging.getLogger("pyvips").propagate = False


@contextlib.contextmanager
def collect_warnings() -> Iterator[Warnings]:
    """Give a list that fills with what libvips warns of while the block runs."""
    key = threading.get_ident()
    found = Warnings()
    _collector.lists[key] = found
    try:
        yield found
    finally:
        _collector.lists.pop(key, None)


def find_loader(name: str) -> Any:
    """Return libvips' function that opens a source with the loader of a name."""
    return getattr(pyvips.Image, f"{name}_source")


def open_source(source: Path | bytes) -> Any:
    """Return a libvips source for a file or bytes; any file name works, as it is opened here."""
    if isinstance(source, bytes):
        return pyvips.Source.new_from_memory(source)
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return pyvips.Source.new_from_descriptor(descriptor)  # libvips makes its own copy
    finally:
        os.close(descriptor)


def to_array(image: Any) -> Pixels:
    """Decode a libvips image into an array (H, W, C)."""
    memory = image.write_to_memory()
    shape = (image.height, image.width, image.bands)
    return np.frombuffer(memory, dtype=_DTYPES[image.format]).reshape(shape)


def bytes_of(image: Any) -> int:
    """Return how many bytes the pixels of a libvips image take; CMYK is kept beside its RGB."""
    bands = image.bands + (3 if image.interpretation == "cmyk" else 0)
    return int(image.width * image.height * bands * np.dtype(_DTYPES[image.format]).itemsize)


def from_array(pixels: Pixels, interpretation: str) -> Any:
    """Wrap an array (H, W, C) as a libvips image; contiguous memory is shared, not copied."""
    height, width, bands = pixels.shape
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    form = next(form for form, name in _DTYPES.items() if name == native.dtype.name)
    memory = native.reshape(-1).view(np.uint8).data
    image = pyvips.Image.new_from_memory(memory, width, height, bands, form)
    return image.copy(interpretation=interpretation)


class Sink:
    """A libvips target that writes to a binary file, with the start of the file rewritten.

    Parameters
    ----------
    file
        Where the bytes go.
    rewrite
        Gets the bytes so far and returns what to write instead, or None to wait for more.
    """

    def __init__(self, file: BinaryIO, rewrite: Callable[[bytes], bytes | None]) -> None:
        self.file = file
        self.error: OSError | None = None
        self._rewrite: Callable[[bytes], bytes | None] | None = rewrite
        self._head = bytearray()
        self.target = pyvips.TargetCustom()
        self.target.on_write(self._write)
        self.target.on_end(lambda: 0)

    def _write(self, data: Any) -> int:
        """Take bytes; an exception cannot pass through libvips, so it is kept for later."""
        try:
            self._put(bytes(data))
        except OSError as error:
            self.error = self.error or error
            return -1
        return len(data)

    def _put(self, data: bytes) -> None:
        if self._rewrite is None:
            self.file.write(data)
            return
        self._head += data
        start = self._rewrite(bytes(self._head))
        if start is not None:
            self._rewrite = None
            self.file.write(start)

    def finish(self) -> None:
        """Make sure that everything arrived.

        Raises
        ------
        OSError
            If a write failed.
        """
        if self.error is not None:
            raise self.error
        if self._rewrite is not None:
            raise FileError("The picture could not be coded; nothing was written.")


def descriptor_target(file: BinaryIO) -> Any:
    """Return a libvips target that writes straight to an open file."""
    return pyvips.Target.new_to_descriptor(file.fileno())


def with_blocks(image: Any, metadata: Metadata) -> Any:
    """Attach metadata for those formats whose container libvips writes itself."""
    image = image.copy()
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else None
    pairs = (("icc-profile-data", metadata.icc), ("exif-data", exif), ("xmp-data", metadata.xmp))
    for name, data in pairs:
        if data:
            image.set_type(blob_type(), name, data)
    return image


def unwritten(error: Exception) -> OSError:
    """Return the system's error if libvips met one while writing, else what libvips said."""
    text = str(error)
    for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS):
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return FileError(f"The picture could not be coded ({reason_of(error)}); nothing was written.")


def reason_of(error: Exception) -> str:
    """Return the most telling line of what libvips said, without its own function names."""
    lines = [_PREFIX.sub("", line.strip()) for line in str(error).splitlines()]
    telling = [line for line in lines[1:] if line and "unable to call" not in line]
    return (telling or lines or ["unknown reason"])[0].rstrip(".")


def damaged(error: Exception) -> FileError:
    """Return the error for a file that libvips could not decode."""
    return FileError(
        f"the file is damaged or cut short ({reason_of(error)}); "
        "get a whole copy of it, or repair it in an image editor."
    )


def read_bytes(source: Path | bytes, start: int, length: int) -> bytes:
    """Return a stretch of a file or of bytes."""
    if isinstance(source, bytes):
        return source[start : start + length]
    with source.open("rb") as file:
        file.seek(start)
        return file.read(length)


def open_binary(source: Path | bytes) -> BinaryIO:
    """Return a seekable binary file object on a file or bytes."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def blob_type() -> int:
    """Return libvips' type number for raw bytes."""
    return int(pyvips.GValue.blob_type)
