"""Photon noise around the model: stabilised before it, restored after it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quietpixel.array_types import Array
from quietpixel.imaging.intensity_scale import FIXED_SCALES, Range, Scale
from quietpixel.imaging.stabilise import PhotonNoise
from quietpixel.imaging.strength import blend
from quietpixel.imaging.tiling import take_places
from quietpixel.inference.arrays import Layout, with_channels, with_mask
from quietpixel.inference.job import DenoiseJob, Result
from quietpixel.inference.level import Noise, sample_places
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.repair import find_hidden

LEAST_SIDE = 64
"""Smallest height and width of an image whose law is measured."""
MOST = 4
"""How many images of a stack are measured."""
STRONGER, LEAST_FINE = 1.2, 2 / 255
"""In 8 bits or colour, fine structure of flat blocks in the bright third is so many times that in
the dark third, and has at least this deviation, or the law is not measured, which takes as long as
denoising 0.1 megapixels."""
BANDS = 12
"""At least so many rows of blocks, of 8 pixels, are looked at for that, or all of them."""
PART = 1 << 18
"""Pixels that are stabilised and restored at a time."""
UNUSED_LAW = (
    "The `law` has no effect: it is that of photon noise, in images without transparency and "
    "without `sigma`, and for models that find the intensity scale."
)
"""The note on a law that was given and not used."""


def describe_law(scale: Scale, options: DenoiseOptions) -> tuple[str, ...]:
    """Return the photon noise of a scale, or that a law which was given is not used."""
    if scale.photons is not None:
        return (scale.photons.describe(),)
    return () if options.law in ("auto", "none") else (UNUSED_LAW,)


def may_have_photons(image: Array, options: DenoiseOptions) -> bool:
    """Return whether the law of an image's noise is given, or may be measured."""
    opaque = image.ndim == 2 or image.shape[2] in (1, 3)
    if not opaque or options.law == "none" or not isinstance(options.sigma, str):
        return False
    measured = image.dtype.kind != "b" and min(image.shape[:2]) >= LEAST_SIDE
    return measured or options.law != "auto"


def read_places(image: Array, rows: Array, columns: Array, scale: Scale) -> Array:
    """Return these places of an image, (H, W, C), black 0 and white 1, what is masked NaN."""
    part = with_channels(take_places(image, rows, columns)).astype(np.float64)
    values: Array = np.ma.filled((part - scale.black) / (scale.white - scale.black), np.nan)
    return values


