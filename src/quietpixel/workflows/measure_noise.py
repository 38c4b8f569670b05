"""`measure_noise`: the noise of an array or an image file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from quietpixel.imaging.intensity_scale import FIXED_SCALES
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
        The values of black, which is without light, and of white. None takes the nominal ones, and
        the darkest part as without light unless the image has 8 bits or a colour profile.

    Returns
    -------
    NoiseMeasure
        ``sigma``; ``gain``, ``offset`` and ``read_noise`` of ``variance = gain * (clean - offset) +
        read_noise**2`` on the [0, 1] scale; ``counts``, the same in the units of the image;
        ``black`` and ``white``, which 0 and 1 stand for; ``kind``; ``levels`` (sigma by
        brightness); ``law``, whose text training accepts as a noise law; and ``warning``, a
        sentence where that law is too weak.

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
        return _measure([image], range, nominal=image.dtype.name in FIXED_SCALES)
    from quietpixel.files import read_picture, turn_upright  # arrays need no image library

    # Upright, so that rows and columns of stripes are those that a viewer shows.
    picture = turn_upright(read_picture(image))
    nominal = picture.metadata.icc is not None or picture.dtype.name in FIXED_SCALES
    return _measure(picture.pages, range or picture.declared_range, nominal=nominal)


def _measure(pages: Sequence[Array], range: Range | None, *, nominal: bool) -> NoiseMeasure:
    black, white = read_layout(with_channels(pages[0]), range, holes=True).range
    images = []
    for page in map(with_channels, pages):
        image = read_layout(page, (black, white), holes=True).to_model(page)
        image[~np.isfinite(image)] = np.nan
        images.append(np.ma.filled(image, np.nan))
    measure = measure_images(images, offset=range is None and not nominal)
    return replace(measure, black=black, white=white)
