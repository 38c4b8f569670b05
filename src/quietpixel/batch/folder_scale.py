"""One intensity scale for all pictures of a run, so that their brightness can be compared."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quietpixel.batch.denoise import FolderScale, Settings, choose_channels, other_type
from quietpixel.batch.ledger import Ledger
from quietpixel.errors import ArgumentError, QuietpixelError
from quietpixel.files import Picture, read_picture
from quietpixel.imaging.axes import find_axes
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.inference.arrays import Layout, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.level import sample_places
from quietpixel.inference.planes import split

Array = NDArray[Any]

MOST_FILES, MOST_PAGES = 16, 2
"""How many files are examined, evenly spaced by name, and how many pages of each."""


def share_scale(
    denoiser: Denoiser, sources: Sequence[Path], settings: Settings, ledger: Ledger
) -> tuple[Settings, str]:
    """Return the settings with one intensity scale for all pictures, and a sentence on it.

    Parameters
    ----------
    denoiser
        Finds the scale.
    sources
        All files of the run.
    settings
        How they are denoised.
    ledger
        Remembers the scale, so that a run is continued on that of its first files.

    Raises
    ------
    ArgumentError
        If the files that are examined have different types, or none can be read.
    """
    kept = ledger.read_shared()
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
    for picture in filter(None, (_read(source, settings) for source in sources)):
        if first is None:
            first, options = picture, choose_channels(picture, options)
        if picture.dtype != first.dtype:
            raise other_type(picture.dtype.name, first.dtype.name)
        profile |= picture.metadata.icc is not None
        step = -(-len(picture.pages) // MOST_PAGES)
        numbered = list(zip(picture.pages, picture.channels or cycle([0]), strict=False))
        for page, channel in numbered[::step]:
            each = page.shape[2] if options.channels == "separate" else 1
            axes = find_axes(page.shape, channels=options.channels)
            for plane in split(page, page, axes, first=channel * each):
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


def _read(source: Path, settings: Settings) -> Picture | None:
    with suppress(QuietpixelError):  # reported when the file is denoised
        return read_picture(
            source,
            max_pixels=settings.max_pixels,
            axes=settings.options.axes,
            part=settings.part,
        )
    return None
