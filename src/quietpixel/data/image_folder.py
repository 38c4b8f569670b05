"""How a folder holds its scenes: clean pictures, pairs of pictures, or noisy pictures only."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quietpixel.errors import ArgumentError, DataError
from quietpixel.files import list_images

Paths = tuple[Path, ...]
Notify = Callable[[str], None]

SIDES = {"clean": (("noisy", "clean"),), "noisy": (("first", "second"), ("noisy", "clean"))}
"""The subfolders that make pairs, by what the target is."""
NAMED = 10
"""So many names are told; of more only the number."""


@dataclass(frozen=True)
class Layout:
    """The scenes of a folder.

    Parameters
    ----------
    kind
        ``"clean"``, ``"pairs"`` or ``"noisy"``.
    scenes
        The files of each scene, sorted by name: of a pair the input and the target.
    """

    kind: str
    scenes: tuple[Paths, ...]


def find_layout(folder: Path, *, target: str, pairs: str, notify: Notify) -> Layout:
    """Return the scenes of `folder`.

    Parameters
    ----------
    folder
        Where they are.
    target
        ``"clean"``: clean pictures, or pairs of a noisy and a clean one; ``"noisy"``: pairs of two
        noisy ones; ``"none"``: noisy pictures, of ``noisy/`` alone if there is such a subfolder.
    pairs
        Two patterns of names such as ``"*_real.*=*_mean.*"``; empty goes by subfolders.
    notify
        Called with a sentence on files without a partner.

    Raises
    ------
    ArgumentError
        If `pairs` is not two patterns, or a target of noisy pictures finds no pairs.
    DataError
        If no two files are a pair.
    """
    if target == "none":
        first = _split_patterns(pairs)[0] if pairs else None
        return Layout("noisy", tuple((path,) for path in _noisy_only(folder, first)))
    if pairs:
        return _match(folder, _split_patterns(pairs), notify)
    for sides in SIDES[target]:
        if all((folder / side).is_dir() for side in sides):
            return _match(folder, tuple(f"{side}/**" for side in sides), notify)
    if target == "noisy":
        raise ArgumentError(
            f"`target` noisy needs two noisy shots of each scene, and the folder '{folder}' has no "
            "subfolders 'first' and 'second'; say by --pairs which names belong together, such as "
            "--pairs '*_a.*=*_b.*'."
        )
    return Layout("clean", tuple((path,) for path in list_images(folder, recursive=True).images))


def _noisy_only(folder: Path, pattern: str | None) -> tuple[Path, ...]:
    """List noisy files alone; the clean ones of the folder are not even looked for."""
    if pattern is None:
        inner = folder / "noisy"
        return list_images(inner if inner.is_dir() else folder, recursive=True).images
    matches = _compile(pattern)
    paths = list_images(folder, recursive=True).images
    return tuple(path for path in paths if matches(path.relative_to(folder)) is not None)


def _split_patterns(pairs: str) -> tuple[str, str]:
    sides = pairs.split("=")
    stars = [side.count("*") for side in sides]
    if len(sides) != 2 or stars[0] != stars[1] or not stars[0]:
        raise ArgumentError(
            "`pairs` must be two patterns of names with as many stars each, the noisy one first, "
            f"such as '*_real.*=*_mean.*'; got '{pairs}'."
        )
    return sides[0], sides[1]


def _match(folder: Path, patterns: tuple[str, ...], notify: Notify) -> Layout:
    paths = list_images(folder, recursive=True).images
    first, second = (_by_key(paths, folder, pattern) for pattern in patterns)
    scenes = [(path, second[key]) for key, path in first.items() if key in second]
    scenes = [scene for scene in scenes if scene[0] != scene[1]]
    alone = [first[key] for key in first.keys() - second.keys()]
    alone += [second[key] for key in second.keys() - first.keys()]
    if alone:
        notify(f"Left out, because the other of the pair is missing: {_name(alone, folder)}")
    if not scenes:
        raise DataError(
            f"The folder '{folder}' holds no pair of pictures named like '{patterns[0]}' and "
            f"'{patterns[1]}'; give both pictures of a pair the same name, or say how they are "
            "named by --pairs."
        )
    return Layout("pairs", tuple(sorted(scenes)))


def _by_key(paths: Iterable[Path], folder: Path, pattern: str) -> Mapping[tuple[str, ...], Path]:
    """Return the files that `pattern` fits by what its stars stand for."""
    matches = _compile(pattern)
    found = ((matches(path.relative_to(folder)), path) for path in paths)
    return {key: path for key, path in found if key is not None}


def _compile(pattern: str) -> Callable[[Path], tuple[str, ...] | None]:
    """Return what tells for a path what the stars of `pattern` stand for.

    ``**`` at the end of a pattern is a path without its suffix; a star for the suffix alone counts
    for nothing, so that a pair may have two formats. A pattern without a slash is one of names,
    whatever folder they are in.
    """
    if pattern.endswith("/**"):
        top = Path(pattern[:-3])
        return lambda path: _below(path, top)
    suffix = pattern.endswith(".*")
    text = re.escape(pattern[:-2] if suffix else pattern).replace(r"\*", "([^/]*)")
    wanted = re.compile(text)

    def match(path: Path) -> tuple[str, ...] | None:
        whole = path.with_suffix("") if suffix else path
        found = wanted.fullmatch(whole.as_posix() if "/" in pattern else whole.name)
        if found is None:
            return None
        return (*found.groups(), "" if "/" in pattern else whole.parent.as_posix())

    return match


def _below(path: Path, top: Path) -> tuple[str, ...] | None:
    return (path.relative_to(top).with_suffix("").as_posix(),) if top in path.parents else None


def _name(paths: list[Path], folder: Path) -> str:
    names = sorted(f"'{path.relative_to(folder)}'" for path in paths)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more + "."
