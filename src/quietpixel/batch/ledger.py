"""What a folder run has done, so that the next run goes on where it stopped.

A hidden file in the folder of the results gets a line before each result is put in place, and it
is flushed to the disk. Results appear whole or not at all, so the line and the result together say
what is done, at whatever moment the process was killed. Without the file, work is only done again.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

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

    def is_done(self, job: Job) -> bool:
        """Say whether the job's result is there, from the same input and settings."""
        line = self._lines.get(_key(job))
        target = _status(job.target)
        if line is None or target is None or line.get("settings") != self._settings:
            return False
        source = _status(job.source)
        replaced = target["inode"] != line.get("before")
        return replaced and source is not None and _same_input(job, line, source)

    def begin(self, job: Job) -> None:
        """Note that the job's result is about to be put in place; outside the folders, nothing."""
        place = self._place(job)
        if place is None:
            return
        source, before = _status(job.source), _status(job.target)
        line = {
            "target": _key(job),
            "source": str(job.source.resolve()),
            "settings": self._settings,
            "size": source and source["size"],
            "time": source and source["time"],
            "before": before and before["inode"],
        }
        _append(place, line)
        self._lines[_key(job)] = line

    def _place(self, job: Job) -> Path | None:
        """Return the file for the lines on a job."""
        parents = job.target.parent.resolve(), *job.target.parent.resolve().parents
        return next((self._folders[each] for each in parents if each in self._folders), None)


def _append(path: Path, line: dict[str, Any]) -> None:
    text = "\n" + json.dumps(line) + "\n"  # a line that was cut short stays alone
    try:
        with path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"'{path}' cannot be written: {error.strerror}.") from error


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    lines: dict[str, dict[str, Any]] = {}
    for text in texts:
        try:
            line = json.loads(text)
            lines[line["target"]] = line
        except (ValueError, KeyError, TypeError):
            continue
    return lines


def _key(job: Job) -> str:
    return str(job.target.parent.resolve() / job.target.name)


def _status(path: Path) -> dict[str, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return {"inode": status.st_ino, "size": status.st_size, "time": status.st_mtime_ns}


def _same_input(job: Job, line: dict[str, Any], source: dict[str, int]) -> bool:
    """Compare the input with its line; a result in place keeps the time of what it replaced."""
    if line.get("source") != str(job.source.resolve()) or line.get("time") != source["time"]:
        return False
    return job.source.resolve() == job.target.resolve() or line.get("size") == source["size"]


def fingerprint(options: DenoiseOptions, *more: str | int | None) -> str:
    """Return a text that is the same for the same model file and options, maps included."""
    given, digest = options.sigma, hashlib.sha256()
    if isinstance(given, np.ndarray):
        digest.update(repr(given.shape).encode() + given.tobytes())
        options = replace(options, sigma="auto")
    digest.update(repr((replace(options, model=None), more)).encode())
    found = [find_model(options.model)] if options.model else [default_model(3), default_model(1)]
    for path in found:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
