"""Noise as photographs, scans and film have it: shared by channels, coarse, compressed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import FloatArray
from quietpixel.noise.camera import BAYER, FROM_YCC, SQUARE, TO_YCC, compress, find_sites
from quietpixel.noise.laws import DrawnNoise, require

OCTAVES = 6
"""Octaves of spatial frequency from the finest; the last has periods of 64 pixels and more."""
PROCESSED, CAMERA, WHITE, BLURRED, SMOOTHED, JPEG = 0.4, 0.5, 0.2, 0.2, 0.5, 0.5
"""Shares of the draws with noise of a sensor that a camera has processed; of the others, with
spectra as cameras deliver them, with white and with blurred luminance noise, and behind a camera's
own denoising; of all, compressed as JPEG."""
LUMINANCE_STEPS = np.array([1.2, 0.6, 0.4, 0.3, 0.3])
"""How the amplitude of luminance noise grows from octave to octave, as a power of 2: 600D."""

Numbers = NDArray[np.floating[Any]]
Spectrum = Callable[[Numbers], Numbers] | None
"""The gain at each spatial frequency, in cycles per pixel; None is white."""


@dataclass(frozen=True)
class PhotoNoise(DrawnNoise):
    """Noise of processed photographs, scans and film; another kind for each image.

    For two of five colour images it is the noise of a sensor behind a camera's processing: edge-
    aware or bilinear demosaicing, a guided filter, blurred colour, sharpening. For the others,
    white noise is coloured in frequency and shared between the channels. Drawn at random for each
    image: how much of the noise the channels share (none to all), how coarse luminance and colour
    noise are (a gain for each octave of spatial frequency, up to periods of 64 pixels, as
    demosaicing, resizing, denoising and sharpening leave it; or the Gaussian blur of film grain),
    how the noise depends on brightness, whether a camera's own denoising has left more of it at
    edges and in texture than on flat areas, and whether the image is then compressed as JPEG
    (quality 30 to 98). The noise has mean zero in the image's own domain; nothing is clipped.

    On the 11 pairs of the Canon 600D of PolyU, the channels' noise is correlated by 0.6 to 0.8;
    octave by octave its luminance has 1.7, 4.1, 6, 8 and 10 times the amplitude of white noise of
    1/255, its colour 0.4, 1, 3.4, 8 and 17 times.

    Parameters
    ----------
    sigma
        Standard deviation of the noise before compression, averaged over the image and channels,
        on the [0, 1] scale, not negative.
    camera
        Whether it is always noise as a camera delivers it: that of a sensor behind its processing,
        or with a spectrum as of the 600D; never white, and no film grain. In training it comes
        with blurred patches alone.

    References
    ----------
    J. Xu et al., "Real-world noisy image denoising: a new benchmark", 2018 (PolyU);
    K. He et al., "Guided image filtering", ECCV 2010; J. F. Hamilton and J. E. Adams, US patent
    5,629,734 (green interpolated along edges), expired.
    """

    sigma: float
    camera: bool = False
    word: ClassVar[str] = "photo"
    main: ClassVar[str] = "sigma"
    reason: ClassVar[str] = "is coarse and shared between colours"
    varies: ClassVar[str] = "another kind of noise"

    def __post_init__(self) -> None:
        reason = "a standard deviation has no sign"
        require(self.sigma >= 0, self, "not be negative", reason, "photo:10/255")

    def draw(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` (H, W, C) with such noise, not clipped."""
        if clean.shape[2] == 3 and rng.random() < PROCESSED:
            noise = self._process(clean, rng)
        else:
            camera = 1.0 if self.camera else CAMERA
            noise = _draw_noise(clean.shape, rng, camera) * _brightness_gain(clean, rng)
            if rng.random() < SMOOTHED:
                noise = _smooth_flat_areas(noise, clean, rng)
        noise *= np.float32(self.sigma / max(float(np.sqrt(np.mean(np.square(noise)))), 1e-9))
        noise -= noise.mean((0, 1))
        noisy = clean + noise
        if rng.random() >= JPEG:
            return noisy.astype(np.float32, copy=False)
        return compress(noisy, int(rng.integers(30, 99)), rng)

    def _process(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return what a camera's processing makes of a sensor's noise, which is stronger."""
        white = rng.standard_normal(clean.shape, np.float32) * _brightness_gain(clean, rng)
        white *= np.float32(self.sigma * rng.uniform(1, 4) / (white.std() + 1e-9))
        camera = _CameraProcessing.draw(float(white.std()), rng)
        return camera.apply(clean + white) - camera.apply(clean)


@dataclass(frozen=True)
class _CameraProcessing:
    """Demosaicing, denoising and sharpening as cameras do it; all depend on the image.

    Parameters
    ----------
    along_edges
        Whether green is interpolated in the direction in which it changes less; else from all
        four neighbours.
    side
        Of the windows of the guided filter, in pixels.
    flat
        Standard deviation up to which a window counts as flat, on the [0, 1] scale.
    share
        How far brightness is denoised, 0 to 1.
    blur, sharpen
        Gaussian blur of the colour, in pixels, and strength of the sharpening.
    """

    along_edges: bool
    side: int
    flat: float
    share: float
    blur: float
    sharpen: float

    @classmethod
    def draw(cls, sigma: float, rng: np.random.Generator) -> "_CameraProcessing":
        """Draw a camera that was set up for noise of this deviation."""
        return cls(
            along_edges=bool(rng.random() < 0.7),
            side=int(rng.choice([3, 5, 7])),
            flat=sigma * rng.uniform(0.4, 2),
            share=rng.uniform(0.2, 0.95),
            blur=rng.uniform(0.5, 4),
            sharpen=max(rng.uniform(-0.5, 1.5), 0.0),
        )

    def apply(self, image: FloatArray) -> FloatArray:
        from scipy import ndimage  # only training draws this noise; denoising needs no scipy

        planes = self._demosaic(image) @ TO_YCC.T
        light, side = planes[..., 0], self.side
        # The guided filter of He, Sun and Tang, guided by the brightness itself.
        mean = ndimage.uniform_filter(light, side)
        variance = ndimage.uniform_filter(np.square(light), side) - np.square(mean)
        variance = np.maximum(variance, 0)
        kept = variance / (variance + np.float32(self.flat**2 + 1e-12))
        smooth = ndimage.uniform_filter(kept, side) * light
        smooth += ndimage.uniform_filter((1 - kept) * mean, side)
        light = light + np.float32(self.share) * (smooth - light)
        light = light + np.float32(self.sharpen) * (light - ndimage.gaussian_filter(light, 1))
        colour = ndimage.gaussian_filter(planes[..., 1:], (self.blur, self.blur, 0))
        return np.concatenate([light[..., np.newaxis], colour], axis=2) @ FROM_YCC.T

    def _demosaic(self, image: FloatArray) -> FloatArray:
        """Return RGB interpolated from a mosaic: green, then how red and blue differ from it."""
        from scipy import ndimage

        red, green, blue = (find_sites(image.shape, place) > 0 for place in BAYER)
        mosaic = np.where(red, image[..., 0], np.where(green, image[..., 1], image[..., 2]))
        across, down = (ndimage.convolve1d(mosaic, [0.5, 0, 0.5], axis=axis) for axis in (1, 0))
        middle = (across + down) / 2
        if self.along_edges:  # Hamilton and Adams, without their second differences
            steps = [np.abs(ndimage.convolve1d(mosaic, [1, 0, -1], axis=axis)) for axis in (1, 0)]
            middle = np.where(steps[0] < steps[1], across, down)
        full = np.where(green, mosaic, middle)
        planes = [full + ndimage.convolve((mosaic - full) * sites, SQUARE) for sites in (red, blue)]
        return np.stack([planes[0], full, planes[1]], axis=-1).astype(np.float32)


def _draw_noise(shape: tuple[int, ...], rng: np.random.Generator, camera: float) -> FloatArray:
    """Return stationary noise (H, W, C): a part that the channels share, and a part of each.

    `camera` is the probability of spectra as cameras deliver them.
    """
    height, width, channels = shape
    luminance, colour, share = _draw_spectra(rng, camera)
    shared = _colour_noise((1, height, width), luminance, rng)
    if channels == 1:
        return np.moveaxis(shared, 0, -1)
    own = _colour_noise((channels, height, width), colour, rng)
    own *= rng.uniform(0.6, 1.5, (channels, 1, 1)).astype(np.float32)
    if rng.random() < 0.3:  # pairs of channels share noise too, red and blue with green
        mixing = np.eye(channels) + 0.4 * rng.standard_normal((channels, channels))
        own = np.tensordot(mixing.astype(np.float32), own, 1)
    mixed = np.sqrt(np.float32(share)) * shared + np.sqrt(np.float32(1 - share)) * own
    return np.moveaxis(mixed, 0, -1)


def _draw_spectra(rng: np.random.Generator, camera: float) -> tuple[Spectrum, Spectrum, float]:
    """Return the spectra of luminance and colour noise, and the share of the former."""
    kind, normal = rng.random(), rng.standard_normal((2, OCTAVES - 1))
    if kind < camera:
        colour = _octaves(rng.uniform(0.9, 1.6) + 0.3 * normal[1])
        return _octaves(LUMINANCE_STEPS + 0.35 * normal[0]), colour, rng.uniform(0.3, 0.95)
    share = float(rng.choice([0.0, 1.0, rng.random()], p=[0.25, 0.25, 0.5]))
    kind -= CAMERA
    if kind < 0.6 * WHITE:
        return None, None, share
    colour = _octaves(rng.uniform(0, 1.6) + 0.3 * normal[1])
    if kind < WHITE:
        return None, colour, share
    if kind < WHITE + BLURRED:
        # As behind a Gaussian blur of so many pixels, such as film grain.
        sigma = rng.uniform(0.4, 1.8)
        return (lambda frequency: np.exp(-2 * (np.pi * sigma * frequency) ** 2)), colour, share
    return _octaves(rng.uniform(-0.2, 1.3) + 0.4 * normal[0]), colour, share


def _octaves(steps: Numbers) -> Spectrum:
    """Return a spectrum that changes by 2**step from octave to octave, the finest first."""
    amplitudes = np.exp2(np.concatenate([[0.0], np.cumsum(steps)]))

    def gain(frequency: Numbers) -> Numbers:
        octave = np.log2(0.5 / np.maximum(frequency, 2.0 ** -(OCTAVES + 1)))
        return np.asarray(np.interp(octave, np.arange(OCTAVES), amplitudes))

    return gain


def _colour_noise(
    shape: tuple[int, int, int], spectrum: Spectrum, rng: np.random.Generator
) -> FloatArray:
    """Return noise (C, H, W) of variance 1 with this spectrum."""
    noise = rng.standard_normal(shape, np.float32)
    if spectrum is None:
        return noise
    from scipy import fft  # only training draws this noise; denoising needs no scipy

    height, width = shape[1:]
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    gain = spectrum(np.hypot(rows[:, np.newaxis], columns)).astype(np.float32)
    gain[0, 0] = 0  # mean zero
    coloured = fft.irfft2(fft.rfft2(noise) * gain, s=(height, width))
    scale = np.sqrt(np.mean(np.square(coloured), axis=(1, 2), keepdims=True)) + 1e-9
    return (coloured / scale).astype(np.float32)


def _brightness_gain(clean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return how strong the noise is at each pixel, (H, W, C), by a random curve of brightness."""
    kind = rng.random()
    light = np.clip(clean, 0, 1)
    if kind < 0.25:
        return np.ones_like(clean)
    if kind < 0.4:  # photons in linear data
        return np.sqrt(light + np.float32(rng.uniform(0.005, 0.3)))
    if kind < 0.7:  # most in the middle tones, behind a tone curve
        middle, width = rng.uniform(0.1, 0.8), rng.uniform(0.12, 0.4)
        hill: FloatArray = np.exp(-np.square((light - np.float32(middle)) / np.float32(width)))
        return np.asarray(np.exp(np.float32(rng.uniform(0.2, 1.6)) * hill))
    tilt, bend = rng.normal(-0.6, 1.0), rng.normal(-0.5, 1.5)
    centred = light - np.float32(0.5)
    return np.exp(np.float32(tilt) * centred + np.float32(bend) * np.square(centred))


def _smooth_flat_areas(
    noise: FloatArray, clean: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return `noise` (H, W, C) as a denoiser in the camera leaves it: more at edges, in texture."""
    from scipy import ndimage

    light = clean.mean(axis=2)
    side = int(rng.integers(3, 10))
    mean = ndimage.uniform_filter(light, side)
    variance = ndimage.uniform_filter(np.square(light), side) - np.square(mean)
    detail = np.sqrt(np.maximum(variance, 0))
    threshold, least = 10 ** rng.uniform(-2.3, -1.2), rng.uniform(0.05, 0.7)
    gain = (least + (1 - least) * detail / (detail + threshold))[..., np.newaxis]
    # From flat areas to strong edges the noise of the 600D grows by 3.4, 2.3, 2.1, 1.7 and 1.2
    # times from the finest octave on.
    width, power = rng.uniform(0.7, 2.5), rng.uniform(0.2, 0.7)
    coarse = ndimage.gaussian_filter(noise, (width, width, 0))
    smoothed: FloatArray = (noise - coarse) * gain + coarse * gain**power
    return smoothed.astype(np.float32)
