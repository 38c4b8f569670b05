"""The memory that a denoiser may take, and checks of the stacks it is given."""

import re
from typing import Any

import numpy as np

from quietpixel.card import Card
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.inference.arrays import check_array

VALUE_BYTES = {"f32": 4, "bf16": 2}
MARGIN = 2
"""What an engine and the arrays around it take for each byte that a card's `values` tell of: 1.1 to
2.2 were measured with OpenVINO, 1.3 for the bundled photo models."""
UNKNOWN_VALUES = 128
"""What is assumed of a model whose card does not say: a U-Net of 32 filters at full resolution."""
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def parse_memory(memory: int | str) -> int:
    """Return a size of memory in bytes.

    Raises
    ------
    ArgumentError
        If it is no positive size.

    Examples
    --------
    >>> parse_memory("1GB"), parse_memory("512 MB"), parse_memory(1000)
    (1073741824, 536870912, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMG]?)(?:i?B)?\s*", str(memory), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise ArgumentError(
            f"`memory` must be a size above 0 because tiles need room; got {memory!r}. Try '1GB'."
        )
    return size


def bytes_per_pixel(card: Card, precision: str) -> int:
    """Return what one pixel of a tile takes while a model computes in ``"f32"`` or ``"bf16"``.

    Examples
    --------
    >>> bytes_per_pixel(Card(name="m", architecture="unet", channels=3, values=68), "bf16")
    272
    """
    return MARGIN * (card.values or UNKNOWN_VALUES) * VALUE_BYTES[precision]


def check_batch(images: Any) -> None:
    """Raise ImageError unless `images` is a stack (N, H, W, 1 or 3) of usable images."""
    shape = getattr(images, "shape", type(images).__name__)
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ImageError(
            f"`images` must be an array (N, H, W, 1) or (N, H, W, 3); got {shape}. Pass "
            "images[..., None] for gray images, or one image to the denoiser itself."
        )
    if images.size == 0:
        raise ImageError(f"`images` must hold at least one pixel; got shape {shape}.")
    check_array(images.reshape(-1, *images.shape[2:]))


def check_out(out: Any, image: Any) -> None:
    """Raise ArgumentError unless `out` is None or can take the result for `image`."""
    if out is None:
        return
    got = f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}".strip()
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (image.shape, image.dtype):
        raise ArgumentError(
            f"`out` must have the type and shape of `image`, {image.dtype} {image.shape}, because "
            f"the result is put there; got {got}. Leave it out for a new array."
        )
    if not out.flags.writeable:
        raise ArgumentError("`out` cannot be written to; leave it out for a new array.")
    if out is not image and np.may_share_memory(out, image):
        raise ArgumentError("`out` overlaps `image`; pass `image` itself, or an array of its own.")
