"""Camera noise, from the sensor to the JPEG file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from quietpixel.array_types import FloatArray
from quietpixel.imaging.tiling import mean_of_squares
from quietpixel.noise.laws import DrawnNoise, require

BLOCK = 8
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
"""The steps of brightness at quality 50, ITU-T T.81, table K.1."""
CHROMA_TABLE = np.full((8, 8), 99, np.float32)
CHROMA_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
"""The steps of colour at quality 50, ITU-T T.81, table K.2."""
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
FROM_YCC = np.linalg.inv(TO_YCC).astype(np.float32)


def lose_as_jpeg(
    image: FloatArray, quality: int, *, halve_colour: bool = True, clip: bool = True
) -> FloatArray:
    """Return `image` after JPEG compression.

    Parameters
    ----------
    image
        float32 (H, W, C) in [0, 1], 1 or 3 channels; the grid of blocks starts at the top left.
    quality
        1 to 100, as libjpeg counts it.
    halve_colour
        Whether colour is kept at half the resolution (4:2:0).
    clip
        Whether the result is clipped to [0, 1], as in a file.

    References
    ----------
    ITU-T T.81, "Digital compression and coding of continuous-tone still images", 1992.

    Examples
    --------
    >>> flat = np.full((8, 8, 1), 0.5, np.float32)
    >>> bool(abs(lose_as_jpeg(flat, 50) - flat).max() < 0.01)
    True
    """
    height, width, channels = image.shape
    planes = (image if channels == 1 else image @ TO_YCC.T) * np.float32(255)
    # JPEG moves brightness to around 0 before the transform; colour already is.
    planes[..., 0] -= 128
    sampling = 2 if halve_colour and channels == 3 else 1
    pad = [(0, -side % (BLOCK * sampling)) for side in (height, width)]
    # As encoders do: a repeated edge adds no frequencies of its own.
    planes = np.pad(planes, (*pad, (0, 0)), mode="edge")
    lost = [_lose_plane(planes[..., 0], LUMA_TABLE, quality)]
    for number in range(1, channels):
        small = mean_of_squares(planes[..., number], sampling)
        plane = _lose_plane(small, CHROMA_TABLE, quality)
        lost.append(plane.repeat(sampling, axis=0).repeat(sampling, axis=1))
    result = np.stack(lost, axis=-1)[:height, :width]
    result[..., 0] += 128
    result = (result if channels == 1 else result @ FROM_YCC.T) / np.float32(255)
    return (np.clip(result, 0, 1) if clip else result).astype(np.float32, copy=False)


def _lose_plane(plane: FloatArray, table: FloatArray, quality: int) -> FloatArray:
    from scipy import fft  # only training loses images so; denoising needs no scipy

    # The rule of libjpeg (jpeg_quality_scaling); the standard has none.
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = np.clip(np.floor((table * scale + 50) / 100), 1, 255).astype(np.float32)
    rows, columns = (length // BLOCK for length in plane.shape)
    blocks = plane.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
    kept = np.rint(fft.dctn(blocks, axes=(2, 3), norm="ortho") / steps) * steps
    back: FloatArray = fft.idctn(kept, axes=(2, 3), norm="ortho").transpose(0, 2, 1, 3)
    return back.reshape(plane.shape)


LEAST_GAIN = 0.01
"""The weakest noise that is drawn, as a share of the strongest."""
DARKEST = 0.1
"""Below this brightness the gamma curve is a straight line."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
BAYER = (np.array([[0, 0], [0, 1]]), np.array([[0, 1], [1, 0]]), np.array([[1, 0], [0, 0]]))
"""Red, green and blue sites of the sensor in each square of 2x2 pixels."""
CROSS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
SQUARE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
"""Bilinear interpolation of green, and of red and blue."""


