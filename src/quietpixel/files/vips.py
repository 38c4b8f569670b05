"""Access to libvips: quiet, with errors as sentences.

libvips' operation cache is turned off, because it would keep large images in memory after use.
Its warnings reach Python's logging; `collect_warnings` gathers them for the notes of an image.
"""

import contextlib
import errno
import io
import logging
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips

from quietpixel.errors import FileError, ImageError
from quietpixel.files.picture import Pixels

pyvips.cache_set_max(0)

VipsError = pyvips.Error

_LOW_MEMORY = re.compile("creating thread|out of memory", re.IGNORECASE)

# What follows the name of the function that reports an error; users do not know the function.
_PREFIX = re.compile(r"^(?:[\w ]*(?:vips|load|save)\w*:\s*)+", re.IGNORECASE)

_DTYPES = {
    "uchar": "uint8", "char": "int8", "ushort": "uint16", "short": "int16", "uint": "uint32",
    "int": "int32", "float": "float32",
}  # fmt: skip


class Warnings(list[str]):
    """Warnings of libvips; `shared` if they may concern an image that another thread reads."""

    shared = False


_changed = threading.Condition()
_working: dict[int, bool] = {}
"""For each thread at work in libvips, by its number, whether it has to be alone."""
_late: set[int] = set()
"""Those at work that began next to others: texts of earlier images were still in the buffer."""
_waiting: list[int] = []
"""The threads that wait to be alone: until they were, no other one begins."""


class _Collector(logging.Handler):
    """Gathers warnings for each thread that asked for them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lists: dict[int, Warnings] = {}

    def emit(self, record: logging.LogRecord) -> None:
        # libvips decodes in threads of its own: a warning may concern any thread now at work.
        lines = [line for line in record.getMessage().strip().splitlines() if line]
        working = list(_working)
        for key, found in list(self.lists.items()):
            if key in working:
                found.shared = found.shared or len(working) > 1 or key in _late
                found.extend(re.sub(r"^VIPS:\s*", "", line).rstrip(".") for line in lines)


_collector = _Collector()
logging.getLogger("pyvips").addHandler(_collector)
logging.getLogger("pyvips").propagate = False  # warnings become notes, not lines on stderr


@contextlib.contextmanager
def working(*, alone: bool = False) -> Iterator[None]:
    """Read or write with libvips next to other threads, or `alone`; within itself without effect.

    All threads share one buffer for the texts of errors and warnings, which even headers cause:
    next to others, the warning of one image reached the readers of all. Readers warn once more when
    their images are freed, so it is best used as a decorator, which outlasts local variables.
    """
    if threading.get_ident() in _working:
        yield
        return
    _begin(alone=alone)
    try:
        yield
    finally:
        _end()


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Let threads that have to be alone work while this one waits, for memory."""
    if threading.get_ident() not in _working:
        yield
        return
    _end()
    try:
        yield
    finally:
        _begin()


def _begin(*, alone: bool = False) -> None:
    key = threading.get_ident()
    with _changed:
        if alone:
            _waiting.append(key)
            try:
                _changed.wait_for(lambda: not _working and _waiting[0] == key)
            finally:
                _waiting.remove(key)
                _changed.notify_all()  # an interrupt leaves the place to others
        else:
            _changed.wait_for(lambda: not _waiting and not any(_working.values()))
        if _working:
            _late.add(key)
        else:
            pyvips.vips_lib.vips_error_clear()  # what earlier images left
        _working[key] = alone


def _end() -> None:
    with _changed:
        del _working[threading.get_ident()]
        _late.discard(threading.get_ident())
        _changed.notify_all()


@contextlib.contextmanager
def collect_warnings() -> Iterator[Warnings]:
    """Give a list that receives the warnings of libvips while the block runs."""
    key = threading.get_ident()
    found = _collector.lists[key] = Warnings()
    try:
        yield found
    finally:
        del _collector.lists[key]


