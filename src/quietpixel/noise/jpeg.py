"""What JPEG does to an image, without the file: its rounding of the cosine coefficients."""

import numpy as np

from quietpixel.noise.laws import Array

BLOCK = 8
LUMA = np.array(
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
CHROMA = np.full((8, 8), 99, np.float32)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
"""The steps of colour at quality 50, ITU-T T.81, table K.2."""
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
FROM_YCC = np.linalg.inv(TO_YCC).astype(np.float32)


def lose_as_jpeg(image: Array, quality: int, *, halve_colour: bool = True) -> Array:
    """Return `image` as it would come back from a JPEG file.

    Parameters
    ----------
    image
        float32 (H, W, C) in [0, 1], 1 or 3 channels; the grid of blocks starts at the top left.
    quality
        1 to 100, as libjpeg counts it.
    halve_colour
        Whether colour is kept at half the resolution (4:2:0).

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
    planes[..., 0] -= 128
    sampling = 2 if halve_colour and channels == 3 else 1
    planes = _pad(planes, BLOCK * sampling)
    lost = [_lose_plane(planes[..., 0], LUMA, quality)]
    for number in range(1, channels):
        small = _shrink(planes[..., number], sampling)
        lost.append(_enlarge(_lose_plane(small, CHROMA, quality), sampling))
    result = np.stack(lost, axis=-1)[:height, :width]
    result[..., 0] += 128
    result = (result if channels == 1 else result @ FROM_YCC.T) / np.float32(255)
    return np.clip(result, 0, 1).astype(np.float32, copy=False)


def _lose_plane(plane: Array, table: Array, quality: int) -> Array:
    from scipy import fft  # only training loses images so; denoising needs no scipy

    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = np.clip(np.floor((table * scale + 50) / 100), 1, 255).astype(np.float32)
    rows, columns = (length // BLOCK for length in plane.shape)
    blocks = plane.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
    kept = np.rint(fft.dctn(blocks, axes=(2, 3), norm="ortho") / steps) * steps
    back: Array = fft.idctn(kept, axes=(2, 3), norm="ortho").transpose(0, 2, 1, 3)
    return back.reshape(plane.shape)


def _pad(planes: Array, multiple: int) -> Array:
    lengths = [(0, -length % multiple) for length in planes.shape[:2]]
    return np.pad(planes, (*lengths, (0, 0)), mode="edge")


def _shrink(plane: Array, by: int) -> Array:
    rows, columns = (length // by for length in plane.shape)
    small: Array = plane.reshape(rows, by, columns, by).mean(axis=(1, 3), dtype=np.float32)
    return small


def _enlarge(plane: Array, by: int) -> Array:
    return plane.repeat(by, axis=0).repeat(by, axis=1)
