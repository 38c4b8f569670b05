"""Fetching one file from the first mirror that gives it whole."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quietpixel.data.idx import THREE_WAYS
from quietpixel.errors import DataError, MissingDependencyError

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes that have come and all bytes (0 if not known)."""

CHUNK = 1 << 16
TIMEOUT = 20.0
"""A mirror that is silent for this long, in seconds, is given up."""


def download(
    urls: Sequence[str],
    destination: Path,
    *,
    check: Callable[[Path], object],
    on_progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch a file from the first of its mirrors that gives it whole, and return its path.

    The file gets its own name only when it has come and has been checked, so that an
    interruption leaves nothing half done.

    Parameters
    ----------
    urls
        The same file on several mirrors, tried in this order.
    destination
        Where it goes; missing folders are made.
    check
        Called with the path of what has come; raises `ValueError` with what is wrong with it.
    on_progress
        Told about the bytes that come.
    timeout
        Seconds of silence after which a mirror is given up.

    Raises
    ------
    DataError
        If no mirror gives the file, or it cannot be written.
    MissingDependencyError
        If pooch is not installed.
    """
    fetch = _Fetch(destination, check, on_progress, timeout)
    faults = []
    for url in urls:
        fault = fetch(url)
        if fault is None:
            return destination
        faults.append(f"{urlsplit(url).netloc}: {fault}")
    raise DataError(
        f"'{destination.name}' could not be downloaded ({'; '.join(faults)}). Look at the network "
        f"connection, or do without it. {THREE_WAYS}"
    )


@dataclass(frozen=True)
class _Fetch:
    destination: Path
    check: Callable[[Path], object]
    on_progress: Progress | None
    timeout: float

    def __call__(self, url: str) -> str | None:
        """Fetch the file from `url`; return what went wrong."""
        pooch, requests = _import_pooch()
        try:
            return self._fetch(url, pooch.HTTPDownloader)
        except requests.RequestException as error:
            return _describe(error, self.timeout)
        except OSError as error:
            raise DataError(
                f"'{self.destination}' cannot be written ({error.strerror or error}). {THREE_WAYS}"
            ) from error

    def _fetch(self, url: str, downloader: Callable[..., Callable[..., None]]) -> str | None:
        self.destination.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(suffix=".part", dir=self.destination.parent)
        os.close(descriptor)
        progress = _ProgressBar(self.destination.name, self.on_progress)
        try:
            get = downloader(progressbar=progress, chunk_size=CHUNK, timeout=self.timeout)
            get(url, name, None)
            return self._accept(Path(name))
        finally:
            Path(name).unlink(missing_ok=True)

    def _accept(self, path: Path) -> str | None:
        try:
            self.check(path)
        except ValueError as fault:
            return f"what came {fault}"
        path.replace(self.destination)
        return None


class _ProgressBar:
    """The progress bar that pooch asks for, in front of a plain callback."""

    def __init__(self, name: str, on_progress: Progress | None) -> None:
        self.name = name
        self.on_progress = on_progress
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        self.done += count
        if self.on_progress is not None:
            done = min(self.done, self.total) if self.total else self.done
            self.on_progress(self.name, done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _import_pooch() -> tuple[Any, Any]:
    try:
        return import_module("pooch"), import_module("requests")
    except ImportError as error:
        raise MissingDependencyError(
            "Downloading a data set needs pooch, which is not installed; got "
            f"'{error}'. Install it with: pip install 'quietpixel[train]'."
        ) from error


def _describe(error: OSError, timeout: float) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    words = str(error).lower()
    if "timed out" in words:
        return f"silent for {timeout:g} seconds"
    if "incompleteread" in words or "connection broken" in words:
        return "the connection broke off"
    return "no connection"
