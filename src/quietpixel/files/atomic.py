"""Files that appear whole or not at all.

A file is written under a hidden temporary name in its own folder, flushed to the disk and renamed.
The writer holds a lock on the temporary file, so the leftovers of a killed process can be told
from what another process is writing at this moment.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from quietpixel.errors import FileError

try:
    import fcntl
except ImportError:  # Windows: a file that is open cannot be removed there, which serves as well
    fcntl = None  # type: ignore[assignment]

PREFIX = ".quietpixel-"
SUFFIX = ".part"

_unfinished: set[Path] = set()
_last_writers: set[int] = set()
"""Threads that may still write once all others were stopped; empty until then."""
_lock = threading.Lock()
_UMASK = os.umask(0o077)
"""What the user withholds from new files. It can be read only by setting it, for all threads, so it
is read once, before there are any."""
os.umask(_UMASK)

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "writing is not allowed there",
    errno.EPERM: "writing is not allowed there",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EISDIR: "there is a folder of that name",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reports an error",
    errno.ENOMEM: "there is not enough memory",
}


def write_error(target: Path, error: OSError) -> FileError:
    """Return the error that says in one sentence why `target` was not written."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error) or "the disk refused")
    return FileError(f"'{target}' was not written because {reason}; nothing was left behind.")


@contextlib.contextmanager
def atomic_file(
    target: Path,
    *,
    overwrite: bool = False,
    like: Path | None = None,
    backup: Path | None = None,
    on_complete: Callable[[BinaryIO], None] | None = None,
) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes `target` when the block ends without an error.

    Parameters
    ----------
    target
        The path of the file.
    overwrite
        Whether an existing file is replaced; anything but a regular file never is.
    like
        A file whose owner, permissions, extended attributes and times the new one gets, as far as
        the system allows.
    backup
        Where a file that is replaced is kept.
    on_complete
        Called with the complete file before it gets its name; an error prevents that.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and `overwrite` is false. Nothing is left then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder) / "a.txt") as file:
    ...         count = file.write(b"whole")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'whole'
    """
    refuse_existing(target, overwrite=overwrite)
    try:
        temporary, file = _create(target.parent)
    except OSError as error:
        raise write_error(target, error) from error
    try:
        with file:
            yield file
            file.flush()
            if on_complete is not None:
                on_complete(file)
            # Before the rename, so that the file never appears with other permissions.
            if like is not None:
                _copy_status(file, like)
            elif hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o666 & ~_UMASK)
            # Some file systems rename before they write the content: after a power cut, an empty
            # file could have replaced a good one.
            os.fsync(file.fileno())
        if backup is not None:
            _keep(target, backup)
        _publish(temporary, target, overwrite=overwrite)
    except FileError:
        raise
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        _unfinished.discard(temporary)
        with contextlib.suppress(OSError):
            temporary.unlink()


def abandon() -> None:
    """Remove what this process is writing at this moment, for a process that ends right after.

    A thread that writes meets an error, and only the calling thread can start a file from now on.
    """
    with _lock:
        _last_writers.add(threading.get_ident())
        for path in tuple(_unfinished):
            with contextlib.suppress(OSError):
                path.unlink()


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise `FileError` if `target` cannot be put in place.

    A regular file is replaced only with `overwrite`; a folder, link or device never is. A path that
    is too long or leads through a file is refused; a folder that does not exist may be made.
    """
    if (mode := _mode(target)) is None:
        return
    if stat.S_ISDIR(mode) or target.is_dir():
        raise FileError(f"'{target}' is a folder; give the name of a file.")
    if not overwrite:
        raise FileError(
            f"'{target}' already exists; choose another name, or use `overwrite` to replace it."
        )
    if not stat.S_ISREG(mode):
        kind = "link" if stat.S_ISLNK(mode) else "device or pipe"
        raise FileError(
            f"'{target}' is a {kind}, and only regular files are replaced; choose another name."
        )