@contextlib.contextmanager
def decoding_errors() -> Iterator[None]:
    """Turn what libvips says when it opens or decodes a file into errors of this package."""
    try:
        yield
    except VipsError as error:
        # They hold images that warn when they are freed, which would be with the error: possibly at
        # the end of the process, past pyvips' handler, or within it, which aborts the process.
        traceback.clear_frames(error.__traceback__)
        text, reason = str(error).lower(), _reason_of(error)
        if _LOW_MEMORY.search(text):
            raise ImageError("there is not enough memory for it.") from error
        signs = ("too large", "too big", "exceed", "dimensions out of range")
        if any(sign in text for sign in signs):
            raise ImageError(
                f"its declared size is beyond what can be decoded ({reason}); "
                "cut the image into smaller ones."
            ) from error
        # libtiff's words for compressions and layouts that it was built without or never had.
        if re.search("not (configured|implemented|supported)|unsupported", text):
            raise ImageError(
                f"it is stored in a way that cannot be decoded here ({reason}); save it as an "
                "ordinary TIFF or PNG with the program that made it."
            ) from error
        raise FileError(
            f"the file is damaged or cut short ({reason}); "
            "get a whole copy of it, or repair it in an image editor."
        ) from error


def _reason_of(error: object) -> str:
    """Return the most informative line of an error, without the names of libvips' functions."""
    lines = [_PREFIX.sub("", line.strip()) for line in str(error).splitlines()]
    telling = [line for line in lines[1:] if line and "unable to call" not in line]
    return (telling or lines or ["unknown reason"])[0].rstrip(".")


def read_bytes(source: Path | bytes, start: int, length: int) -> bytes:
    """Return a stretch of a file or of bytes."""
    with open_binary(source) as file:
        file.seek(start)
        return file.read(length)


def open_binary(source: Path | bytes) -> BinaryIO:
    """Return a seekable binary file object on a file or bytes."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def open_page(
    loader: str,
    source: Path | bytes,
    number: int | None = None,
    *,
    fail_on: str = "error",
    **options: Any,
) -> Any:
    """Return a page as a libvips image that is not decoded yet.

    Parameters
    ----------
    loader
        Name of libvips' loader. It is always named, so that the content of a file cannot choose it.
    source
        A file, or its bytes.
    number
        Number of the page; None for the loader's default.
    fail_on
        The least damage that is an error, by libvips' name.
    **options
        Further options of the loader.
    """
    if isinstance(source, bytes):
        opened = pyvips.Source.new_from_memory(source)
    else:
        # Opened here, because libvips takes brackets in a file name for options.
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            opened = pyvips.Source.new_from_descriptor(descriptor)  # makes its own copy
        finally:
            os.close(descriptor)
    page = {} if number is None else {"page": number}
    # Sequential access: rows are decoded as they are read, without a whole copy inside libvips.
    load = getattr(pyvips.Image, f"{loader}_source")
    # WebP is decoded whole, from 100 MB on into a temporary file: not where only bytes were given.
    memory = isinstance(source, bytes)
    return load(opened, access="sequential", memory=memory, fail_on=fail_on, **page, **options)


def to_array(image: Any) -> Pixels:
    """Decode a libvips image into an array (H, W, C)."""
    memory = image.write_to_memory()
    shape = (image.height, image.width, image.bands)
    return np.frombuffer(memory, dtype=_DTYPES[image.format]).reshape(shape)


def iterate_frames(image: Any, count: int) -> Iterator[Pixels]:
    """Yield the frames of an image in which they lie one below the other, without the whole."""
    height = image.height // count
    region = pyvips.Region.new(image)
    for number in range(count):
        memory = region.fetch(0, number * height, image.width, height)
        shape = (height, image.width, image.bands)
        yield np.frombuffer(memory, dtype=_DTYPES[image.format]).reshape(shape)


def bytes_of(image: Any) -> int:
    """Return how many bytes the pixels of a libvips image take; CMYK is kept beside its RGB."""
    bands = image.bands + (3 if image.interpretation == "cmyk" else 0)
    return int(image.width * image.height * bands * np.dtype(_DTYPES[image.format]).itemsize)


def from_array(pixels: Pixels, interpretation: str | None = None) -> Any:
    """Wrap an array (H, W, C) as a libvips image; contiguous memory is shared, not copied.

    Without an `interpretation`, the channels are gray or RGB, with or without alpha.
    """
    height, width, bands = pixels.shape
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    form = next(form for form, name in _DTYPES.items() if name == native.dtype.name)
    memory = native.reshape(-1).view(np.uint8).data
    image = pyvips.Image.new_from_memory(memory, width, height, bands, form)
    if interpretation is None:
        # "rgb" has no transfer curve: libvips leaves floats and 32-bit integers as they are.
        gray, colour = {"uint8": ("b-w", "srgb"), "uint16": ("grey16", "rgb16")}.get(
            native.dtype.name, ("b-w", "rgb")
        )
        interpretation = gray if bands < 3 else colour
    return image.copy(interpretation=interpretation)


def from_pages(pages: Sequence[Pixels], interpretation: str | None = None) -> Any:
    """Wrap pages as one tall image, which libvips' writers cut by `page_height`."""
    images = [from_array(page, interpretation) for page in pages]
    return images[0] if len(images) == 1 else pyvips.Image.arrayjoin(images, across=1)


