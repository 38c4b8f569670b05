"""The law of photon noise: measured in images, or read from the options."""

from collections.abc import Sequence

import numpy as np

from quietpixel.array_types import Array
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.intensity_scale import FIXED_SCALES, LEAST_STEPS, Scale
from quietpixel.imaging.stabilise import PhotonNoise
from quietpixel.imaging.tiling import take_places
from quietpixel.inference.arrays import with_channels
from quietpixel.inference.level import sample_places
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise.laws import Gaussian, NoiseLaw, Poisson
from quietpixel.noise.laws import Sequence as Steps
from quietpixel.noise.measure import FAR_BEYOND, measure_noise
from quietpixel.noise.parser import parse_noise

MOST = 4
"""How many images of a stack are measured."""
LEAST_RATIO = 1.2
"""Noise that is less than so many times as strong in white as in black is left as it is."""
LEAST_RATIO_8_BITS, LEAST_WHITE_8_BITS = 2.5, 3 / 255
"""The same for 8 bits, which mostly hold photographs, and how strong the noise must be in white. 21
microscope images had 3.8 to 8.8 and more than 30/255, 131 photographs, clean, with white noise or
grain, and camera JPEGs at most 1.5, or at most 1/255 in white. With one level, `photo` was 1 to 6
dB worse on those microscope images."""
STRONGER = 1.5
"""Fine structure of flat blocks in the bright third of an image of 8 bits is so many times that in
the dark third, or the law is not measured, which takes as long as denoising 0.1 megapixels."""


def find_photons(
    images: Sequence[Array], options: DenoiseOptions, scale: Scale
) -> PhotonNoise | None:
    """Return the photon noise of images that share a scale; None if it is not worth stabilising.

    Parameters
    ----------
    images
        Gray, (H, W) or (H, W, 1).
    options
        Their `law`.
    scale
        Of the images.
    """
    if options.law != "auto":
        given = read_law(parse_noise(options.law), scale)
        if given is not None and given.offset > (scale.black + scale.white) / 2:
            raise ArgumentError(
                "`law` must state a value without light (`black`, a share of the full range) in "
                f"the lower half of the image's values, {scale.black:.4g} to {scale.white:.4g}; "
                f"got {given.offset:.4g}, which the darker ones would become."
            )
        return given
    width, eight_bits = scale.white - scale.black, images[0].dtype.name in FIXED_SCALES
    samples = []
    for image in images[:: -(-len(images) // MOST)]:
        rows, columns = (sample_places(length) for length in image.shape[:2])
        part = with_channels(take_places(image, rows, columns)).astype(np.float64)
        values = np.ma.filled((part - scale.black) / width, np.nan)
        # A star or a saturated area would take most of the levels of brightness for itself.
        values[np.abs(values) > FAR_BEYOND] = np.nan
        samples.append(values)
    too_coarse = scale.step() > LEAST_STEPS * width  # float64 cannot hold the stabilised values
    if too_coarse or (eight_bits and not any(_grows_with_light(each) for each in samples)):
        return None
    try:
        found = measure_noise(samples, offset=True)
    except ImageError:  # holes leave no block to measure in
        return None
    law = found.model
    if found.kind not in ("white", "impulses") or law.gain <= 0:
        return None
    ratio, least = (LEAST_RATIO_8_BITS, LEAST_WHITE_8_BITS) if eight_bits else (LEAST_RATIO, 0.0)
    if law.sigma(1.0) < max(ratio * float(law.sigma(max(law.offset, 0.0))), least):
        return None
    return PhotonNoise(law.gain * width, law.read_noise * width, scale.black + law.offset * width)


def _grows_with_light(image: Array) -> bool:
    """Return whether flat blocks of (H, W, 1) have more fine structure where it is bright."""
    rows, columns = (length // 8 for length in image.shape[:2])
    blocks = image[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2)
    details = blocks[..., ::2] - blocks[..., 1::2]
    power = np.square(details[:, :, ::2] - details[:, :, 1::2]).mean(axis=(2, 3)).ravel()
    brightness = blocks.mean(axis=(2, 3)).ravel()
    known = np.isfinite(brightness)  # holes would pass for the brightest blocks
    if known.sum() < 3:
        return False
    dark, _, bright = np.array_split(power[known][np.argsort(brightness[known])], 3)
    return bool(np.quantile(bright, 0.1) > STRONGER**2 * np.quantile(dark, 0.1))


def write_law(photons: PhotonNoise, scale: Scale) -> str:
    """Return photon noise as text from which `read_law` makes the same."""
    black, unit = (photons.offset - scale.nominal) / scale.unit, scale.unit
    return str(
        Steps((Poisson(unit / photons.gain, black=black), Gaussian(photons.read_noise / unit)))
    )


def read_law(law: NoiseLaw, scale: Scale) -> PhotonNoise | None:
    """Return a law on the nominal scale as photon noise in the units of the images.

    A law that has other parts than photons and normal noise, or no photons, is None.
    """
    steps = law.laws if isinstance(law, Steps) else (law,)
    photons = [step for step in steps if isinstance(step, Poisson)]
    normal = [step for step in steps if isinstance(step, Gaussian)]
    if len(photons) != 1 or len(photons) + len(normal) != len(steps):
        return None
    read = float(np.sqrt(sum(step.sigma**2 for step in normal)))
    unit, black = scale.unit, scale.nominal
    return PhotonNoise(unit / photons[0].peak, read * unit, black + photons[0].black * unit)
