"""Data sets that are published as four IDX files: MNIST and those made like it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from quietpixel.data.download import TIMEOUT, Progress, download
from quietpixel.data.idx import IdxError, decode_idx, read_idx
from quietpixel.data.split import Split
from quietpixel.errors import DataError

ENVIRONMENT = "QUIETPIXEL_DATA"
"""The environment variable that names a folder of data sets."""


@dataclass(frozen=True)
class IdxSet:
    """A data set in four IDX files, with a fixed split.

    A file is looked for in the folder given, in the one that ``QUIETPIXEL_DATA`` names, in the
    user's cache, and is then downloaded into that cache. In a folder it may lie directly or in a
    folder with the name of the set, packed with gzip or not.

    Parameters
    ----------
    name
        The set, such as ``"mnist"``.
    mirrors
        Addresses of folders, each ending with a slash.
    sums
        The MD5 sum of the uncompressed content of each file, by name without ``.gz``:
        ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, and the same with ``t10k``.
    train_count
        So many of the training images, the first, are for training; the others for validation.
    timeout
        Seconds after which a silent mirror is given up.
    """

    name: str
    mirrors: tuple[str, ...]
    sums: Mapping[str, str]
    train_count: int = 55_000
    timeout: float = TIMEOUT

    def __call__(self, split: str, data_dir: Path | None, on_progress: Progress | None) -> Split:
        """Return one part of the set; see `quietpixel.data.load_split`."""
        part = "t10k" if split == "test" else "train"
        read = partial(self._read, data_dir=data_dir, on_progress=on_progress)
        labels = read(f"{part}-labels-idx1-ubyte")
        images = read(f"{part}-images-idx3-ubyte")[..., np.newaxis]
        rows = self._rows(split)
        return Split(images[rows], labels[rows].astype(np.int64), self.name, split)

    def _rows(self, split: str) -> slice:
        rows = {"train": slice(self.train_count), "validation": slice(self.train_count, None)}
        return rows.get(split, slice(None))

    def _read(
        self, file: str, *, data_dir: Path | None, on_progress: Progress | None
    ) -> NDArray[np.uint8]:
        for folder in named_folders(data_dir):
            path = self._find(file, folder)
            if path is not None:
                return read_idx(path, md5=self.sums[file], name=self.name)
        return self._read_cached(file, on_progress)

    def _find(self, file: str, folder: Path) -> Path | None:
        names = (f"{file}.gz", file)
        paths = (place / name for place in (folder / self.name, folder) for name in names)
        return next((path for path in paths if path.is_file()), None)

    def _read_cached(self, file: str, on_progress: Progress | None) -> NDArray[np.uint8]:
        path = cache_folder() / self.name / f"{file}.gz"
        check = partial(decode_idx, md5=self.sums[file])
        try:
            return check(path)
        except IdxError:  # absent or damaged: a fresh copy takes its place
            urls = [f"{mirror}{file}.gz" for mirror in self.mirrors]
            download(urls, path, check=check, on_progress=on_progress, timeout=self.timeout)
        return read_idx(path, md5=self.sums[file], name=self.name)


def named_folders(data_dir: Path | None) -> Iterator[Path]:
    """Give the folders that the user named: `data_dir`, then ``QUIETPIXEL_DATA``.

    Raises
    ------
    DataError
        If one of them is not a folder.
    """
    if data_dir is not None:
        yield _check_folder(data_dir, "data_dir")
    if os.environ.get(ENVIRONMENT):
        yield _check_folder(Path(os.environ[ENVIRONMENT]), ENVIRONMENT)


def cache_folder() -> Path:
    """Return the folder in the user's cache where downloaded data sets are kept."""
    return platformdirs.user_cache_path("quietpixel") / "data"


def _check_folder(folder: Path, source: str) -> Path:
    folder = folder.expanduser()
    fault = _folder_fault(folder)
    if fault:
        raise DataError(
            f"`{source}` must name a folder with data sets; got '{folder}', which {fault}. Name "
            f"another, or leave it out to have data sets downloaded."
        )
    return folder


def _folder_fault(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is not a folder"
    return "" if os.access(folder, os.R_OK | os.X_OK) else "may not be read"
