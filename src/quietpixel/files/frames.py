"""Frames of long animations lie in a file, from which the system loads what is worked on."""

import mmap
import tempfile
from collections.abc import Iterable

import numpy as np

from quietpixel.errors import TooLargeError
from quietpixel.files.image_format import ReadLimits, Source
from quietpixel.files.picture import Pixels, white_of

MOST_IN_MEMORY = 1 << 26
"""Bytes of frames that are kept in memory."""
MOST_FRAMES = 20_000
"""Eleven minutes at 30 frames a second. A file of tiny frames would take hours within any limit on
pixels."""


def reserve_frames(
    source: Source, size: int, count: int, limits: ReadLimits, *, canvas: int = 0
) -> bool:
    """Announce the memory for frames; return whether they are to lie in a file.

    Parameters
    ----------
    source
        The file. Bytes are held by somebody who wants nothing on the disk.
    size, count
        Bytes of a frame, and the number of frames.
    limits
        Asked for all frames, or for what is worked on at once.
    canvas
        Bytes that the decoder takes beside the frames.

    Raises
    ------
    TooLargeError
        If there are too many frames.
    """
    if count > MOST_FRAMES:
        raise TooLargeError(
            f"it has {count:,} frames, and at most {MOST_FRAMES:,} are read; split it into shorter "
            "animations"
        )
    total = size * count + canvas
    long = not isinstance(source, bytes) and total > MOST_IN_MEMORY
    limits.reserve(MOST_IN_MEMORY if long else total)
    return long


def drop_opaque_alpha(pages: tuple[Pixels, ...], *, stored: bool) -> tuple[Pixels, ...]:
    """Return frames without their alpha if all are opaque; `stored` frames are stored again."""
    white = white_of(pages[0].dtype)
    if pages[0].shape[2] in (1, 3) or any((page[..., -1] != white).any() for page in pages):
        return pages
    opaque = (np.ascontiguousarray(page[..., :-1]) for page in pages)
    return store_frames(opaque, len(pages)) if stored else tuple(opaque)


def store_frames(frames: Iterable[Pixels], count: int) -> tuple[Pixels, ...]:
    """Return frames of one shape as arrays in an unnamed temporary file, which may be changed.

    Examples
    --------
    >>> pages = store_frames((np.full((2, 3, 1), each, np.uint8) for each in range(4)), 4)
    >>> len(pages), int(pages[3].max()), pages[3].flags.writeable
    (4, 3, True)
    """
    frames = iter(frames)
    first = next(frames)
    with tempfile.TemporaryFile() as file:
        file.truncate(first.nbytes * count)
        space = mmap.mmap(file.fileno(), first.nbytes * count)
    # All at once: between the frames, these small objects kept freed memory from being used again.
    pages = np.ndarray((count, *first.shape), first.dtype, space)
    pages[0] = first
    for number, frame in enumerate(frames, start=1):
        pages[number] = frame
    return tuple(pages)
