"""Which channel each page of a stack shows, as OME-TIFF and ImageJ say, or the user."""

import re
from math import prod

from quietpixel.errors import ImageError


def page_channels(description: bytes, count: int, axes: str | None = None) -> tuple[int, ...]:
    """Return the number of the channel of each page; empty where there is one channel only.

    Parameters
    ----------
    description
        The tag ImageDescription of the first page: OME-XML, or the lines that ImageJ writes.
    count
        Number of pages.
    axes
        A letter for each dimension, from the user; the file still says how long they are where
        there are several beside y, x and the samples of a pixel. None takes what the file says.

    Raises
    ------
    ImageError
        If `axes` has channels and several other dimensions, and the file names no sizes.

    Examples
    --------
    >>> page_channels(b"ImageJ=1.53\\nimages=4\\nchannels=2\\nslices=2\\n", 4)
    (0, 1, 0, 1)
    >>> page_channels(b'<OME><Pixels DimensionOrder="XYZTC" SizeC="2" SizeZ="3" SizeT="1"/>', 6)
    (0, 0, 0, 1, 1, 1)
    >>> page_channels(b"", 3, "cyx")
    (0, 1, 2)
    """
    inner = {"y", "x", "s"} | ({"c"} if (axes or "").lower().endswith("c") else set())
    outer = [letter for letter in (axes or "").lower() if letter not in inner]
    sizes = _ome_sizes(description) or _imagej_sizes(description)  # the fastest first
    if outer == ["c"]:
        sizes = {"c": count}
    elif axes and "c" not in outer:
        return ()
    elif "c" in outer and prod(sizes.values()) != count:
        raise ImageError(
            f"its {count} pages cannot be split into the axes '{axes}' because it does not say how "
            "many channels it has; save it as OME-TIFF, or each channel as a file of its own."
        )
    if sizes.get("c", 1) == 1 or prod(sizes.values()) != count:
        return ()
    before = prod(list(sizes.values())[: list(sizes).index("c")])
    return tuple(page // before % sizes["c"] for page in range(count))


def _ome_sizes(description: bytes) -> dict[str, int]:
    pixels = re.search(rb'<(?:\w+:)?Pixels\b[^>]*DimensionOrder="XY([CZT]{3})"[^>]*>', description)
    if pixels is None:
        return {}
    sizes = {key.lower(): _number(rf"\bSize{key}", pixels[0]) for key in pixels[1].decode()}
    # Samples of a pixel, such as RGB, are counted as channels there, but lie in one page.
    sizes["c"] = max(sizes["c"] // _number("SamplesPerPixel", description), 1)
    return sizes


def _imagej_sizes(description: bytes) -> dict[str, int]:
    if not description.startswith(b"ImageJ="):
        return {}
    words = {"c": "^channels", "z": "^slices", "t": "^frames"}
    return {key: _number(word, description) for key, word in words.items()}


def _number(word: str, text: bytes) -> int:
    """Return the number above 0 that a text gives for a word; 1 where it gives none."""
    found = re.search(rf'{word}="?(\d{{1,9}})'.encode(), text, re.MULTILINE)
    return max(int(found[1]), 1) if found else 1