def _mode(path: Path) -> int | None:
    """Return the kind of what is there; None if nothing is, but could be."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise write_error(path, error) from error


_REPORTS = {"JSON": r"\s*[\[{]", "HTML": r"\s*<!doctype html", "chart": r"\x89PNG.*quietpixel"}
"""How the reports of this package begin."""


def refuse_foreign(path: Path, kind: str) -> None:
    """Raise `FileError` if a report would replace a file that is not a report.

    A shell pattern such as ``*.jpg`` after the option names the first photograph as the report.

    Parameters
    ----------
    path
        Path of the report.
    kind
        ``"JSON"``, ``"HTML"`` or ``"chart"``, a PNG.
    """
    refuse_existing(path, overwrite=True)
    try:
        with path.open("rb") as file:
            head = file.read(1024).decode("latin-1")
    except OSError:  # nothing is there, or the writer says what is wrong with the path
        return
    if head and not re.match(_REPORTS[kind], head, re.DOTALL | re.IGNORECASE):
        raise FileError(
            f"'{path}' exists and is not a {kind} report, so it is not replaced; choose "
            "another name."
        )


def _create(folder: Path) -> tuple[Path, BinaryIO]:
    """Create a locked temporary file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _lock:
        if _last_writers and threading.get_ident() not in _last_writers:
            raise OSError(errno.ECANCELED, "the process is ending")
        while True:
            path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
            file = os.fdopen(os.open(path, flags, 0o600), "w+b")
            if fcntl is not None:
                # Disks without locks exist: there, removing leftovers is up to the user.
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fcntl is None or path.exists():
                _unfinished.add(path)
                return path, file
            file.close()  # another process took it for a leftover before it was locked


def _copy_status(file: BinaryIO, like: Path) -> None:
    """Give the file owner, permissions, attributes and times of another, as the system allows."""
    status, descriptor = like.stat(), file.fileno()
    if hasattr(os, "fchown"):
        # Only root gives files away, but members of a group may keep it. Before the permissions,
        # some of which a change of owner clears.
        for owner in (status.st_uid, -1):
            with contextlib.suppress(OSError):
                os.fchown(descriptor, owner, status.st_gid)
                break
        with contextlib.suppress(OSError):
            # Without set-user-id and the like, which belong to the owner of the source.
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(like):
                # ACLs are in "system"; labels in "security" follow from the folder.
                if name.startswith(("user.", "system.")):
                    with contextlib.suppress(OSError):
                        os.setxattr(descriptor, name, os.getxattr(like, name))
    with contextlib.suppress(OSError):
        name_or_number = descriptor if os.utime in os.supports_fd else file.name
        os.utime(name_or_number, ns=(status.st_atime_ns, status.st_mtime_ns))


def _keep(target: Path, backup: Path) -> None:
    """Give the file a second name under which it stays when it is replaced."""
    refuse_backup(target, backup)
    if os.path.lexists(backup):
        return
    try:
        os.link(target, backup)
    except OSError:  # a disk without hard links
        with target.open("rb") as original, atomic_file(backup, like=target) as copy:
            shutil.copyfileobj(original, copy, 1 << 20)


def refuse_backup(target: Path, backup: Path) -> None:
    """Raise `FileError` if `backup` exists and is not that of a run that was killed just then."""
    if _mode(backup) is not None and not (target.exists() and os.path.samefile(target, backup)):
        raise FileError(f"The backup '{backup}' already exists; move it, or choose another suffix.")


def _publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        # A hard link fails where a file is, even in a race; renaming would replace the file.
        try:
            os.link(temporary, target)
        except OSError as error:
            refuse_existing(target, overwrite=False)
            if isinstance(error, FileExistsError):
                raise
            overwrite = True  # a disk without hard links
    if overwrite:
        refuse_existing(target, overwrite=True)  # once more: the work took its time
        os.replace(temporary, target)
    # The new name itself survives a power cut only once its folder is on the disk.
    with contextlib.suppress(OSError):
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> tuple[Path, ...]:
    """Remove the temporary files that killed processes left; return their paths.

    Files that a running process is writing are locked and stay.
    """
    removed = []
    for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}")):
        # What cannot be locked is in use; what cannot be opened or removed is not ours.
        with contextlib.suppress(OSError):
            if stat.S_ISREG(path.lstat().st_mode):
                with path.open("rb") as file:
                    if fcntl is not None:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                removed.append(path)
    return tuple(removed)
