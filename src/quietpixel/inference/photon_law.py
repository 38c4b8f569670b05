"""The law of photon noise: measured in images, or read from the options."""

from collections.abc import Sequence

import numpy as np

from quietpixel.array_types import Array, BoolArray
from quietpixel.errors import ArgumentError, ImageError
from quietpixel.imaging.intensity_scale import LEAST_STEPS, Scale
from quietpixel.imaging.stabilise import PhotonNoise
from quietpixel.inference.level import sample_places
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.photons import choose_some, may_be_photo, read_places
from quietpixel.noise.fit import PoissonGaussian
from quietpixel.noise.flat_blocks import block_spectra
from quietpixel.noise.laws import Gaussian, NoiseLaw, Poisson
from quietpixel.noise.laws import Sequence as Steps
from quietpixel.noise.level import measure_level
from quietpixel.noise.measure import FAR_BEYOND, colour_of, measure_noise
from quietpixel.noise.parser import parse_noise

LEAST_RATIO = 1.2
"""Noise that is less than so many times as strong in white as in black is left as it is."""
LEAST_RATIO_OF_PHOTOS, LEAST_WHITE_OF_PHOTOS = 1.7, 3 / 255
"""The same for 8 bits and for colour, which are mostly photographs, and how strong the noise must
be in white. 21 microscope images had 3.8 to 8.8 and more than 30/255, 27 photographs with 15 to 300
photons at white mostly 1.8 to 5, these with white noise or grain, clean, and camera JPEGs at most
1.5, or at most 1/255 in white. With one level, `photo` was 1 to 6 dB worse on those microscope
images."""
REDDEST_COLOUR = 1.25
"""`colour_of` the differences between the channels, at most: 0.92 to 1.15 for independent noise of
15 to 300 photons, at least 1.3 where a JPEG has changed the noise, of which up to 2 dB is lost."""
PURE, TEXTURED = (0.45, 1.45), 2.6
"""Limits of the `agreement` of blocks with the law: at least the first and at most the second where
hardly anything but noise is fine, at most the third where the noise level decides. Photons have
0.48 to 0.6 and 0.9 to 1.2 in images of microscopes, simulated cells, and most photographs with 15
to 100 photons at white; up to 2.5 of the second with 300. Filaments and spots on black have 0.1 to
0.4 of the first. Of 559 photographs without noise, in colour, gray, and gray with more than 8 bits,
42 follow a law, with 1.9 to 20000 of the second, up to 2.6 in six."""
LEAST_LEVEL, LEAST_LEVEL_OF_PHOTOS = 0.1, 0.25
"""Noise level of an image over the deviation by its law, at least, in more than 8 bits and in 8
bits or colour: 0.4 to 1.8 for photons, 0 to 0.12 in those six."""
MOSTLY_TYPED = 0.5
"""From so far a page of text on, edges of letters in a JPEG have passed for photons."""


def find_photons(
    images: Sequence[Array], options: DenoiseOptions, scale: Scale
) -> PhotonNoise | None:
    """Return the photon noise of images that share a scale; None if it is not worth stabilising.

    Parameters
    ----------
    images
        (H, W), (H, W, 1) or (H, W, 3).
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
    width = scale.white - scale.black
    if scale.step() > LEAST_STEPS * width:  # float64 cannot hold the stabilised values
        return None
    samples = []
    for image in choose_some(images):
        rows, columns = (sample_places(length) for length in image.shape[:2])
        values = read_places(image, rows, columns, scale)
        # A star or a saturated area would take most of the levels of brightness for itself.
        values[np.abs(values) > FAR_BEYOND] = np.nan
        samples.append(values)
    law = _measure(samples, photos=may_be_photo(images[0]))
    if law is None:
        return None
    return PhotonNoise(law.gain * width, law.read_noise * width, scale.black + law.offset * width)


def _measure(samples: list[Array], *, photos: bool) -> PoissonGaussian | None:
    """Return the law of photon noise in images (H, W, C); None if it is not worth stabilising."""
    ratio, least, level = LEAST_RATIO, 0.0, LEAST_LEVEL
    if photos:
        ratio, least, level = LEAST_RATIO_OF_PHOTOS, LEAST_WHITE_OF_PHOTOS, LEAST_LEVEL_OF_PHOTOS
    try:
        found = measure_noise([_stack(each) for each in samples], offset=True)
    except ImageError:  # holes leave no block to measure in
        return None
    law = found.model
    if found.kind not in ("white", "impulses") or law.gain <= 0:
        return None
    grows = law.sigma(1.0) >= max(ratio * float(law.sigma(max(law.offset, 0.0))), least)
    if not grows or not all(_has_white_colour(each) for each in samples):
        return None
    low, middle = found.agreement
    if middle > TEXTURED:
        return None
    if low >= PURE[0] and middle <= PURE[1]:
        level = 0.0
    # Of a stack, an empty page shows no noise.
    return law if any(_is_noise(each, law, level) for each in samples) else None


def _is_noise(image: Array, law: PoissonGaussian, least: float) -> bool:
    """Return whether an image has the noise of a law, and is no page of text."""
    hidden: BoolArray = np.asarray(~np.isfinite(image).all(axis=2))
    shown = np.where(hidden[..., np.newaxis], 0, image).astype(np.float32)
    sigma = np.sqrt(np.mean(law.sigma(image[~hidden]) ** 2))
    found = measure_level(shown, hidden)
    return bool(found.level >= least * sigma and found.typed < MOSTLY_TYPED)


def _stack(image: Array) -> Array:
    """Return the channels of (H, W, C) one below the other, since each has its own brightness."""
    return np.concatenate(np.split(image, image.shape[2], axis=2))


def _has_white_colour(image: Array) -> bool:
    """Return whether the noise of the differences between channels is white; gray has none."""
    if image.shape[2] == 1:
        return True
    spectra = block_spectra(_stack(image[..., 1:] - image[..., :-1]))
    return len(spectra) > 0 and colour_of(spectra) <= REDDEST_COLOUR


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
