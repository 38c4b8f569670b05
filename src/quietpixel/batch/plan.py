"""The plan of a run: what is read, where each result goes, what will be refused, which scale."""

import errno
import os
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Literal

from quietpixel.array_types import Array
from quietpixel.batch.denoise import FolderScale, Settings, choose_channels, other_type
from quietpixel.batch.ledger import RESULT, Ledger
from quietpixel.errors import ArgumentError, FileError, QuietpixelError
from quietpixel.files import (
    Job,
    Picture,
    SkippedFile,
    check_readable,
    check_replaceable,
    check_target,
    find_collisions,
    format_of_name,
    inspect_content,
    list_images,
    plan_jobs,
    read_picture,
    refuse_backup,
    refuse_existing,
    unique_jobs,
    zarr_store,
)
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.inference.arrays import Layout, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.level import sample_places
from quietpixel.inference.planes import split_page

MOST_FILES, MOST_PAGES = 16, 2
"""How many files are examined, evenly spaced by name, and how many pages of each."""


@dataclass(frozen=True)
class Plan:
    """What is read and where it goes.

    Parameters
    ----------
    jobs
        One for each picture.
    skipped
        Pairs of a path and the reason why it is not read.
    unread
        Files of the folders that are of a known kind, but not read. A Zarr is one of them, and no
        image that is not done where its result exists.
    folders
        The folders that keep a ledger in a folder run: that of the results, or each input folder.
    collisions
        Why jobs cannot be done whose result would take the place of another result or input.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    unread: tuple[SkippedFile, ...] = ()
    folders: tuple[Path, ...] = ()
    collisions: Mapping[Job, str] = field(default_factory=dict)


def make_plan(
    inputs: Sequence[Path],
    output: str | None = None,
    *,
    recursive: bool = False,
    suffix: str = "-clean",
    in_place: bool = False,
    format: str | None = None,
) -> Plan:
    """Return the plan of a run.

    Parameters
    ----------
    inputs
        Files and folders.
    output
        A file for one input file, a folder otherwise; None for beside each source.
    recursive
        Whether subfolders are searched.
    suffix
        Added to the names of results that lie beside their sources.
    in_place
        Whether results replace their sources.
    format
        Name of another format for the results.

    Raises
    ------
    ArgumentError
        If options contradict each other.
    FileError
        If a folder cannot be read.

    Examples
    --------
    >>> make_plan([Path("a/b.png")]).jobs[0].target.as_posix()
    'a/b-clean.png'
    """
    if in_place and (output is not None or format is not None):
        raise ArgumentError("`in_place` replaces the inputs; omit `output` and `format`.")
    folders = [path for path in inputs if path.is_dir()]
    target = None if output is None else Path(output)
    if output is not None and target is not None and not target.is_dir():
        # A slash at the end means a folder, even one that does not exist yet.
        if len(inputs) == 1 and not folders and not output.endswith(("/", "\\")):
            return Plan((Job(inputs[0], target),))
        if target.exists():
            raise ArgumentError(
                f"`output` must be a folder because there are many inputs; '{output}' is a file."
            )
        if format_of_name(target) and not output.endswith(("/", "\\")):
            raise ArgumentError(
                "`output` must be a folder because there are many inputs; "
                f"'{output}' is the name of an image. '{output}/' would be a folder."
            )
    added = "" if target else suffix
    place = partial(plan_jobs, output=target, suffix="" if in_place else added, format=format)
    # Files first and as one list: a result beside its source is known only by both.
    files = [path for path in inputs if not path.is_dir()]
    jobs = list(place(files))
    # `plan_jobs` drops what an earlier run wrote beside its sources.
    results = {*files} - {job.source for job in jobs}
    skipped = [(path, "it is the result of another input") for path in files if path in results]
    unread: list[SkippedFile] = []
    for path in folders:
        listing = list_images(path, recursive=recursive)
        jobs += place(_without_results(listing.images, path, target), root=path)
        skipped += listing.skipped
        stores = [each.path for each in listing.unread if each.path.is_dir()]
        unread += [each for each in listing.unread if each.path not in stores]
        stores = _without_results(stores, path, target)
        unread += _describe_stores(plan_jobs(stores, root=path, output=target, suffix=added))
    # Replacing the link would leave its file noisy, and its file was not named.
    if in_place:
        links = [job for job in jobs if job.source.is_symlink()]
        reason = "it is a link, and its file stays in place; name that file instead"
        skipped += [(job.source, reason) for job in links]
        jobs = [job for job in jobs if job not in links]
    ledgers = tuple(folders) if target is None else (target,)
    unique = unique_jobs(jobs)
    return Plan(
        unique,
        tuple(skipped),
        tuple(dict.fromkeys(unread)),
        folders=ledgers if folders else (),
        collisions=find_collisions(unique),
    )


def _without_results(images: Sequence[Path], folder: Path, target: Path | None) -> list[Path]:
    """Drop the results of an earlier run in a folder below the input folder."""
    results = target.resolve() if target else None
    if results == folder.resolve():
        return list(images)
    return [image for image in images if results not in image.resolve().parents]


def _describe_stores(jobs: Sequence[Job]) -> Iterator[SkippedFile]:
    """Yield each Zarr but results: those to be denoised by their own name, and those done."""
    for job in jobs:
        marked = False
        with suppress(QuietpixelError):  # reported when it is denoised
            marked = zarr_store.is_result(str(job.source))
        if not marked and job.target != job.source and job.target.exists():
            yield SkippedFile(job.source, "its result exists", is_image=False)
        elif not marked:
            words = shlex.join(["quietpixel", "denoise", str(job.source), "-o", str(job.target)])
            yield SkippedFile(job.source, f"denoised only by its own name: {words}")


@dataclass(frozen=True)
class PreflightResult:
    """What would be done with one job.

    Parameters
    ----------
    job
        What is read and where it goes.
    state
        ``"write"``, ``"done"`` by an earlier run with the same settings, ``"skip"`` because the
        source is itself a result, or ``"refuse"``.
    reason
        Why it would be skipped or refused, a sentence.
    """

    job: Job
    state: Literal["write", "done", "skip", "refuse"]
    reason: str = ""


def preflight_jobs(
    jobs: Sequence[Job],
    settings: Settings | None = None,
    *,
    ledger: Ledger | None = None,
    repeat: bool = False,
    collisions: Mapping[Job, str] | None = None,
) -> tuple[PreflightResult, ...]:
    """Return what would be done with each job; nothing is decoded.

    Parameters
    ----------
    jobs
        What is read and where it goes.
    settings
        Whether existing files are replaced, where they are kept, and whether results are denoised
        once more.
    ledger
        What earlier runs did. Without it, nothing is known to be done, and results are recognised
        by their mark alone.
    repeat
        Whether what is done already is done once more.
    collisions
        Those of the plan, which are refused.
    """
    return tuple(
        PreflightResult(job, "refuse", collisions[job])
        if collisions and job in collisions
        else _preflight(job, settings or Settings(), ledger, repeat)
        for job in jobs
    )


def _preflight(
    job: Job, settings: Settings, ledger: Ledger | None, repeat: bool
) -> PreflightResult:
    try:
        format = check_readable(job.source)
        # Before the mark is looked at: a result in place is its own source, and done.
        if ledger is not None and not (repeat or settings.again) and ledger.is_done(job):
            return PreflightResult(job, "done")
        known = ledger.is_result(job) if ledger else inspect_content(job.source).marked
        if known and not settings.again:
            return PreflightResult(job, "skip", RESULT.format(job.source))
        check_target(format, job.source, job.target)
        itself = job.source.resolve() == job.target.resolve()
        if itself and not settings.overwrite:
            raise FileError(
                f"'{job.target}' is the input itself; choose another name, or use `in_place`."
            )
        _check_folder(job.target.parent)
        refuse_existing(job.target, overwrite=settings.overwrite)
        if itself:
            check_replaceable(job.source)
        backup = settings.backup_of(job.target)
        if backup is not None:
            refuse_backup(job.target, backup)
    except QuietpixelError as error:
        return PreflightResult(job, "refuse", f"{error}{_hint_at_name(error)}")
    except OSError as error:
        reason = f"'{job.source}' cannot be read: {error.strerror}."
        return PreflightResult(job, "refuse", reason)
    return PreflightResult(job, "write")


def _hint_at_name(error: QuietpixelError) -> str:
    """Return what to do about a name that the suffix of results made too long, or nothing."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
        return " Name a file, or a folder for it, as `output`."
    return ""


