"""The record of what a folder run has done, from which the next run continues.

A hidden file in the folder of the results gets a line, flushed to the disk, before each result is
put in place. Results appear whole or not at all, so the line and the result together prove what is
done, whenever the process was killed. Without the file, work is only repeated.

Paths in it are relative and files are known by their content, so that folders can be moved and
files touched. Lines of version 0.1, with absolute paths and times, are still read.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from platformdirs import user_data_path

from quietpixel.batch.denoise import Settings, make_folder
from quietpixel.errors import FileError
from quietpixel.files import Content, Job, inspect_content
from quietpixel.inference.model_store import find_model
from quietpixel.inference.options import DenoiseOptions

RESULT = "'{}' is a result of quietpixel; give `again` to denoise it once more."
NAME = ".quietpixel-done.jsonl"
VERSION = 2
UNMARKED = "unmarked-results.txt"
"""File of the user with the digests of results whose format cannot hold a mark, such as BMP."""

Line = dict[str, Any]


class Ledger:
    """The lines about folders of results, one file in each.

    Parameters
    ----------
    folders
        The folders of the results; a job belongs to the innermost that holds its result.
    settings
        A text that is the same for the same model and options.

    Raises
    ------
    FileError
        If something else than a regular file has the name of a ledger.
    """

    def __init__(self, folders: Sequence[Path], settings: str) -> None:
        self._folders = {folder.resolve(): folder / NAME for folder in folders}
        self._settings = settings
        self._lines: dict[str, list[Line]] = {}
        # Not in the folders, because a result may be moved.
        self._unmarked = user_data_path("quietpixel") / UNMARKED
        self._results: set[str] = set(_read(self._unmarked).split())
        self._sources: dict[str, str | None] = {}
        """Digest of the source of each result that another process makes."""
        self._contents: dict[Path, tuple[tuple[int, ...], Content]] = {}
        for folder, path in self._folders.items():
            for line in _read_lines(path):
                # An absolute path, as in version 0.1, stays as it is.
                self._add(str(folder / line["target"]), line)

    @classmethod
    def open(cls, folders: Sequence[Path], settings: Settings) -> "Ledger":
        """Return the ledger of a run with these settings.

        Parameters
        ----------
        folders
            The folders of the results.
        settings
            How pictures are denoised and written.
        """
        # Neither changes a result, so a run with another number of threads continues.
        options = replace(settings.options, threads=None, memory=1)
        more: tuple[str, ...] = (settings.part,) if settings.part else ()
        more += ("range folder",) if settings.folder_range else ()
        return cls(folders, fingerprint(options, settings.format, settings.jpeg_quality, *more))

    def is_done(self, job: Job) -> bool:
        """Return whether the job's result is there, from the same input and settings."""
        lines = self._lines.get(_key(job.target), ())
        own = (line for line in lines if line.get("settings") == self._settings)
        return any(self._is_current(line, job) for line in own)

    def is_result(self, job: Job) -> bool:
        """Return whether the job's source is itself a result, wherever it was made."""
        if self.knows(self._content(job.source)):
            return True
        # Version 0.1 left neither mark nor digest, and its settings cannot be compared with ours.
        lines = self._lines.get(_key(job.source), ())
        in_place = (line for line in lines if line.get("source") == _key(job.source))
        return any(self._is_current(line, Job(job.source, job.source)) for line in in_place)

    def knows(self, content: Content) -> bool:
        """Return whether content is that of a result, by its mark or on record."""
        return content.marked or content.digest in self._results

    def begin(self, job: Job, result: Content | None = None) -> None:
        """Note that the job's result is about to be put in place.

        Parameters
        ----------
        job
            Outside the folders, only a result that carries no mark is noted, for this user.
        result
            The content of the result; None where another process will make it.
        """
        before, key = _status(job.target), _key(job.target)
        source = self._sources.pop(key, None)  # in place, it may be gone by now
        if source is None and _status(job.source):
            source = self._content(job.source).digest
        line: Line = {"version": VERSION, "source": source, "settings": self._settings}
        if result is not None:
            line |= {"result": result.digest, "size": result.size}
        else:
            line["before"] = before and before.st_ino
            self._sources[key] = source
        self._add(key, line)
        if result is not None and not result.marked and result.digest != source:
            make_folder(self._unmarked.parent)
            _append(self._unmarked, result.digest)
        folder = job.target.parent.resolve()
        top = next((each for each in (folder, *folder.parents) if each in self._folders), None)
        if top is not None:
            target = Path(key).relative_to(top).as_posix()
            _append(self._folders[top], json.dumps({"target": target, **line}))

    def read_shared(self) -> Any:
        """Return what the last run with these settings noted for all files; None if nothing."""
        lines = (line for folder in self._folders for line in self._lines.get(str(folder), ()))
        noted = [line.get("shared") for line in lines if line.get("settings") == self._settings]
        return noted[-1] if noted else None

    def share(self, value: Any) -> None:
        """Note a value for all files of runs with these settings."""
        for path in self._folders.values():
            line = {"target": "", "version": VERSION, "settings": self._settings, "shared": value}
            _append(path, json.dumps(line))

    def _add(self, key: str, line: Line) -> None:
        self._lines.setdefault(key, []).append(line)
        # A result that equals its source, as with `strength` 0, is not a reason to skip the source.
        if "result" in line and line["result"] != line.get("source"):
            self._results.add(line["result"])

    def _is_current(self, line: Line, job: Job) -> bool:
        """Return whether a line is about the job's source and result as they are now."""
        source, target = _status(job.source), _status(job.target)
        if source is None or target is None or not target.st_size:
            return False
        in_place = os.path.samestat(source, target)
        if line.get("version", 1) == 1:
            # A result in place keeps the time of what it replaced, but not its size.
            return (
                line.get("before") != target.st_ino
                and line.get("source") == str(job.source.resolve())
                and line.get("time") == source.st_mtime_ns
                and (in_place or line.get("size") == source.st_size)
            )
        if "result" in line:
            return (
                line.get("size") == target.st_size  # first, because it costs nothing
                and line["result"] == self._content(job.target).digest
                and (in_place or line.get("source") == self._content(job.source).digest)
            )
        # Another process was to make it, and whether it did shows: in place, the content changed.
        same = line.get("source") == self._content(job.source).digest
        return line.get("before") != target.st_ino and same != in_place

    def _content(self, path: Path) -> Content:
        """Return the content of a file, read once as long as the file stays as it is."""
        status = path.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._contents.get(path)
        if known is None or known[0] != stamp:
            known = self._contents[path] = stamp, inspect_content(path)
        return known[1]


