"""The record of what a folder run has done, from which the next run continues.

A hidden file in the folder of the results gets a line, flushed to the disk, before each result is
put in place. Results appear whole or not at all, so the line and the result together prove what is
done, whenever the process was killed. Without the file, work is only repeated.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.batch.denoise import Settings, make_folder
from quietpixel.errors import FileError
from quietpixel.files import Job
from quietpixel.inference.model_store import default_model, find_model
from quietpixel.inference.options import DenoiseOptions

NAME = ".quietpixel-done.jsonl"


class Ledger:
    """The lines about folders of results, one file in each.

    Parameters
    ----------
    folders
        The folders of the results; a job belongs to the innermost that holds its result.
    settings
        A text that is the same for the same model and options.
    """

    def __init__(self, folders: Sequence[Path], settings: str) -> None:
        self._folders = {folder.resolve(): folder / NAME for folder in folders}
        self._settings = settings
        self._lines: dict[str, dict[str, Any]] = {}
        for path in self._folders.values():
            self._lines |= _read(path)

    @classmethod
    def open(cls, folders: Sequence[Path], settings: Settings, *, create: bool) -> "Ledger":
        """Return the ledger of a run with these settings.

        Parameters
        ----------
        folders
            The folders of the results.
        settings
            How pictures are denoised and written.
        create
            Whether folders that do not exist are created.
        """
        if create:
            for folder in folders:
                make_folder(folder)
        # Neither changes a result, so a run with another number of threads continues.
        options = replace(settings.options, threads=None, memory=1)
        return cls(folders, fingerprint(options, settings.format, settings.jpeg_quality))

    def is_done(self, job: Job) -> bool:
        """Return whether the job's result is there, from the same input and settings."""
        line = self._lines.get(_key(job))
        source, target = _status(job.source), _status(job.target)
        if line is None or source is None or target is None:
            return False
        # A result in place keeps the time of what it replaced, but not its size.
        in_place = job.source.resolve() == job.target.resolve()
        return (
            line.get("settings") == self._settings
            and line.get("before") != target.st_ino
            and line.get("source") == str(job.source.resolve())
            and line.get("time") == source.st_mtime_ns
            and (in_place or line.get("size") == source.st_size)
        )

    def begin(self, job: Job) -> None:
        """Note that the job's result is about to be put in place; outside the folders, nothing."""
        folder = job.target.parent.resolve()
        ledgers = (self._folders.get(each) for each in (folder, *folder.parents))
        path = next(filter(None, ledgers), None)
        if path is None:
            return
        source, before = _status(job.source), _status(job.target)
        line = {
            "target": _key(job),
            "source": str(job.source.resolve()),
            "settings": self._settings,
            "size": source and source.st_size,
            "time": source and source.st_mtime_ns,
            "before": before and before.st_ino,
        }
        text = "\n" + json.dumps(line) + "\n"  # the blank line ends one that was cut short
        try:
            with path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(f"'{path}' cannot be written: {error.strerror}.") from error
        self._lines[_key(job)] = line


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    lines: dict[str, dict[str, Any]] = {}
    for text in texts:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            lines[line["target"]] = line
    return lines


def _key(job: Job) -> str:
    """Return the path of the result without following a link in its last part."""
    return str(job.target.parent.resolve() / job.target.name)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def fingerprint(options: DenoiseOptions, *more: str | int | None) -> str:
    """Return a text that is the same for the same model file and options, maps included."""
    digest = hashlib.sha256()
    if isinstance(options.sigma, np.ndarray):
        # The repr of a large array leaves out its middle.
        digest.update(repr(options.sigma.shape).encode() + options.sigma.tobytes())
        options = replace(options, sigma="auto")
    digest.update(repr((replace(options, model=None), more)).encode())
    found = [find_model(options.model)] if options.model else [default_model(3), default_model(1)]
    for path in found:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
