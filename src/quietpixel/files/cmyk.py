"""CMYK images: converted to RGB through their own profile, and back.

The way back through a profile cannot find the same mix of inks again. So where a pixel's RGB did
not change, the inks that the file had are written.
"""

from typing import Any

import numpy as np

from quietpixel.files import vips
from quietpixel.files.picture import Pixels

_PRINT = "cmyk"  # libvips' built-in profile
_SCREEN = "srgb"


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
    before = _import(stored, profile)
    same = (page[:, :, :3] == before[:, :, :3]).all(axis=2, keepdims=True)
    inks = stored[:, :, :4]
    if not same.all():
        inks = np.where(same, inks, _export(page[:, :, :3], profile))
    return np.concatenate([inks, page[:, :, 3:]], axis=2)


def _image(page: Pixels, interpretation: str, profile: bytes | None) -> Any:
    image = vips.from_array(np.ascontiguousarray(page), interpretation)
    return image if profile is None else vips.with_blob(image, "icc-profile-data", profile)


def _import(page: Pixels, profile: bytes | None) -> Pixels:
    image = _image(page[:, :, :4], "cmyk", profile)
    kind = {"embedded": True} if profile is not None else {"input_profile": _PRINT}
    rgb = vips.to_array(image.icc_transform(_SCREEN, depth=8 * page.dtype.itemsize, **kind))
    return np.concatenate([rgb, page[:, :, 4:]], axis=2)


def _export(rgb: Pixels, profile: bytes | None) -> Pixels:
    image = _image(rgb, "rgb16" if rgb.dtype.itemsize == 2 else "srgb", None)
    image = image.icc_import(input_profile=_SCREEN)
    depth = 8 * rgb.dtype.itemsize
    if profile is None:
        return vips.to_array(image.icc_export(output_profile=_PRINT, depth=depth))
    image = vips.with_blob(image, "icc-profile-data", profile)
    return vips.to_array(image.icc_export(depth=depth))
