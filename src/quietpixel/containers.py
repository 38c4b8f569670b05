"""`denoise` and `measure_noise` for whatever holds an image: arrays of all kinds, and files."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from quietpixel.cluster.arrays import denoise_blocks
from quietpixel.cluster.optional_imports import need
from quietpixel.cluster.worker_model import plan_blocks
from quietpixel.errors import MOST_PIXELS, ArgumentError, ImageError
from quietpixel.imaging.axes import OTHER_LETTERS, find_axes, letters_of
from quietpixel.imaging.intensity_scale import (
    FIXED_SCALES,
    Range,
    Scale,
    estimate_range,
    find_range,
)
from quietpixel.inference.arrays import check_kind, read_layout, with_channels
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.level import sample_places
from quietpixel.inference.options import DenoiseOptions, Sigma
from quietpixel.inference.photons import UNUSED_LAW, describe_law
from quietpixel.inference.planes import spaced
from quietpixel.noise.measure import NoiseMeasure
from quietpixel.noise.measure import measure_noise as measure_images

Source = str | Path | bytes | BinaryIO

MOST_PLANES = 16
"""How many planes of a Dask array decide its intensity scale and photon noise."""
LEAST_SHARE = 1e-4
"""Noise is measured on the scale of the content if that is a smaller share of the nominal one."""


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
    max_pixels: int = MOST_PIXELS,
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
    model, sigma, strength, colour_strength, range, axes, channels, dtype, **options
        As for `DenoiseOptions`.
    max_pixels
        Largest number of pixels of a file.

    Returns
    -------
    denoised
        Of the same kind, shape and type; for a file a NumPy array, upright, (H, W, C).

    Warns
    -----
    UserWarning
        If a `law` is given and has no effect.

    Examples
    --------
    >>> clean = denoise(noisy, model="mnist-unet")  # doctest: +SKIP
    """
    settings = DenoiseOptions.named(
        model=model, sigma=sigma, strength=strength, colour_strength=colour_strength, range=range,
        axes=axes, channels=channels, dtype=dtype, **options,
    )  # fmt: skip
    # By its attributes, because importing xarray takes long and it may be missing.
    if hasattr(image, "data_vars"):
        raise ImageError(
            f"`image` must be one array; got a {type(image).__name__} of variables. "
            "Pass one of them, such as dataset['NAME']."
        )
    if hasattr(image, "dims") and hasattr(image, "coords"):
        letters = letters_of(image.dims)
        if axes and letters and any(axes.find(each) != letters.find(each) for each in "yx"):
            names = ", ".join(map(str, image.dims))
            raise ArgumentError(
                f"`axes` contradicts the names of the dimensions ({names}); got '{axes}'. Omit it, "
                "or pass the values without names."
            )
        settings = replace(settings, axes=axes or letters)
        return image.copy(data=_denoise_array(image.data, settings))
    if _is_file(image):
        return _denoise_file(cast(Source, image), settings, max_pixels)
    return _denoise_array(image, settings)


