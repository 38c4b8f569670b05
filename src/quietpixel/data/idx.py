"""Data sets published as four IDX files: MNIST and those of the same layout, found or downloaded.

An IDX file holds a magic number, the sizes of its axes, and then bytes. It may be compressed with
gzip; its first bytes decide, not its name.
"""

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import numpy as np
import platformdirs
from numpy.typing import NDArray

from quietpixel.data.split import Split
from quietpixel.errors import DataError, import_optional

HOW_TO_GET = (
    "Pass a folder that holds a good copy as `data_dir`, or name it in the environment variable "
    "QUIETPIXEL_DATA, or do neither, and quietpixel downloads it once into its cache."
)
"""The remedy for a missing or damaged file of a data set."""
CHUNK = 1 << 16
TIMEOUT = 20.0
"""Seconds without data after which the next mirror is tried."""
LARGEST = 1 << 30
"""Largest content that is decompressed, in bytes, whatever a file declares."""
UNSIGNED_BYTE = 0x08
ENVIRONMENT = "QUIETPIXEL_DATA"
"""The environment variable that names a folder of data sets."""


class IdxError(ValueError):
    """A fault of an IDX file, in words that follow its name."""


@dataclass(frozen=True)
class IdxSet:
    """A data set in four IDX files, with a fixed split.

    A file is searched in the given folder, in the one that ``QUIETPIXEL_DATA`` names, and in the
    user's cache, into which it is otherwise downloaded. A folder may hold it directly or in a
    subfolder with the name of the set, compressed or not.

    Parameters
    ----------
    name
        The name of the set, such as ``"mnist"``.
    mirrors
        Addresses of folders, each ending with a slash.
    sums
        The MD5 sum of the uncompressed content of each file, by name without ``.gz``:
        ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, and the same with ``t10k``.
    train_count
        Number of training images, from the first; the others are for validation.
    timeout
        Seconds without data after which the next mirror is tried.
    """

    name: str
    mirrors: tuple[str, ...]
    sums: Mapping[str, str]
    train_count: int = 55_000
    timeout: float = TIMEOUT

    def __call__(self, split: str, data_dir: Path | None) -> Split:
        """Return one part of the set; see `quietpixel.data.load_split`."""
        part = "t10k" if split == "test" else "train"
        labels = self._read(f"{part}-labels-idx1-ubyte", data_dir)
        images = self._read(f"{part}-images-idx3-ubyte", data_dir)[..., np.newaxis]
        count = self.train_count
        # No split for validation was published: it is the end of the one for training.
        rows = {"train": slice(count), "validation": slice(count, None)}.get(split, slice(None))
        return Split(images[rows], labels[rows].astype(np.int64), self.name, split)

    def _read(self, file: str, data_dir: Path | None) -> NDArray[np.uint8]:
        compressed = f"{file}.gz"
        for folder in named_folders(data_dir):
            # The subfolder first: the files of MNIST and Fashion-MNIST have the same names.
            for place in (folder / self.name, folder):
                for path in (place / compressed, place / file):
                    if path.is_file():
                        return read_idx(path, md5=self.sums[file], name=self.name)
        path = cache_folder() / self.name / compressed
        check = partial(decode_idx, md5=self.sums[file])
        try:
            return check(path)
        except IdxError:  # missing or damaged: replaced by a new copy
            urls = [f"{mirror}{compressed}" for mirror in self.mirrors]
            download(urls, path, check=check, timeout=self.timeout)
        return read_idx(path, md5=self.sums[file], name=self.name)


def named_folders(data_dir: Path | None) -> Iterator[Path]:
    """Yield the folders that the user named: `data_dir`, then ``QUIETPIXEL_DATA``.

    Parameters
    ----------
    data_dir
        A folder, or None.

    Raises
    ------
    DataError
        If one of them is not a folder.
    """
    environment = os.environ.get(ENVIRONMENT)
    for source, given in (("data_dir", data_dir), (ENVIRONMENT, environment)):
        if not given:
            continue
        folder = Path(given).expanduser()
        if not folder.exists():
            fault = "does not exist"
        elif not folder.is_dir():
            fault = "is not a folder"
        elif not os.access(folder, os.R_OK | os.X_OK):
            fault = "cannot be read"
        else:
            yield folder
            continue
        raise DataError(
            f"`{source}` must name a folder with data sets; got '{folder}', which {fault}. Name "
            "another, or omit it to download the data."
        )


def cache_folder() -> Path:
    """Return the folder in the user's cache for downloaded data sets."""
    return platformdirs.user_cache_path("quietpixel") / "data"


