"""One run at a time for a folder: two at once would denoise images in place twice."""

import contextlib
import errno
import json
import os
import random
import socket
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from quietpixel.errors import FileError

if TYPE_CHECKING:
    from filelock import FileLock

NAME = ".quietpixel-lock"
WAIT_SECONDS = 0.2
"""Between two attempts, at least."""


@contextlib.contextmanager
def lock_folders(
    folders: Collection[Path],
    inner: Collection[Path] = (),
    *,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Iterator[None]:
    """Keep other runs out of folders; wait while another one works there.

    The system drops the lock of a killed process, so its file means nothing then. A folder that
    cannot be written to needs no lock, because no results get into it.

    Parameters
    ----------
    folders
        Those to lock, which exist.
    inner
        Folders below them in which results are put; another run may have locked one of these alone.
    notify
        Gets a sentence that names the other run.

    Raises
    ------
    FileError
        If a lock cannot be had for another reason, such as a link in its place.
    """
    # Resolved, because two names of one folder are one folder.
    own = {folder.resolve() / NAME for folder in folders}
    around = {above / NAME for path in own for above in path.parent.parents}
    others = sorted({*around, *(folder.resolve() / NAME for folder in inner)} - own)
    said = ""
    while True:
        with contextlib.ExitStack() as held:
            # Sorted, so that two runs over the same folders cannot wait for each other.
            holder = _acquire(sorted(own), others, held)
            if holder is None:
                yield
                return
        if holder != said:
            notify(f"Waiting for another run: {holder}.")
        said = holder
        # Not in step with another run that waits for a folder around or below this one.
        time.sleep(WAIT_SECONDS * random.uniform(1, 2))


def _acquire(own: list[Path], others: list[Path], held: contextlib.ExitStack) -> str | None:
    """Return None if all locks were free, and hold `own` ones then; else who holds one."""
    for path in (*own, *others):
        # Once the own locks are held, so that of two runs that begin at once one sees the other.
        if path in others and not path.is_file():
            continue
        from filelock import FileLock, Timeout  # 8 ms of a start, which one image does not need

        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _describe(path)
        except OSError as error:
            if path in own and error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise FileError(
                    f"'{path}' cannot be locked: {error.strerror}; remove it."
                ) from error
            continue
        held.callback(_release, lock, path)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        note = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(note) + "\n", encoding="utf-8")
    return None


def _release(lock: "FileLock", path: Path) -> None:
    # Removed while it is held: whoever opened it meanwhile sees that it has no name any more.
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()


def _describe(path: Path) -> str:
    """Return who holds a lock; the note may not be written yet."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        holder = f"process {note['process']} on {note['host']}, since {note['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        holder = "another process"
    return f"{holder} works in '{path.parent}'"