def with_timing(image: Any, delays: tuple[int, ...], loop: int) -> Any:
    """Return an image with the timing of an animation attached, if there is any."""
    image = image.copy()
    if delays:
        image.set_type(pyvips.GValue.array_int_type, "delay", list(delays))
        image.set_type(pyvips.GValue.gint_type, "loop", loop)
    return image


def as_rgb(pixels: Pixels) -> Pixels:
    """Return gray pixels, with or without alpha, as RGB ones."""
    if pixels.shape[2] > 2:
        return pixels
    return np.concatenate([np.repeat(pixels[:, :, :1], 3, axis=2), pixels[:, :, 1:]], axis=2)


def with_blob(image: Any, name: str, data: bytes) -> Any:
    """Return a libvips image with a block of metadata attached."""
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, name, data)
    return image


def save(
    image: Any,
    operation: str,
    file: BinaryIO,
    rewrite: Callable[[bytes], bytes | None] | None = None,
    **options: Any,
) -> None:
    """Write an image to a file, without metadata unless `keep` says otherwise.

    Parameters
    ----------
    image, operation, options
        Image, name of libvips' saver and its options.
    file
        Some savers read and seek in it.
    rewrite
        Gets the bytes so far and returns what to write instead, or None to wait for more; without
        it, nothing is changed.
    """
    head, errors = bytearray(), list[OSError]()

    def write(data: Any) -> int:
        nonlocal rewrite
        if rewrite is None:
            file.write(data)
            return len(data)
        head.extend(data)
        if (start := rewrite(bytes(head))) is not None:
            rewrite = None
            file.write(start)
        return len(data)

    def guard(function: Callable[..., Any], failed: object) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except OSError as error:  # an exception cannot pass through libvips
                errors.append(error)
                return failed

        return call

    target = pyvips.TargetCustom()
    target.on_write(guard(write, -1))
    target.on_read(guard(file.read, b""))
    target.on_seek(guard(file.seek, -1))
    target.on_end(lambda: 0)
    try:
        with working():
            getattr(image, f"{operation}_target")(target, **{"keep": "none", **options})
    except VipsError as error:
        raise (errors or [unwritten(error)])[0] from error
    if errors or rewrite is not None:
        raise (errors or [unwritten("it has no pixels")])[0]


def save_bytes(image: Any, operation: str, **options: Any) -> bytes:
    """Return an image as the bytes of a file; as `save` otherwise."""
    file = io.BytesIO()
    save(image, operation, file, **options)
    return file.getvalue()


def srgb_profile() -> bytes:
    """Return the colour profile of sRGB."""
    return bytes(pyvips.Operation.call("profile_load", "srgb"))


def unwritten(error: object) -> OSError:
    """Return the error for an image that an encoder refused."""
    if _LOW_MEMORY.search(str(error)):
        return OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return FileError(f"The image could not be encoded ({_reason_of(error)}); nothing was written.")
