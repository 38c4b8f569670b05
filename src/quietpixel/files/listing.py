"""Listing the images of a folder, and planning where the results go."""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from quietpixel.errors import ArgumentError, FileError, QuietpixelError
from quietpixel.files import vips, zarr_store
from quietpixel.files.formats import FORMATS, HEAD, find_format, format_of_name, sniff
from quietpixel.files.read import inspect_content

_IMAGES = {
    ".tga", ".psd", ".psb", ".ico", ".icns", ".pcx", ".xcf", ".kra", ".ktx", ".dds",
    ".jxr", ".wdp", ".svg", ".dcm", ".dicom", ".qoi", ".sgi", ".afphoto", ".clip", ".procreate",
}  # fmt: skip
_DOCUMENTS = {".pdf", ".ai", ".eps", ".indd", ".djvu"}
_VIDEOS = {
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".3gp", ".mpg", ".mpeg",
    ".wmv", ".insv", ".lrv",
}  # fmt: skip
_SIDECARS = {".xmp", ".aae", ".thm", ".pp3", ".dop", ".on1", ".cos", ".nksc", ".vrd", ".acr"}


@dataclass(frozen=True)
class SkippedFile:
    """A file of a folder that is not read.

    Parameters
    ----------
    path
        The file.
    reason
        Why it is skipped, such as ``"video"``, or the command that installs its reader.
    is_image
        Whether it is an image, which then counts as not done.

    Examples
    --------
    >>> SkippedFile(Path("clip.MOV"), "video", is_image=False).kind
    'MOV'
    """

    path: Path
    reason: str
    is_image: bool = True

    @property
    def kind(self) -> str:
        """The kind of file that its suffix promises."""
        return self.path.suffix.strip(". ").upper() or "without suffix"


_SYSTEM_FOLDERS = ("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN")
"""Thumbnails, deleted files and older states that network storage and Windows keep."""


@dataclass(frozen=True)
class Listing:
    """The images of a folder, sorted.

    Parameters
    ----------
    images
        Paths of the images, chosen by suffix.
    skipped
        Pairs of a link, folder or special file and the reason why it was skipped.
    unread
        Images that cannot be read here or have the suffix of no image, and videos, documents and
        sidecar files beside images.
    """

    images: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    unread: tuple[SkippedFile, ...] = ()


@dataclass(frozen=True)
class Job:
    """An image to denoise, and the path of the result."""

    source: Path
    target: Path


def list_images(folder: str | Path, *, recursive: bool = False) -> Listing:
    """Return the images of a folder in a fixed order.

    Hidden files and folders are skipped. A link is followed only to a file inside the folder;
    links to folders never are, so that no loop of links can hold the listing up.

    Parameters
    ----------
    folder
        The folder.
    recursive
        Whether subfolders are searched too.

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
        raise FileError(f"'{top}' is not a folder; give the name of a folder with images.")
    skipped: list[tuple[Path, str]] = []
    # The order of a directory differs between file systems.
    files = sorted(_walk(top, top.resolve(), skipped, recursive=recursive))
    unread = {path: found for path in files if (found := _find_reason(path)) is not None}
    images = tuple(path for path in files if path not in unread)
    return Listing(images, tuple(sorted(skipped)), tuple(unread.values()))


def _find_reason(path: Path) -> SkippedFile | None:
    """Return why a file of a known kind is not read; None if it is."""
    if path.is_dir():
        return SkippedFile(path, "denoised only by its own name")
    kind, suffix = format_of_name(path), path.suffix.lower()
    if kind is not None:
        remedy = FORMATS[kind].remedy
        return None if remedy is None else SkippedFile(path, remedy)
    if suffix in _IMAGES:
        return SkippedFile(path, "not supported; convert to PNG or TIFF")
    reasons = (_VIDEOS, "video"), (_DOCUMENTS, "document"), (_SIDECARS, "sidecar")
    reason = next((reason for suffixes, reason in reasons if suffix in suffixes), None)
    if reason is None:
        return SkippedFile(path, "an image by its content; rename it, or give its name")
    return SkippedFile(path, reason, is_image=False)


def _holds_image(path: Path, images: Collection[str]) -> bool:
    """Say whether a file is an image under a suffix of no image, and no backup of another one."""
    # "a.jpg.orig", "a.jpg_original" and "a.jpg~" beside "a.jpg".
    if any(path.name[:end] in images for end in range(1, len(path.name))) or not path.is_file():
        return False
    with contextlib.suppress(QuietpixelError, OSError):
        kind = sniff(vips.read_bytes(path, 0, HEAD))
        if kind.remedy is None:
            # A text may begin like a header, and few HDF5 files hold images.
            return kind.name != "hdf5" and bool(kind.read_size(path))
        return True
    return False


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
    known = _IMAGES | _VIDEOS | _DOCUMENTS | _SIDECARS
    images = {path.name for path in entries if format_of_name(path)}
    for path in entries:
        # Hidden files are those of the system, and our own temporary ones.
        if path.name.startswith(".") or path.name in _SYSTEM_FOLDERS:
            continue
        if path.is_dir() and not path.is_symlink():
            if zarr_store.is_store(path):
                yield path
            elif recursive:
                yield from _walk(path, top, skipped, recursive=True)
        elif (
            path.is_dir()
            or path.name in images
            or path.suffix.lower() in known
            or _holds_image(path, images)
        ):
            reason = _reason_to_skip(path, top, recursive=recursive)
            if reason is None:
                yield path
            elif reason:
                skipped.append((path, reason))


def _reason_to_skip(path: Path, top: Path, *, recursive: bool) -> str | None:
    """Return why a path is skipped: None if it is not, empty if nobody needs to know."""
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
    """Return the path of each result; `find_collisions` checks them.

    Parameters
    ----------
    sources
        The images; those that are results of others, from an earlier run, are skipped.
    root
        The folder whose tree is kept below `output`; without it, results lie in `output` itself.
    output
        The folder for the results; by default each lies beside its source.
    suffix
        Added to the name: ``photo.jpg`` gives ``photo-clean.jpg``. Empty keeps the name: in place,
        or in `output`.
    format
        Name of another format, whose suffix the results get. Files of formats that are only read
        get that of their replacement, except in place, which is refused later.

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
    jobs = []
    in_place = output is None and not suffix
    for path in dict.fromkeys(sources):
        named = FORMATS.get(format_of_name(path) or "")
        other = format or (named.replacement if named is not None and not in_place else None)
        stem, ending = split_ending(path.name)
        name = f"{stem}{suffix}{find_format(other).suffixes[0] if other else ending}"
        if output is None:
            jobs.append(Job(path, path.with_name(name)))
        else:
            branch = path.parent.relative_to(root) if root is not None else Path()
            jobs.append(Job(path, output / branch / name))
    # What an earlier run wrote beside its sources is listed with them.
    results = {_place(job.target): job for job in jobs}
    return tuple(job for job in jobs if results.get(_place(job.source), job).source == job.source)


