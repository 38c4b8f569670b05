"""`measure_noise`: the noise of an array or an image file."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from quietpixel.inference.arrays import Range, read_layout, with_channels
from quietpixel.noise.measure import NoiseMeasure
from quietpixel.noise.measure import measure_noise as measure_images

Array = NDArray[Any]


def measure_noise(
    image: Array | str | Path | bytes | BinaryIO, *, range: Range | None = None
) -> NoiseMeasure:
    """Return the strength of the noise of an image, by brightness, and its kind.

    Parameters
    ----------
    image
        An array as a `Denoiser` takes it, (H, W) or (H, W, C), at least 24 x 24 pixels, whose
        masked values and those that are not finite do not count; or an image file (a path, its
        bytes or an open binary file), whose pages are assumed to have the same noise.
    range
        The values of black and white; None finds them as denoising does.

    Returns
    -------
    NoiseMeasure
        ``sigma``; ``gain`` and ``read_noise`` of ``variance = gain * clean + read_noise**2`` on the
        [0, 1] scale; ``kind`` (``"white"``, ``"correlated"`` or ``"stripes"``); ``levels`` (sigma
        by brightness); and ``law``, whose text training accepts as a noise law.

    Raises
    ------
    ImageError
        If the image cannot be used or is too small.
    FileError
        If the file cannot be read.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clean = np.tile(np.linspace(50, 200, 256), (256, 1))
    >>> noisy = np.clip(clean + 20 * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)
    >>> measure = measure_noise(noisy)
    >>> measure.kind, round(255 * measure.sigma)
    ('white', 20)
    """
    if isinstance(image, np.ndarray):
        return measure_images(_to_model(image, range))
    from quietpixel.files import read_picture, turn_upright  # arrays need no image library

    # Upright, so that rows and columns of stripes are those that a viewer shows.
    picture = turn_upright(read_picture(image))
    return measure_images(
        [_to_model(page, range or picture.declared_range) for page in picture.pages]
    )


def _to_model(image: Array, range: Range | None) -> Array:
    model_image = read_layout(image, range, holes=True).to_model(with_channels(image))
    model_image[~np.isfinite(model_image)] = np.nan
    return np.ma.filled(model_image, np.nan)
