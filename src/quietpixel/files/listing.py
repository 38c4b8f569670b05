"""Which pictures are in a folder, and where the cleaned ones go."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quietpixel.errors import ArgumentError, FileError
from quietpixel.files.formats import find_format, format_of_name


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, sorted, and what was left out on purpose.

    Parameters
    ----------
    images
        Paths of the pictures, by their suffix; the content is not looked at.
    skipped
        Pairs of a path and the reason why it was not followed.
    """

    images: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """One picture to clean: where it is and where the result goes."""

    source: Path
    target: Path


def list_images(folder: str | Path, *, recursive: bool = False) -> Listing:
    """Return the pictures of a folder in a fixed order.

    Hidden files and folders are left out. A link is followed only to a file inside the folder;
    links to folders never are, so that no loop of links can hold the listing up.

    Parameters
    ----------
    folder
        Where to look.
    recursive
        Whether to look in its subfolders too.

    Raises
    ------
    FileError
        If it is not a folder or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "b.png").write_bytes(b"")
    ...     _ = (Path(folder) / "notes.txt").write_bytes(b"")
    ...     [path.name for path in list_images(folder).images]
    ['b.png']
    """
    top = Path(folder)
    if not top.is_dir():
        raise FileError(f"'{top}' is not a folder; give the name of a folder with pictures.")
    skipped: list[tuple[Path, str]] = []
    images = sorted(_walk(top, top.resolve(), skipped, recursive=recursive))
    return Listing(tuple(images), tuple(sorted(skipped)))


def _walk(
    folder: Path, top: Path, skipped: list[tuple[Path, str]], *, recursive: bool
) -> Iterator[Path]:
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder)]
    except OSError as error:
        if folder.resolve() == top:
            raise FileError(f"'{folder}' cannot be read: {error.strerror}.") from error
        skipped.append((folder, f"it cannot be read ({error.strerror})"))
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            if recursive:
                yield from _walk(path, top, skipped, recursive=True)
        elif path.is_dir() or format_of_name(path):
            reason = _reason_to_skip(path, top, recursive=recursive)
            if reason is None:
                yield path
            elif reason:
                skipped.append((path, reason))


def _reason_to_skip(path: Path, top: Path, *, recursive: bool) -> str | None:
    """Say why a path is not taken: None if it is, nothing to say if it does not matter."""
    if not path.is_symlink():
        return None if path.is_file() else "it is not an ordinary file"
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "the link leads nowhere or in a loop"
    if real.is_dir():
        return "links to folders are not followed" if recursive else ""
    return None if real.is_relative_to(top) else "the link leaves the folder"


def plan_jobs(
    sources: Iterable[Path],
    *,
    root: Path | None = None,
    output: Path | None = None,
    suffix: str = "-clean",
    format: str | None = None,
) -> tuple[Job, ...]:
    """Return what is read and where each result goes; see `refuse_collisions` too.

    Parameters
    ----------
    sources
        The pictures.
    root
        The folder whose tree is kept below `output`; without it, results lie in `output` itself.
    output
        The folder for the results; by default each lies beside its source.
    suffix
        What is put after the name: ``photo.jpg`` gives ``photo-clean.jpg``. Empty puts a result
        under its own name: in place, or in `output`.
    format
        Name of another format, whose suffix the results get.

    Raises
    ------
    ArgumentError
        If `suffix` holds a path separator.

    Examples
    --------
    >>> [job.target.name for job in plan_jobs([Path("a.jpg"), Path("a-clean.jpg")])]
    ['a-clean.jpg']
    """
    if {"/", "\\", "\0"} & set(suffix):
        raise ArgumentError(f"`suffix` must be a part of a file name without '/'; got '{suffix}'.")
    paths = list(dict.fromkeys(sources))
    jobs = [Job(path, _target(path, root, output, suffix=suffix, format=format)) for path in paths]
    return tuple(_without_results(jobs))


def _target(
    path: Path, root: Path | None, output: Path | None, *, suffix: str, format: str | None
) -> Path:
    ending = find_format(format).suffixes[0] if format else path.suffix
    name = f"{path.stem}{suffix}{ending}"
    if output is None:
        return path.with_name(name)
    return output / (path.parent.relative_to(root) if root is not None else Path()) / name


def _place(path: Path) -> str:
    """The same for all spellings of one place, without following a link in the last part."""
    return os.path.normcase(path.parent.resolve() / path.name)


def _without_results(jobs: list[Job]) -> list[Job]:
    """Leave out pictures that are the results of others, from an earlier run."""
    results = {_place(job.target): job for job in jobs}
    return [job for job in jobs if results.get(_place(job.source), job).source == job.source]


def refuse_collisions(jobs: Iterable[Job]) -> None:
    """Raise an error if a result would take the place of another result or of another input."""
    jobs = list(jobs)
    sources = {_place(job.source): job.source for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        place, own = _place(job.target), _place(job.source)
        other = taken.setdefault(place, job.source)
        if _place(other) != own:
            raise FileError(
                f"'{other}' and '{job.source}' would both be written to '{job.target}'; "
                "rename one, or write them into different folders."
            )
        if place in sources and place != own:
            raise ArgumentError(
                f"The result of '{job.source}' would take the place of another input, "
                f"'{sources[place]}'; choose another `output` or `suffix`."
            )