def split_ending(name: str) -> tuple[str, str]:
    """Return the name of a file without its ending, and the ending, which readers tell OME by.

    Examples
    --------
    >>> split_ending("a.b.tif"), split_ending("a.b.ome.tif"), split_ending("a")
    (('a.b', '.tif'), ('a.b', '.ome.tif'), ('a', ''))
    """
    path = PurePath(name)
    ome = path.stem[-4:] if path.stem[:-4] and path.stem.lower().endswith(".ome") else ""
    return path.stem.removesuffix(ome), ome + path.suffix


def find_results(images: Iterable[Path]) -> frozenset[Path]:
    """Return the images that are results of quietpixel, named as such beside their sources."""
    known = frozenset(images)

    def is_result(path: Path) -> bool:
        stem, ending = split_ending(path.name)
        source = path.with_name(stem.removesuffix("-clean") + ending)
        with contextlib.suppress(OSError, QuietpixelError):  # reported where it is read
            if source != path and source in known:
                store = path.is_dir()
                return zarr_store.is_result(str(path)) if store else inspect_content(path).marked
        return False

    return frozenset(filter(is_result, known))


def _place(path: Path) -> str:
    """Return one spelling for all of a path; a link in its last part is not followed."""
    return os.path.normcase(path.parent.resolve() / path.name)


def unique_jobs(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Return the jobs, each once even where its files are named in several ways.

    Examples
    --------
    >>> job = Job(Path("a.png"), Path("b.png"))
    >>> len(unique_jobs([job, Job(Path.cwd() / "a.png", Path("b.png"))]))
    1
    """
    unique: dict[tuple[str, str], Job] = {}
    for job in jobs:
        unique.setdefault((_place(job.source), _place(job.target)), job)
    return tuple(unique.values())


def find_collisions(jobs: Iterable[Job]) -> dict[Job, str]:
    """Return the jobs whose result would take the place of another result or input, and why.

    Examples
    --------
    >>> jobs = plan_jobs([Path("a.png"), Path("a.jpg"), Path("b.jpg")], format="webp")
    >>> [job.source.name for job in find_collisions(jobs)]
    ['a.png', 'a.jpg']
    """
    jobs = list(jobs)
    sources = {_place(job.source): job.source for job in jobs}
    rivals: dict[str, dict[str, Path]] = {}
    for job in jobs:
        rivals.setdefault(_place(job.target), {})[_place(job.source)] = job.source
    found = {}
    for job in jobs:
        place, own = _place(job.target), _place(job.source)
        if others := [str(path) for key, path in rivals[place].items() if key != own]:
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            named = "', '".join(others[:3])
            found[job] = (
                f"'{job.source}' and '{named}'{more} would be written to the same file, "
                f"'{job.target}'; rename all but one, or write them into different folders."
            )
        elif place in sources and place != own:
            found[job] = (
                f"The result of '{job.source}' would take the place of another input, "
                f"'{sources[place]}'; choose another `output` or `suffix`."
            )
    return found