@dataclass(frozen=True)
class Camera(DrawnNoise):
    """Noise of a sensor that went through a camera's processing; another camera each time.

    The picture is taken back to linear light; photons and read-out add noise there, as strong as
    the brightness says. By chance the noise is then that of a colour mosaic interpolated, white
    balance and colour matrix spread it over the channels, the gamma curve (here a square root)
    stretches it in the dark, resizing or the camera's own filter smooths it, and JPEG rounds it.
    The noise has mean zero in the image's own domain; nothing is clipped.

    Parameters
    ----------
    gain
        The strongest noise drawn: variance of the noise in linear light for each unit of
        brightness, more than 0. 0.02 is about 18/255 at middle gray.

    References
    ----------
    S. Guo et al., "Toward convolutional blind denoising of real photographs", CVPR 2019;
    T. Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019.
    """

    gain: float
    word: ClassVar[str] = "camera"
    main: ClassVar[str] = "gain"
    reason: ClassVar[str] = "spreads over neighbours and colours"
    varies: ClassVar[str] = "another camera"

    def __post_init__(self) -> None:
        require(self.gain > 0, self, "be more than 0", "it is a variance", "camera:0.02")

    def draw(self, clean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `clean` (H, W, C) as such a camera would have given it, not clipped."""
        bright = np.clip(clean, 0, 1)
        # The slope of the square root keeps the mean; the root of clipped light darkened the image,
        # so that models learned to brighten.
        noise = self._sensor_noise(np.square(bright), rng) / (2 * np.maximum(bright, DARKEST))
        noisy = clean + _smooth(noise, rng)
        return noisy if rng.random() < 0.4 else compress(noisy, int(rng.integers(60, 99)), rng)

    def _sensor_noise(self, light: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the noise in linear light, after white balance and colour matrix."""
        colour = light.shape[-1] == 3
        # Even on a logarithmic scale, as the sensitivities of cameras are.
        gain = np.float32(self.gain * LEAST_GAIN ** rng.random())
        read = gain * np.float32(rng.uniform(0.2, 4.0))
        balance = np.ones(1, np.float32)
        if colour:
            # Cameras amplify red and blue, which their sensors see less of than green.
            balance = np.array([rng.uniform(1.3, 2.4), 1, rng.uniform(1.2, 2.2)], np.float32)
        deviation = np.sqrt(gain * light / balance + read**2)
        noise: FloatArray = deviation * rng.standard_normal(light.shape, np.float32)
        if colour and rng.random() < 0.6:
            noise = _interpolate(noise)
        # After the interpolation, as in a camera.
        noise = noise * balance
        if colour:  # a colour matrix makes colours stronger
            gray = _brightness(noise)
            noise = (gray + rng.uniform(0.7, 1.6) * (noise - gray)).astype(np.float32)
        return noise


def _interpolate(noise: FloatArray) -> FloatArray:
    """Return the noise of a colour mosaic after bilinear interpolation."""
    from scipy import ndimage  # only training draws this noise; denoising needs no scipy

    planes = []
    for number, (place, kernel) in enumerate(zip(BAYER, (SQUARE, CROSS, SQUARE), strict=True)):
        sites = find_sites(noise.shape, place)
        planes.append(ndimage.convolve(noise[..., number] * sites, kernel, mode="mirror"))
    return np.stack(planes, axis=-1)


def find_sites(shape: tuple[int, ...], place: FloatArray) -> FloatArray:
    """Return where a sensor of this shape (H, W, ...) sees a colour: 1 there, 0 elsewhere, (H, W).

    Parameters
    ----------
    shape, place
        Of the image, and the sites of the colour in a square of 2 x 2 pixels, as in `BAYER`.
    """
    tiles = [-(-length // 2) for length in shape[:2]]
    return np.tile(place, tiles)[: shape[0], : shape[1]]


def _brightness(noise: FloatArray) -> FloatArray:
    """Return the brightness, (H, W, 1), of (H, W, 3)."""
    return (noise @ LUMA)[..., np.newaxis]


def _smooth(noise: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return `noise` as resizing and a camera's own noise filter would leave it, or as it is.

    Colour is smoothed more than brightness: what cameras leave of its noise are blotches.
    """
    if rng.random() < 0.5:
        return noise
    width = rng.uniform(0.3, 1.5)
    if noise.shape[-1] == 1:
        return _blur(noise, width)
    gray = _brightness(noise)
    return _blur(gray, width) + _blur(noise - gray, width * rng.uniform(1.0, 2.0))


def _blur(noise: FloatArray, width: float) -> FloatArray:
    from scipy import ndimage  # only training draws this noise; denoising needs no scipy

    return ndimage.gaussian_filter(noise, (width, width, 0))


def compress(image: FloatArray, quality: int, rng: np.random.Generator) -> FloatArray:
    """Return `image` (H, W, C) compressed as JPEG, on a grid of blocks that starts anywhere."""
    top, left = (int(offset) for offset in rng.integers(8, size=2))
    # A patch comes from anywhere in a file, whose blocks begin at its corner.
    padded = np.pad(image, ((top, 0), (left, 0), (0, 0)), mode="edge")
    halve = bool(rng.random() < 0.6)
    return lose_as_jpeg(padded, quality, halve_colour=halve, clip=False)[top:, left:]