def _check_folder(folder: Path) -> None:
    """Raise FileError unless the folder is there, or can be made, for writing."""
    # A folder that does not exist yet is made in the nearest one above it that does.
    above = next(filter(os.path.lexists, (folder, *folder.parents)), folder)
    if not above.is_dir():
        raise FileError(f"The folder '{folder}' cannot be made: '{above}' is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FileError(f"The folder '{folder}' cannot be written to: that is not allowed.")


def share_scale(
    denoiser: Denoiser, findings: Sequence[PreflightResult], settings: Settings, ledger: Ledger
) -> tuple[Settings, str]:
    """Return the settings with one intensity scale for all pictures, and a sentence on it.

    Parameters
    ----------
    denoiser
        Finds the scale.
    findings
        What `preflight_jobs` found.
    settings
        How they are denoised.
    ledger
        Remembers the scale, so that a run is continued on that of its first files.

    Raises
    ------
    ArgumentError
        If the files that are examined have different types, or none can be read.
    """
    # Those that are done too: a run that is continued has the same files.
    sources = [each.job.source for each in findings if each.state in ("write", "done")]
    continued = any(each.state == "done" for each in findings)
    kept = ledger.read_shared() if continued else None
    if kept is None:
        some = sources[:: -(-len(sources) // MOST_FILES)]
        scale = find_folder_scale(denoiser, some, settings)
        ledger.share(asdict(scale))
        origin = f"found in {len(some)} of {len(sources)} images"
    else:
        scales = tuple(map(Scale.from_dict, kept["scales"]))
        scale = FolderScale(kept["dtype"], kept["channels"], scales)
        origin = "as in the run that is continued"
    sentence = f"One intensity scale for all images, {origin}: {scale.describe()}."
    return replace(settings, scale=scale), sentence


def find_folder_scale(
    denoiser: Denoiser, sources: Sequence[Path], settings: Settings
) -> FolderScale:
    """Return the scale of each channel of some files together.

    Parameters
    ----------
    denoiser, sources, settings
        As for `share_scale`; all sources are read, one after the other.

    Raises
    ------
    ArgumentError
        If they have different types, or none can be read.
    """
    first: Picture | None = None
    profile, options = False, replace(settings.options, axes=None)
    samples: dict[int, list[Array]] = defaultdict(list)
    layouts: dict[int, list[Layout]] = defaultdict(list)
    for picture in filter(None, (_read_or_skip(source, settings) for source in sources)):
        if first is None:
            first, options = picture, choose_channels(picture, options)
        if picture.dtype != first.dtype:
            raise other_type(picture.dtype.name, first.dtype.name)
        profile |= picture.metadata.icc is not None
        step = -(-len(picture.pages) // MOST_PAGES)
        numbered = list(zip(picture.pages, picture.channels or cycle([0]), strict=False))
        for page, channel in numbered[::step]:
            for plane in split_page(page, page, options.channels, number=channel):
                layouts[plane.channel].append(read_layout(plane.image, holes=True))
                # Of a few squares, so that many files fit into memory.
                rows, columns = (sample_places(length) for length in plane.image.shape[:2])
                samples[plane.channel].append(plane.image[rows][:, columns])
    if first is None:
        raise ArgumentError("`range` folder needs images that can be read, and none can.")
    options = replace(options, range=first.declared_range)
    scales = [
        denoiser.find_scale(samples[n], options, profile=profile, layouts=layouts[n])
        for n in sorted(samples)
    ]
    return FolderScale(first.dtype.name, options.channels, tuple(scales))


def _read_or_skip(source: Path, settings: Settings) -> Picture | None:
    with suppress(QuietpixelError):  # reported when the file is denoised
        return read_picture(
            source, max_pixels=settings.max_pixels, axes=settings.options.axes, part=settings.part
        )
    return None
