"""`denoise` for whatever holds an image: NumPy, Dask and xarray arrays, and image files."""

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.arrays import denoise as denoise_lazily
from quietpixel.cluster.optional_imports import need
from quietpixel.errors import ImageError
from quietpixel.imaging.axes import find_axes, letters_of
from quietpixel.imaging.intensity_scale import (
    FIXED_SCALES,
    MOST_IMAGES,
    Range,
    estimate_range,
    scale_places,
)
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.options import DenoiseOptions, Sigma

Source = str | Path | bytes | BinaryIO

_OUTER = "abdefghijklmnop"


def denoise(
    image: Any,
    model: str | Path | None = None,
    *,
    sigma: Sigma = "auto",
    strength: float = 1.0,
    colour_strength: float | None = None,
    range: Range | None = None,
    axes: str | None = None,
    channels: str = "auto",
    dtype: str | None = None,
    **options: Any,
) -> Any:
    """Return an image without its noise; for many images, keep a `Denoiser` instead.

    Parameters
    ----------
    image
        A NumPy array as `Denoiser` takes it; a Dask array, which is computed when the result is,
        except for a sample that decides the intensity scale; an xarray ``DataArray``, whose
        dimensions name the axes; or an image file with one page (a path, its bytes or an open
        binary file).
    model, **options
        As for `Denoiser`.
    sigma, strength, colour_strength, range, axes, channels, dtype
        As for `DenoiseOptions`.

    Returns
    -------
    denoised
        Of the same kind, shape and type; for a file a NumPy array, upright, (H, W, C).

    Examples
    --------
    >>> clean = denoise(noisy, model="mnist-unet")  # doctest: +SKIP
    """
    settings = DenoiseOptions(
        model=model, sigma=sigma, strength=strength, colour_strength=colour_strength, range=range,
        axes=axes, channels=channels, dtype=dtype, **options,
    )  # fmt: skip
    # By its attributes, because importing xarray takes long and it may be missing.
    if hasattr(image, "dims") and hasattr(image, "coords"):
        settings = replace(settings, axes=axes or letters_of(image.dims))
        return image.copy(data=_denoise_array(image.data, settings))
    if isinstance(image, str | Path | bytes) or hasattr(image, "read"):
        return _denoise_file(cast(Source, image), settings)
    return _denoise_array(image, settings)


def _denoise_array(image: Any, settings: DenoiseOptions) -> Any:
    # Every Dask collection has its graph there.
    if hasattr(image, "dask"):
        return _denoise_dask(image, settings)
    return Denoiser.from_options(settings).denoise(image).image


def _denoise_file(source: Source, settings: DenoiseOptions) -> NDArray[Any]:
    from quietpixel.files import read_picture, turn_upright  # arrays need no image library

    denoiser = Denoiser.from_options(settings)
    picture = turn_upright(read_picture(source, axes=settings.axes))
    if len(picture.pages) != 1:
        raise ImageError(
            f"`image` must have one page because one array comes back; got {len(picture.pages)}. "
            "Pass the pages of quietpixel.files.read_picture(image) one by one to a Denoiser."
        )
    settings = replace(settings, range=settings.range or picture.declared_range, axes=None)
    page = picture.pages[0]
    if picture.metadata.icc is None:
        return denoiser.denoise(page, settings).image
    settings = replace(settings, channels="rgb")  # a profile is one of colours
    scale = denoiser.find_scale(picture.pages, settings, profile=True)
    return denoiser.denoise(page, settings, scale=scale).image


def _denoise_dask(array: Any, settings: DenoiseOptions) -> Any:
    """Denoise each plane of a Dask array, those of one channel on one intensity scale."""
    axes = find_axes(array.shape, settings.axes, settings.channels)
    order = axes.order(array.ndim)
    view, back = array.transpose(order), np.argsort(order).tolist()
    colours = axes.colours is not None
    if axes.channels is None:
        return _denoise_channel(view, settings, colours).transpose(back)
    channels = [_denoise_channel(channel, settings, colours) for channel in view]
    return need("dask.array").stack(channels).transpose(back)


def _denoise_channel(array: Any, settings: DenoiseOptions, colours: bool) -> Any:
    """Denoise an array (..., H, W), or (..., H, W, C) with colours, lazily."""
    outer = array.ndim - 2 - colours
    card = Denoiser(settings.model).card_for(array.shape[-1] if colours else 1)
    range = settings.range
    if range is None and card.scale_free and array.dtype.name not in FIXED_SCALES:
        range = _sample_range(array, outer)
    words = (
        "sigma", "strength", "colour_strength", "dtype", "quality", "engine", "precision",
        "device", "threads", "memory",
    )  # fmt: skip
    given = {word: getattr(settings, word) for word in words}
    letters = _OUTER[:outer] + "yxc"[: 2 + colours]
    return denoise_lazily(array, settings.model, axes=letters, range=range, **given)


def _sample_range(array: Any, outer: int) -> Range | None:
    """Return black and white of an array, of which a small part is computed."""
    planes = list(np.ndindex(*array.shape[:outer]))
    planes = planes[:: -(-len(planes) // MOST_IMAGES)]
    rows, columns = scale_places((*array.shape[outer:], 1)[:3], len(planes))
    samples = need("dask").compute(*(array[plane][rows][:, columns] for plane in planes))
    shape = (len(rows), len(columns), -1)
    alpha = array.ndim - outer == 3 and array.shape[-1] in (2, 4)
    return estimate_range([sample.reshape(shape) for sample in samples], alpha=alpha)