def download(
    urls: Sequence[str],
    destination: Path,
    *,
    check: Callable[[Path], object],
    timeout: float = TIMEOUT,
) -> Path:
    """Download a file from the first of its mirrors that has it complete, and return its path.

    The file gets its name only once it is complete and checked, so an interruption leaves no part
    of it behind.

    Parameters
    ----------
    urls
        The addresses of the file, tried in this order.
    destination
        Its path; missing folders are created.
    check
        Called with the path of the downloaded file; raises `ValueError` with its fault.
    timeout
        Seconds without data after which the next mirror is tried.

    Raises
    ------
    DataError
        If no mirror has the file, or it cannot be written.
    MissingDependencyError
        If pooch is not installed.
    """
    need = "Downloading a data set needs pooch"
    pooch, requests = (import_optional(module, need) for module in ("pooch", "requests"))
    get = pooch.HTTPDownloader(chunk_size=CHUNK, timeout=timeout)
    # Beside the destination, because a rename is whole or not at all only on one disk.
    partial = destination.with_name(f".{os.getpid()}-{destination.name}.part")
    faults = []
    for url in urls:
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            get(url, str(partial), None)
            check(partial)
            partial.replace(destination)
            return destination
        # First, because these are also OSErrors, and some of them ValueErrors.
        except requests.RequestException as error:
            fault = _describe_fault(error, timeout)
        except ValueError as error:
            fault = f"the downloaded file {error}"
        except OSError as error:
            raise DataError(
                f"'{destination}' cannot be written ({error.strerror or error}). {HOW_TO_GET}"
            ) from error
        finally:
            with suppress(OSError):  # its folder may not even be one
                partial.unlink()
        faults.append(f"{urlsplit(url).netloc}: {fault}")
    raise DataError(
        f"'{destination.name}' could not be downloaded ({'; '.join(faults)}). Check the network "
        f"connection, or get the file another way. {HOW_TO_GET}"
    )


def _describe_fault(error: Any, timeout: float) -> str:
    response = error.response
    if response is not None:
        return f"{response.status_code} {response.reason}"
    words = str(error).lower()  # requests has no error kinds for these two that hold for all sites
    if "timed out" in words:
        return f"no data for {timeout:g} seconds"
    if "incompleteread" in words or "connection broken" in words:
        return "the connection was lost"
    return "no connection"


def read_idx(path: Path, *, md5: str | None = None, name: str = "") -> NDArray[np.uint8]:
    """Return the array in an IDX file.

    Parameters
    ----------
    path
        The file, compressed with gzip or not.
    md5
        The MD5 sum of its uncompressed content; None accepts any.
    name
        The data set that it belongs to, for the message.

    Returns
    -------
    numpy.ndarray
        uint8 with the axes that the file declares: (N, H, W) for images, (N,) for labels.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut, not an IDX file of bytes, or has another sum.
    """
    try:
        return decode_idx(path, md5=md5)
    except IdxError as fault:
        wanted = f", wanted for '{name}'," if name else ""
        raise DataError(f"'{path}'{wanted} {fault}. {HOW_TO_GET}") from fault


def decode_idx(path: Path, *, md5: str | None = None) -> NDArray[np.uint8]:
    """Return the array in an IDX file, as `read_idx` does, for callers that can do without it.

    Parameters
    ----------
    path, md5
        As for `read_idx`.

    Raises
    ------
    IdxError
        With the fault of the file.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(2)
        if not start:
            raise IdxError("is empty")
        # By content, because browsers unpack downloads and keep the suffix.
        packed = start == b"\x1f\x8b"
        with cast(BinaryIO, gzip.open(path)) if packed else path.open("rb") as stream:
            return _decode(stream, md5)
    except FileNotFoundError as error:
        raise IdxError("does not exist") from error
    except EOFError as error:
        raise IdxError("is cut off: its gzip data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(f"has damaged gzip data ({error})") from error
    except OSError as error:
        raise IdxError(f"cannot be read ({error.strerror or error})") from error


def _decode(stream: BinaryIO, md5: str | None) -> NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, UNSIGNED_BYTE]) or magic[3] not in (1, 2, 3, 4):
        raise IdxError(
            "is not an IDX file of bytes: it must start with 00 00 08 and the number of axes; "
            f"got {magic.hex(' ') or 'nothing'}"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise IdxError("is cut off within its header")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    declared = math.prod(shape)
    # Before anything is unpacked: a few kilobytes of gzip can hold gigabytes.
    if declared > LARGEST:
        raise IdxError(f"declares {declared:,} bytes, and more than {LARGEST:,} are not unpacked")
    # One byte more shows whether anything follows, and makes gzip check its own sum.
    content = stream.read(declared + 1)
    if len(content) < declared:
        raise IdxError(f"is cut off: it declares {declared:,} bytes and holds {len(content):,}")
    if len(content) > declared:
        raise IdxError(f"goes on after the {declared:,} bytes that it declares")
    # MD5, as the publishers give it; it finds damaged files and stops no attacker.
    digest = hashlib.md5(magic + sizes + content, usedforsecurity=False).hexdigest()
    if md5 not in (None, digest):
        raise IdxError(
            "is another file than the published one: the MD5 sum of its uncompressed content "
            f"must be {md5}; got {digest}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