def measure_noise(
    image: NDArray[Any] | Source,
    *,
    range: Range | None = None,
    axes: str | None = None,
    max_pixels: int = MOST_PIXELS,
) -> NoiseMeasure:
    """Return the strength of the noise of an image, by brightness, and its kind.

    Parameters
    ----------
    image
        An array as a `Denoiser` takes it, (H, W) or (H, W, C), at least 24 x 24 pixels, whose
        masked values and those that are not finite do not count; or an image file (a path, its
        bytes or an open binary file) or a Zarr of one channel, whose pages are assumed to have the
        same noise.
    range
        The values of black, which is without light, and of white. None takes the nominal ones, and
        the darkest part as without light unless the image has 8 bits or a colour profile.
    axes
        A letter for each dimension of a stack, as for `DenoiseOptions`.
    max_pixels
        Largest number of pixels of a file.

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
    if _is_file(image):
        channels = measure_channels(
            cast(Source, image), range=range, axes=axes, max_pixels=max_pixels
        )
    else:
        array = cast(NDArray[Any], image)
        check_kind(array)
        pairs = find_axes(array.shape, axes).planes(array) if axes else [(0, array)]
        channels = _measure_each(pairs, range, nominal=array.dtype.name in FIXED_SCALES)
    if len(channels) > 1:
        raise ImageError(
            f"`image` must have one channel because each has noise of its own; got {len(channels)}."
            " Pass one at a time; quietpixel.files.read_picture(image).pages has those of a file."
        )
    return channels.popitem()[1]


def measure_channels(
    image: Source,
    *,
    range: Range | None = None,
    axes: str | None = None,
    max_pixels: int = MOST_PIXELS,
) -> dict[int, NoiseMeasure]:
    """Return the noise of each channel of a file by its number, 0 first.

    Parameters
    ----------
    image, range, axes, max_pixels
        As for `measure_noise`.
    """
    from quietpixel.files import read_picture, turn_upright  # arrays need no image library
    from quietpixel.files.zarr_store import is_store, read_store

    # Upright, so that rows and columns of stripes are those that a viewer shows.
    if isinstance(image, str | Path) and is_store(Path(image)):
        picture = read_store(Path(image), axes)
    else:
        picture = turn_upright(read_picture(image, max_pixels=max_pixels, axes=axes))
    nominal = picture.metadata.icc is not None or picture.dtype.name in FIXED_SCALES
    pairs = zip(picture.channels or cycle([0]), picture.pages, strict=False)
    return _measure_each(pairs, range or picture.declared_range, nominal=nominal)


def _measure_each(
    pairs: Iterable[tuple[int, NDArray[Any]]], range: Range | None, *, nominal: bool
) -> dict[int, NoiseMeasure]:
    """Return the noise of each channel, given planes with the number of theirs."""
    pages: dict[int, list[NDArray[Any]]] = {}
    for number, page in pairs:
        pages.setdefault(number, []).append(page)
    return {number: _measure(some, range, nominal=nominal) for number, some in pages.items()}


def _is_file(image: Any) -> bool:
    return isinstance(image, str | Path | bytes) or hasattr(image, "read")


def _denoise_array(image: Any, settings: DenoiseOptions) -> Any:
    # Every Dask collection has its graph there.
    if hasattr(image, "dask"):
        return _denoise_dask(image, settings)
    result = Denoiser.from_options(settings).denoise(image)
    _warn_unused(result.notes)
    return result.image


def _denoise_file(source: Source, settings: DenoiseOptions, max_pixels: int) -> NDArray[Any]:
    # Arrays need no image library.
    from quietpixel.batch.denoise import Settings, denoise_picture
    from quietpixel.files import read_picture, turn_upright

    denoiser = Denoiser.from_options(settings)
    picture = turn_upright(read_picture(source, max_pixels=max_pixels, axes=settings.axes))
    if len(picture.pages) != 1:
        raise ImageError(
            f"`image` must have one page because one array comes back; got {len(picture.pages)}. "
            "Pass the pages of quietpixel.files.read_picture(image) one by one to a Denoiser."
        )
    denoised, found = denoise_picture(denoiser, picture, Settings(options=settings))
    _warn_unused(found.notes)
    return denoised.pages[0]


def _denoise_dask(array: Any, settings: DenoiseOptions) -> Any:
    """Denoise each plane of a Dask array, those of one channel on one intensity scale."""
    dtype = array.dtype
    if not dtype.isnative:
        native = _denoise_dask(array.astype(dtype.newbyteorder("=")), settings)
        return native if settings.dtype else native.astype(dtype)
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
    work = plan_blocks(array, OTHER_LETTERS[:outer] + "yxc"[: 2 + colours], settings)
    scale = _find_scale(array, outer, settings)
    _warn_unused(describe_law(scale, settings))
    return denoise_blocks(array, work.on_scale(scale))


def _warn_unused(notes: Sequence[str]) -> None:
    if any(note.endswith(UNUSED_LAW) for note in notes):  # those of channels begin with theirs
        warnings.warn(UNUSED_LAW, stacklevel=4)


def _find_scale(array: Any, outer: int, settings: DenoiseOptions) -> Scale:
    """Return the scale of an array, of which a small part is computed."""
    planes = list(np.ndindex(*array.shape[:outer]))
    some = [planes[number] for number in spaced(len(planes), MOST_PLANES)]
    rows, columns = (sample_places(length) for length in array.shape[outer : outer + 2])
    samples = need("dask").compute(*(array[plane][rows][:, columns] for plane in some))
    denoiser, layouts = Denoiser.from_options(settings), None
    # The largest value decides the nominal range, of which a level that is given is a share.
    needed = not isinstance(settings.sigma, str) or not denoiser.card.scale_free
    if needed and settings.range is None and array.dtype.name not in FIXED_SCALES:
        nominal = _find_nominal_range(array, outer)
        layouts = [replace(read_layout(each, holes=True), range=nominal) for each in samples]
    return denoiser.find_scale(samples, settings, layouts=layouts)


def _find_nominal_range(array: Any, outer: int) -> Range:
    """Return the nominal range of a whole array, which is read once."""
    inner = array.shape[outer + 1 :]
    blocks = array.rechunk(dict.fromkeys(range(outer + 1, array.ndim), -1)).to_delayed().ravel()
    measure = need("dask").delayed(lambda block: find_range(block.reshape(-1, *inner)))
    found = need("dask").compute(*map(measure, blocks))
    return min(low for low, _ in found), max(high for _, high in found)


def _measure(pages: Sequence[NDArray[Any]], range: Range | None, *, nominal: bool) -> NoiseMeasure:
    arrays = [with_channels(page) for page in pages]
    black, white = read_layout(arrays[0], range, holes=True).range
    deep = arrays[0].dtype.itemsize > 2 and arrays[0].ndim == 3
    if range is None and not nominal and deep:
        found = estimate_range(arrays)
        # An offset of many times the range would leave too few of the 24 bits of float32.
        if found and found[1] - found[0] < LEAST_SHARE * (white - black):
            black, white = found
    images = []
    for page in arrays:
        image = read_layout(page, (black, white), holes=True).to_model(page)
        image[~np.isfinite(image)] = np.nan
        images.append(np.ma.filled(image, np.nan))
    measure = measure_images(images, offset=range is None and not nominal)
    return replace(measure, black=black, white=white)
