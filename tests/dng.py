"""Writes DNG files as cameras and converters do, in four layouts.

``python -m tests.dng FOLDER`` writes one of each, for a look with other programs.
"""

import io
import sys
from pathlib import Path

import numpy as np
import tifffile

WHITE = 4095
"""Of sensors with 12 bits."""
NEUTRAL = (1, 2, 1, 1, 2, 3)
"""As-shot neutral as fractions: red times 2 and blue times 1.5 make gray."""
_IDENTITY = [value for number in (1, 0, 0, 0, 1, 0, 0, 0, 1) for value in (number, 1)]
_CFA = ((33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True))
_LEVELS = ((50714, "I", 1, 0, True), (50717, "I", 1, WHITE, True))


def make_mosaic(height: int = 24, width: int = 32, *, noise: float = 0.0) -> np.ndarray:
    """Return a gray ramp as a sensor behind an RGGB filter sees it, with the given neutral."""
    ramp = np.add.outer(np.linspace(600, 1200, height), np.linspace(0, 600, width))
    gains = np.array([[0.5, 1.0], [1.0, 2 / 3]])
    mosaic = ramp * np.tile(gains, (height // 2, width // 2))
    mosaic += np.random.default_rng(0).normal(0, noise, mosaic.shape)
    return np.clip(np.rint(mosaic), 0, WHITE).astype(np.uint16)


def _tags(orientation: int = 1) -> tuple[tuple, ...]:
    return (
        (271, "s", 0, "Maker", True),
        (274, "H", 1, orientation, True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "Maker Model", True),
        (50721, "2i", 9, _IDENTITY, True),
        (50728, "2I", 3, NEUTRAL, True),
    )


def plain(mosaic: np.ndarray, orientation: int = 1, **options) -> bytes:
    """Return a DNG whose first page is the mosaic."""
    stream = io.BytesIO()
    tags = (*_tags(orientation), *_CFA, *_LEVELS)
    tifffile.imwrite(
        stream, mosaic, photometric="CFA", extratags=tags, metadata=None, software="", **options
    )
    return stream.getvalue()


def compressed(mosaic: np.ndarray, orientation: int = 1) -> bytes:
    """Return one with lossless JPEG, as most converters write."""
    lossless = {"lossless": True, "bitspersample": 12}
    return plain(mosaic, orientation, compression=7, compressionargs=lossless)


def with_preview(mosaic: np.ndarray, orientation: int = 1) -> bytes:
    """Return one whose first page is a small preview, with the mosaic in a page below it."""
    stream = io.BytesIO()
    height, width = mosaic.shape
    preview = np.full((height // 2, width // 2, 3), 90, np.uint8)
    with tifffile.TiffWriter(stream) as file:
        options = {"metadata": None, "software": ""}
        tags = _tags(orientation)
        file.write(preview, photometric="rgb", subfiletype=1, subifds=1, extratags=tags, **options)
        file.write(mosaic, photometric="CFA", extratags=(*_CFA, *_LEVELS), **options)
    return stream.getvalue()


def linear(mosaic: np.ndarray, orientation: int = 1) -> bytes:
    """Return one of colours that were interpolated before, as stitched panoramas are."""
    stream = io.BytesIO()
    red, green, blue = mosaic[::2, ::2], mosaic[::2, 1::2], mosaic[1::2, 1::2]
    pixels = np.repeat(np.repeat(np.stack([red, green, blue], axis=2), 2, axis=0), 2, axis=1)
    levels = ((50714, "I", 3, (0,) * 3, True), (50717, "I", 3, (WHITE,) * 3, True))
    tifffile.imwrite(
        stream, pixels, photometric=34892, planarconfig="contig", metadata=None, software="",
        extratags=(*_tags(orientation), *levels),
    )  # fmt: skip
    return stream.getvalue()


LAYOUTS = {each.__name__: each for each in (plain, compressed, with_preview, linear)}

if __name__ == "__main__":
    for name, make in LAYOUTS.items():
        Path(sys.argv[1], f"{name}.dng").write_bytes(make(make_mosaic(400, 600, noise=40)))
