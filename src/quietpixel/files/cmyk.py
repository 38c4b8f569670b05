"""CMYK images: converted to RGB through their own profile, and back.

The way back through a profile would find another mix of inks: a mix without black came back with
black instead of colours. So the inks that the file had are scaled until they show the new colours,
and where a pixel's RGB did not change, they stay as they are.
"""

from typing import Any

import numpy as np

from quietpixel.files import vips
from quietpixel.files.picture import Pixels

_STRIP = 256
"""Rows scaled at once, so that large images need little more memory."""
_STEPS = 4
"""For noise of 8/255, the mean error after 1, 2, 4 and 6 steps is 3.1, 2.0, 1.1 and 0.8 of 255."""


def to_rgb(
    pages: tuple[Pixels, ...], profile: bytes | None
) -> tuple[tuple[Pixels, ...], tuple[str, ...]]:
    """Return the pages (H, W, 3 or 4) in sRGB, and notes.

    Parameters
    ----------
    pages
        CMYK (H, W, 4), or with alpha (H, W, 5), of uint8 or uint16.
    profile
        The ICC profile of the file; None, or one that does not work, means a built-in one.
    """
    note = "The CMYK image has no profile; a standard one was used."
    if profile is not None:
        try:
            return tuple(_import(page, profile) for page in pages), ()
        except vips.VipsError:
            note = "The CMYK profile is damaged; a standard one was used."
    return tuple(_import(page, None) for page in pages), (note,)


def to_cmyk(
    pages: tuple[Pixels, ...], stored: tuple[Pixels, ...], profile: bytes | None
) -> tuple[Pixels, ...]:
    """Return sRGB pages as CMYK; `stored` are the inks that the file had."""
    try:
        return tuple(_merge(*each, profile) for each in zip(pages, stored, strict=True))
    except vips.VipsError:
        if profile is None:
            raise
        return to_cmyk(pages, stored, None)


def _merge(page: Pixels, stored: Pixels, profile: bytes | None) -> Pixels:
    result = stored.copy()
    for top in range(0, len(page), _STRIP):
        rows = slice(top, top + _STRIP)
        result[rows, :, :4] = _scale_inks(page[rows, :, :3], stored[rows, :, :4], profile)
    result[:, :, 4:] = page[:, :, 3:]
    return result


def _scale_inks(wanted: Pixels, stored: Pixels, profile: bytes | None) -> Pixels:
    """Return inks in the mix that is stored, in the strength that shows the RGB wanted."""
    white = np.float32(np.iinfo(stored.dtype).max)
    inks, shown = stored, _import(stored, profile)
    changed = (wanted != shown).any(axis=2, keepdims=True)
    for _ in range(_STEPS if changed.any() else 0):
        paper = np.maximum(1 - inks / white, 0.004)  # the share that is left without ink
        ratio = (wanted / white + 0.01) / (shown / white + 0.01)
        density = -np.log(paper)
        black = density[..., 3:] / (
            density[..., 3:] + density[..., :3].mean(-1, keepdims=True) + 1e-6
        )
        # What the channels share is split between black and colours as it is in the mix.
        shared = np.exp(np.log(ratio).mean(-1, keepdims=True) * black)
        paper *= np.concatenate([ratio / shared, shared], axis=2)
        inks = np.rint((1 - paper.clip(0, 1)) * white).astype(stored.dtype)
        shown = _import(inks, profile)
    return np.where(changed, inks, stored)


@vips.working()
def _import(page: Pixels, profile: bytes | None) -> Pixels:
    image = vips.from_array(page[:, :, :4], "cmyk")
    kind: dict[str, Any] = {"input_profile": "cmyk"}  # libvips' built-in profile
    if profile is not None:
        image, kind = vips.with_blob(image, "icc-profile-data", profile), {"embedded": True}
    rgb = vips.to_array(image.icc_transform("srgb", depth=8 * page.dtype.itemsize, **kind))
    return np.concatenate([rgb, page[:, :, 4:]], axis=2)