def _read_lines(path: Path) -> list[Line]:
    lines = []
    for text in _read(path).splitlines():
        # A line may be cut short, or be somebody else's; deep nesting ends in a RecursionError.
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("target"), str):
                result = line.get("result")
                if result is None or isinstance(result, str):
                    lines.append(line)
    return lines


def _read(path: Path) -> str:
    try:
        with _open_regular(path, os.O_RDONLY) as file:
            return file.read().decode(errors="replace")
    except FileError:
        raise
    except OSError:
        return ""


def _append(path: Path, text: str) -> None:
    try:
        with _open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
            # The first line end ends a line that was cut short.
            file.write(f"\n{text}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"'{path}' cannot be written: {error.strerror}.") from error


def _open_regular(path: Path, flags: int) -> BinaryIO:
    """Open a regular file, not through a link, and without waiting for the writer of a pipe."""
    message = f"'{path}' is not a regular file, and quietpixel keeps its records there; move it."
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        # A link, a pipe that nobody reads, a folder.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise FileError(message) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError(message)
    return os.fdopen(descriptor, "rb" if not flags & os.O_WRONLY else "ab")


def _key(path: Path) -> str:
    """Return the full path of a file without following a link in its last part."""
    return str(path.parent.resolve() / path.name)


def _status(path: Path) -> os.stat_result | None:
    """Return the status of a regular file; None for anything else."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def fingerprint(options: DenoiseOptions, *more: str | int | None) -> str:
    """Return a text that is the same for the same model file and options, maps included."""
    digest = hashlib.sha256()
    if isinstance(options.sigma, np.ndarray):
        # The repr of a large array omits its middle.
        digest.update(repr(options.sigma.shape).encode() + options.sigma.tobytes())
        options = replace(options, sigma="auto")
    digest.update(repr((replace(options, model=None), more)).encode())
    digest.update(find_model(options.model).read_bytes())
    return digest.hexdigest()[:32]
