"""Photon noise around the model: stabilised before it, restored after it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from quietpixel.array_types import Array
from quietpixel.imaging.intensity_scale import Range, Scale
from quietpixel.imaging.stabilise import PhotonNoise
from quietpixel.inference.arrays import Layout, with_channels, with_mask
from quietpixel.inference.job import DenoiseJob, Result
from quietpixel.inference.level import Noise
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.repair import find_hidden

LEAST_SIDE = 64
"""Smallest height and width of an image whose law is measured."""
UNUSED_LAW = (
    "The `law` has no effect: it is that of photon noise, in gray images without `sigma`, and for "
    "models that find the intensity scale."
)
"""The note on a law that was given and not used."""


def describe_law(scale: Scale, options: DenoiseOptions) -> tuple[str, ...]:
    """Return the photon noise of a scale, or that a law which was given is not used."""
    if scale.photons is not None:
        return (scale.photons.describe(),)
    return () if options.law in ("auto", "none") else (UNUSED_LAW,)


def may_have_photons(image: Array, options: DenoiseOptions) -> bool:
    """Return whether the law of an image's noise is given, or may be measured."""
    gray = image.ndim == 2 or image.shape[2] == 1
    if not gray or options.law == "none" or not isinstance(options.sigma, str):
        return False
    measured = image.dtype.kind != "b" and options.range is None
    return options.law != "auto" or (measured and min(image.shape[:2]) >= LEAST_SIDE)


def stabilise(image: Array, layout: Layout, photons: PhotonNoise) -> np.ma.MaskedArray[Any, Any]:
    """Return an image, or a part of one, with equally strong noise; what is hidden is masked.

    Parameters
    ----------
    image
        Gray, (H, W) or (H, W, 1).
    layout
        How it holds its values.
    photons
        Its noise.
    """
    # By the scale of the image: the square root brings hot pixels close to the others.
    hidden = find_hidden(with_channels(image), layout)
    stable: Array = photons.stabilise(np.asarray(image))
    return np.ma.MaskedArray(stable, False if hidden is None else hidden.reshape(image.shape))


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
    return replace(
        options, range=(low, high), sigma=min(1 / (high - low), 1.0) if takes_level else "auto",
        dtype=None, law="none", strength=max(options.strength, 1.0) if options.strength else 0.0,
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
    job = prepare(stable, inner)

    def finish(result: Result) -> Result:
        """Return the result in the units, of the type and with the mask of the image."""
        values, denoised = np.asarray(image), np.asarray(result.image)
        # What was hidden from the model, there too, came back as it was, and stays so.
        same = np.ma.getmaskarray(stable) | (denoised == np.asarray(stable))
        with np.errstate(invalid="ignore"):
            change = min(options.strength, 1.0) * (photons.restore(denoised) - values)
        restored = layout.to_type(values + np.where(same, 0, change))
        # What is hidden may lie beyond the bits that the rest of the image uses.
        np.copyto(restored, values, where=same, casting="unsafe")
        target = np.empty(image.shape, layout.result) if out is None else out
        target[...] = restored
        return replace(
            result,
            image=with_mask(target, image),
            noise=replace(middle_noise(photons, scale.range, scale.unit), kinds=result.noise.kinds),
            scale=scale.range,
            notes=(*result.notes, *scale.notes(image.dtype, layout.result), photons.describe()),
        )

    low, high = job.layout.range
    # The stabilised values mean nothing to a user.
    inner_scale = Scale(low, high, high - low).describe(stable.dtype)
    notes = tuple(note for note in job.notes if note != inner_scale)
    return replace(job, notes=notes, finish=finish)
