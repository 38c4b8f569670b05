"""How a folder holds its scenes: clean images, pairs of images, or noisy images only."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quietpixel.data.image_cache import Notify, Paths, StoredImage
from quietpixel.errors import ArgumentError, DataError, import_optional
from quietpixel.files import find_results, list_images
from quietpixel.files.zarr_store import is_store

Plane = NDArray[np.float32]

SIDES = {"clean": (("noisy", "clean"),), "noisy": (("first", "second"), ("noisy", "clean"))}
"""The subfolders that make pairs, by the target."""
NAMED = 10
"""Number of skipped files that are named; the others are counted."""
FINE, COARSE = 1.0, 8.0
"""Sizes in pixels of the details that are compared: finer ones are noise, coarser ones shading."""
LEAST_LIKENESS = 0.1
"""Correlation of these details below which two images do not show the same."""
MOVED_LIKENESS = 0.3
"""Correlation above which two images show the same, but moved."""
LEAST_GAIN = 0.02
"""Gain in correlation above which a shift is believed."""
LARGEST = 1024
"""Height and width in pixels of the central part that is compared."""


@dataclass(frozen=True)
class Layout:
    """The scenes of a folder.

    Parameters
    ----------
    kind
        ``"clean"``, ``"pairs"`` or ``"noisy"``.
    scenes
        The files of each scene, sorted by name; for a pair, input and target.
    """

    kind: str
    scenes: tuple[Paths, ...]


def find_layout(folder: Path, *, target: str, pairs: str, notify: Notify) -> Layout:
    """Return the scenes of `folder`.

    Parameters
    ----------
    folder
        The folder, or one file or Zarr, such as a stack.
    target
        ``"clean"``: clean images, or pairs of a noisy and a clean one; ``"noisy"``: pairs of two
        noisy ones; ``"none"``: noisy images, only those in ``noisy`` if there is such a subfolder.
    pairs
        Two patterns of names such as ``"*_real.*=*_mean.*"``; empty pairs by subfolders.
    notify
        Called with a sentence on files without a partner.

    Raises
    ------
    ArgumentError
        If `pairs` is not two patterns, or there are no pairs and the target is noisy.
    DataError
        If no two files are a pair.
    """
    patterns = pairs.split("=") if pairs else []
    stars = [pattern.count("*") for pattern in patterns]
    if pairs and (len(patterns) != 2 or stars[0] != stars[1] or not stars[0]):
        raise ArgumentError(
            "`pairs` must be two patterns of names with the same number of stars, the noisy one "
            f"first, such as '*_real.*=*_mean.*'; got '{pairs}'."
        )
    if not folder.is_dir() or is_store(folder):
        if patterns or target == "noisy":
            raise ArgumentError(
                f"`pairs`, and `target` noisy, need a folder of images; '{folder}' is one file."
            )
        return Layout("noisy" if target == "none" else "clean", ((folder,),))
    if target == "none":
        # Only noisy files are listed, so that no clean one can be read by mistake.
        inner = folder / "noisy"
        whole = patterns or not inner.is_dir()
        found: Iterable[Path] = list_sources(folder if whole else inner, notify)
        if patterns:
            found = _find_keys(found, folder, patterns[0]).values()
        return Layout("noisy", tuple((path,) for path in found))
    if patterns:
        return _match(folder, patterns, notify)
    for sides in SIDES[target]:
        if all((folder / side).is_dir() for side in sides):
            return _match(folder, [f"{side}/**" for side in sides], notify)
    if target == "noisy":
        raise ArgumentError(
            f"`target` noisy needs two noisy shots of each scene, and the folder '{folder}' has no "
            "subfolders 'first' and 'second'; describe the names of a pair by `pairs`, such as "
            "'*_a.*=*_b.*'."
        )
    return Layout("clean", tuple((path,) for path in list_sources(folder, notify)))


def list_scenes(folder: Path, notify: Notify, *, recursive: bool = True) -> list[Path]:
    """Return the image files of a folder and its subfolders, and each Zarr, sorted.

    Parameters
    ----------
    folder
        The folder.
    notify
        Called with a sentence on images of formats that are not read.
    recursive
        Whether subfolders are searched.
    """
    listing = list_images(folder, recursive=recursive)
    unread = [file.path for file in listing.unread if file.is_image]
    stores = [path for path in unread if path.is_dir()]
    unknown = (path.relative_to(folder) for path in unread if path not in stores)
    notify_skipped("images that cannot be read here", unknown, notify)
    return sorted([*listing.images, *stores])


def list_sources(folder: Path, notify: Notify, *, recursive: bool = True) -> list[Path]:
    """Return the images of a folder as `list_scenes` does, without results of quietpixel."""
    paths = list_scenes(folder, notify, recursive=recursive)
    runs = (path for path in paths if path.name == "samples.png")
    results = {*find_results(paths), *(p for p in runs if p.with_name("recipe.json").exists())}
    notify_skipped("results of quietpixel", (p.relative_to(folder) for p in results), notify)
    return [path for path in paths if path not in results]


def notify_skipped(kind: str, names: Iterable[str | Path], notify: Notify) -> None:
    """Pass on a sentence that names the first images that are skipped and counts the others."""
    quoted = sorted(f"'{name}'" for name in names)
    if quoted:
        more = f" and {len(quoted) - NAMED} more" if len(quoted) > NAMED else ""
        notify(f"Skipping {kind}: {', '.join(quoted[:NAMED])}{more}.")


def find_masks(
    scenes: Sequence[Paths], folder: Path, masks: Path, notify: Notify
) -> dict[Paths, Path]:
    """Return the file with the mask of each scene that has one.

    Parameters
    ----------
    scenes
        The files of each scene.
    folder
        What they are in, or the only file.
    masks
        A folder with a mask under the name of each image, whatever its suffix; or one mask.
    notify
        Called with a sentence on scenes without a mask.

    Raises
    ------
    DataError
        If no scene has a mask.
    """
    if masks.is_dir() and not is_store(masks):
        named = {
            path.relative_to(masks).with_suffix(""): path for path in list_scenes(masks, notify)
        }
    else:
        named = {}
    found = {}
    for scene in scenes:
        name = Path(scene[0].name) if scene[0] == folder else scene[0].relative_to(folder)
        name = name.with_suffix("")
        # The masks of pairs need no subfolder "noisy".
        for key in (name, Path(*name.parts[1:])):
            if key in named:
                found[scene] = named[key]
                break
        if len(scenes) == 1 and masks.is_file():
            found[scene] = masks
    if not found:
        raise DataError(
            f"`masks` must be a folder with masks under the names of the images, or one mask for "
            f"one image; got '{masks}', which has none for '{folder}'."
        )
    if len(found) < len(scenes):
        notify(f"{len(scenes) - len(found)} images have no mask and are used whole.")
    return found


def _match(folder: Path, patterns: Sequence[str], notify: Notify) -> Layout:
    paths = list_scenes(folder, notify)
    first, second = (_find_keys(paths, folder, pattern) for pattern in patterns)
    scenes = [(path, second[key]) for key, path in first.items() if key in second]
    # Patterns that overlap match one file as both sides of a pair.
    scenes = [scene for scene in scenes if scene[0] != scene[1]]
    alone = [first[key] for key in first.keys() - second.keys()]
    alone += [second[key] for key in second.keys() - first.keys()]
    notify_skipped("images without a partner", (p.relative_to(folder) for p in alone), notify)
    if not scenes:
        raise DataError(
            f"The folder '{folder}' holds no pair of images named like '{patterns[0]}' and "
            f"'{patterns[1]}'; give both images of a pair the same name, or describe their names "
            "by `pairs`."
        )
    return Layout("pairs", tuple(sorted(scenes)))


def _find_keys(paths: Iterable[Path], folder: Path, pattern: str) -> dict[tuple[str, ...], Path]:
    """Return the files that match `pattern`, by what its stars match."""
    matches = _compile(pattern)
    found = ((matches(path.relative_to(folder)), path) for path in paths)
    return {key: path for key, path in found if key is not None}


def _compile(pattern: str) -> Callable[[Path], tuple[str, ...] | None]:
    """Return a function from a path to what the stars of `pattern` match; None for no match.

    ``**`` at the end of a pattern matches a path without its suffix. A star for the suffix alone
    is ignored, so that the files of a pair may differ in format. A pattern without a slash is for
    names, in any folder.
    """
    if pattern.endswith("/**"):
        top = Path(pattern[:-3])
        return lambda path: (
            (path.relative_to(top).with_suffix("").as_posix(),) if top in path.parents else None
        )
    suffix, slash = pattern.endswith(".*"), "/" in pattern
    wanted = re.compile(re.escape(pattern.removesuffix(".*")).replace(r"\*", "([^/]*)"))

    def match(path: Path) -> tuple[str, ...] | None:
        whole = path.with_suffix("") if suffix else path
        found = wanted.fullmatch(whole.as_posix() if slash else whole.name)
        if found is None:
            return None
        return (*found.groups(), "" if slash else whole.parent.as_posix())

    return match


def find_mismatch(images: Sequence[StoredImage], names: Sequence[str | Path]) -> str:
    """Return why two images are not a pair, in a sentence; empty if they are one.

    Parameters
    ----------
    images
        The two images of a scene.
    names
        Their names.
    """
    pair = f"'{names[0]}' and '{names[1]}'"
    first, second = (image.size for image in images)
    if first != second:
        return (
            f"{pair} are not a pair: they have {first[1]} x {first[0]} and {second[1]} x "
            f"{second[0]} pixels."
        )
    counts = [image.page_count for image in images]
    if counts[0] != counts[1]:
        return f"{pair} are not a pair: they have {counts[0]} and {counts[1]} pages."
    one, other = (_find_details(image) for image in images)
    # A flat image has no details to compare.
    if not one.any() or not other.any():
        return ""
    # Details only: brightness may differ between shots of one scene.
    likeness = _correlate(one, other)
    down, right = shift = find_shift(one, other)
    if any(shift):
        here = tuple(slice(max(by, 0), min(by, 0) or None) for by in shift)
        there = tuple(slice(max(-by, 0), min(-by, 0) or None) for by in shift)
        if _correlate(one[here], other[there]) > max(likeness + LEAST_GAIN, MOVED_LIKENESS):
            return f"{pair} are not a pair: the first is moved by {down} down and {right} right."
    if likeness < LEAST_LIKENESS:
        return f"{pair} are not a pair: they do not show the same (correlation {likeness:.2f})."
    return ""


def find_shift(one: Plane, other: Plane) -> tuple[int, int]:
    """Return how far down and right `one` is from `other`, in pixels, by phase correlation.

    Parameters
    ----------
    one, other
        Arrays (H, W).

    Examples
    --------
    >>> image = np.random.default_rng(0).random((32, 32), np.float32)
    >>> find_shift(np.roll(image, (2, -3), (0, 1)), image)
    (2, -3)
    """
    registration = import_optional("skimage.registration", "Pairs need scikit-image")
    # Not normalised: noise fills all frequencies and would count as much as content.
    shift = registration.phase_cross_correlation(one, other, normalization=None)[0]
    return int(shift[0]), int(shift[1])


def _find_details(image: StoredImage) -> Plane:
    """Return the details of the centre of an image without noise and shading, with mean 0."""
    smooth = import_optional("scipy.ndimage", "Pairs need SciPy").gaussian_filter
    height, width = image.size
    top, left = max(0, (height - LARGEST) // 2), max(0, (width - LARGEST) // 2)
    part = image.part(top, left, min(height, LARGEST), min(width, LARGEST)).mean(axis=-1)
    details: Plane = smooth(part, FINE) - smooth(part, COARSE)
    return np.asarray(details - details.mean(), np.float32)


def _correlate(one: Plane, other: Plane) -> float:
    strength = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / strength if strength else 0.0
