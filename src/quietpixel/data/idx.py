"""Reading IDX files, the format of MNIST: a magic number, sizes, then plain bytes.

A file may be packed with gzip or not; its first bytes decide, not its name.
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import DataError

THREE_WAYS = (
    "Name a folder that holds a good copy with --data-dir (data_dir= in Python), or in the "
    "environment variable QUIETPIXEL_DATA, or name neither, and quietpixel downloads it once into "
    "its cache."
)
"""How to get a file that is missing or damaged; ends every message about one."""

LARGEST = 1 << 30
"""No more content than this is unpacked, in bytes, whatever a file declares."""

UNSIGNED_BYTE = 0x08


class IdxError(ValueError):
    """What is wrong with one IDX file, as words that follow its name."""


def read_idx(path: Path, *, md5: str | None = None, name: str = "") -> NDArray[np.uint8]:
    """Return the array that an IDX file holds.

    Parameters
    ----------
    path
        The file, plain or packed with gzip.
    md5
        The MD5 sum that its uncompressed content must have; ``None`` to take any.
    name
        The data set that it should belong to, for the message.

    Returns
    -------
    uint8 array with as many axes as the file declares: (N, height, width) for images, (N,) for
    labels.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut, not an IDX file of bytes, or has another sum.
    """
    try:
        return decode_idx(path, md5=md5)
    except IdxError as fault:
        wanted = f", wanted for '{name}'," if name else ""
        raise DataError(f"'{path}'{wanted} {fault}. {THREE_WAYS}") from fault


def decode_idx(path: Path, *, md5: str | None = None) -> NDArray[np.uint8]:
    """Return the array that an IDX file holds, like `read_idx`, for callers with a way out.

    Raises
    ------
    IdxError
        With what is wrong.
    """
    try:
        with _open(path) as stream:
            return _decode(stream, md5)
    except FileNotFoundError as error:
        raise IdxError("does not exist") from error
    except EOFError as error:
        raise IdxError("is cut off: its gzip data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(f"has damaged gzip data ({error})") from error
    except OSError as error:
        raise IdxError(f"cannot be read ({error.strerror or error})") from error


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        start = stream.read(2)
    if not start:
        raise IdxError("is empty")
    return cast(BinaryIO, gzip.open(path)) if start == b"\x1f\x8b" else path.open("rb")


def _decode(stream: BinaryIO, md5: str | None) -> NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, UNSIGNED_BYTE]) or magic[3] not in (1, 2, 3, 4):
        raise IdxError(
            f"is not an IDX file of bytes: it must start with 00 00 08 and the number of axes; "
            f"got {magic.hex(' ') or 'nothing'}"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise IdxError("is cut off within its header")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    content = _read_content(stream, shape)
    _check_sum(magic + sizes, content, md5)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_content(stream: BinaryIO, shape: tuple[int, ...]) -> bytes:
    declared = math.prod(shape)
    if declared > LARGEST:
        raise IdxError(f"declares {declared:,} bytes, and more than {LARGEST:,} are not unpacked")
    content = stream.read(declared + 1)  # the one byte more shows what follows, and the gzip sum
    if len(content) < declared:
        raise IdxError(f"is cut off: it declares {declared:,} bytes and holds {len(content):,}")
    if len(content) > declared:
        raise IdxError(f"goes on after the {declared:,} bytes that it declares")
    return content


def _check_sum(header: bytes, content: bytes, md5: str | None) -> None:
    if md5 is None:
        return
    digest = hashlib.md5(header, usedforsecurity=False)
    digest.update(content)
    if digest.hexdigest() != md5:
        raise IdxError(
            f"is another file than the published one: the MD5 sum of its uncompressed content "
            f"must be {md5}; got {digest.hexdigest()}"
        )