def choose_some(images: Sequence[Array]) -> Sequence[Array]:
    """Return the images of a stack that are measured."""
    return images[:: -(-len(images) // MOST)]


def may_be_photo(image: Array) -> bool:
    """Return whether an image has 8 bits or colour; few of these have photon noise."""
    return image.dtype.name in FIXED_SCALES or with_channels(image).shape[2] == 3


def may_grow(images: Sequence[Array], options: DenoiseOptions, scale: Scale) -> bool:
    """Return whether the law is given, or noise may grow with the light, in little time."""
    if options.law != "auto" or not may_be_photo(images[0]):
        return True
    return any(_grows_with_light(image, scale) for image in choose_some(images))


def _grows_with_light(image: Array, scale: Scale) -> bool:
    """Return whether flat blocks have more fine structure where it is bright."""
    rows, columns = (sample_places(length) for length in image.shape[:2])
    bands = rows[: len(rows) // 8 * 8].reshape(-1, 8)
    values = read_places(image, bands[:: max(len(bands) // BANDS, 1)].ravel(), columns, scale)
    # Blocks of one channel each, since the noise of each follows its own brightness.
    across = len(columns) // 8
    blocks = values[:, : across * 8].reshape(-1, 8, across, 8, values.shape[2]).swapaxes(1, 2)
    details = blocks[:, :, :, ::2] - blocks[:, :, :, 1::2]
    power = np.square(details[:, :, ::2] - details[:, :, 1::2]).mean(axis=(2, 3)).ravel()
    brightness = blocks.mean(axis=(2, 3)).ravel()
    # Holes would pass for the brightest blocks, black around cells for bright ones without noise.
    known = np.isfinite(brightness) & (np.ptp(blocks, axis=(2, 3)) > 0).ravel()
    if known.sum() < 3:
        return False
    dark, _, bright = np.array_split(power[known][np.argsort(brightness[known])], 3)
    least = max(STRONGER**2 * float(np.quantile(dark, 0.1)), 4 * LEAST_FINE**2)  # sums of four
    return bool(np.quantile(bright, 0.1) > least)


def stabilise(image: Array, layout: Layout, photons: PhotonNoise) -> np.ma.MaskedArray[Any, Any]:
    """Return an image, or a part of one, with equally strong noise; what is hidden is masked.

    Parameters
    ----------
    image
        (H, W), (H, W, 1) or (H, W, 3).
    layout
        How it holds its values.
    photons
        Its noise.
    """
    # By the scale of the image: the square root brings hot pixels close to the others.
    hidden = find_hidden(with_channels(image), layout)
    # float32 holds the root of 16 bits to 0.01 of a value, in half the memory.
    exact = np.float32 if layout.dtype.itemsize <= 2 else np.float64
    stable = np.empty(image.shape, exact)
    for rows in _parts(image.shape):
        stable[rows] = photons.stabilise(np.asarray(image[rows]))
    if hidden is None:
        return np.ma.MaskedArray(stable)
    same = np.broadcast_to(hidden, with_channels(image).shape).reshape(image.shape)
    return np.ma.MaskedArray(stable, same)


def _parts(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of an image in parts of about `PART` pixels, for intermediate results."""
    step = max(PART // max(shape[1], 1), 1)
    return (slice(start, start + step) for start in range(0, shape[0], step))


def stable_options(
    options: DenoiseOptions, layout: Layout, photons: PhotonNoise, *, takes_level: bool
) -> DenoiseOptions:
    """Return the options for what `stabilise` returned.

    Parameters
    ----------
    options, layout, photons
        Of the image.
    takes_level
        Whether the model obeys a noise level; others find it themselves.
    """
    low, high = (float(end) for end in photons.stabilise(np.array(layout.range)))
    # Results are blended after values are restored, in the units of the image.
    strength, colour = options.strength, options.colour_strength
    least = 1.0 if strength or colour else 0.0
    return replace(
        options, range=(low, high), sigma=min(1 / (high - low), 1.0) if takes_level else "auto",
        dtype=None, law="none", strength=max(strength, least),
        colour_strength=None if colour is None else max(colour, least),
    )  # fmt: skip


def middle_noise(photons: PhotonNoise, range: Range, unit: float) -> Noise:
    """Return the noise halfway between black and white, for which a level of 1 is `unit`."""
    light = max(sum(range) / 2 - photons.offset, 0)
    sigma = float(np.sqrt(photons.gain * light + photons.read_noise**2))
    return Noise(sigma / unit, "estimated", share=sigma / (range[1] - range[0]))


def stabilised_job(
    prepare: Callable[..., DenoiseJob],
    image: Array,
    layout: Layout,
    options: DenoiseOptions,
    scale: Scale,
    *,
    takes_level: bool = True,
    out: Array | None = None,
) -> DenoiseJob:
    """Return the job for an image with its noise equally strong everywhere, restored at the end.

    Parameters
    ----------
    prepare
        Of a `Denoiser`.
    image, options, out
        As for a `Denoiser`.
    layout, scale
        Of the image; the scale has its photon noise.
    takes_level
        As for `stable_options`.
    """
    photons = scale.photons
    assert photons is not None
    stable = stabilise(image, layout, photons)
    inner = stable_options(options, layout, photons, takes_level=takes_level)
    assert inner.range is not None
    low, high = inner.range
    # Its level is given and its noise white, so that nothing is measured.
    known = Scale(low, high, high - low, low, level=0.0) if takes_level else None
    job = prepare(stable, inner, scale=known)

    def restore(values: Array, before: Array, after: Array) -> Array:
        """Return some rows in the units and of the type of results."""
        # What was hidden from the model, there too, came back as it was, and stays so.
        same = np.ma.getmaskarray(before) | (after == np.asarray(before))
        with np.errstate(invalid="ignore"):
            whole = with_channels(photons.restore(after))
            noisy = with_channels(values.astype(np.float64))
            mixed = blend(noisy, whole, options.strength, options.colour_strength)
        restored = layout.to_type(np.where(same, values, mixed.reshape(values.shape)))
        # What is hidden may lie beyond the bits that the rest of the image uses.
        np.copyto(restored, values, where=same, casting="unsafe")
        return restored

    def finish(result: Result) -> Result:
        """Return the result in the units, of the type and with the mask of the image."""
        values, denoised = np.asarray(image), np.asarray(result.image)
        target = np.empty(image.shape, layout.result) if out is None else out
        for rows in _parts(image.shape):
            target[rows] = restore(values[rows], stable[rows], denoised[rows])
        return replace(
            result,
            image=with_mask(target, image),
            noise=replace(middle_noise(photons, scale.range, scale.unit), kinds=result.noise.kinds),
            scale=scale.range,
            notes=(*result.notes, *scale.notes(image.dtype, layout.result), photons.describe()),
        )

    # The stabilised values mean nothing to a user.
    inner_scale = Scale(low, high, high - low).describe(stable.dtype)
    notes = tuple(note for note in job.notes if note != inner_scale)
    return replace(job, notes=notes, finish=finish)
