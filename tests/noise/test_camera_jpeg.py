"""The rounding of JPEG, against a real JPEG writer."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from quietpixel.noise.camera import lose_as_jpeg


@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("halve", [True, False])
def test_it_loses_what_libjpeg_loses(quality: int, halve: bool) -> None:
    photo = data.astronaut()[100:196, 150:246]
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality, subsampling=2 if halve else 0)
    theirs = np.asarray(Image.open(file), np.float32) / 255
    clean = photo.astype(np.float32) / 255
    ours = lose_as_jpeg(clean, quality, halve_colour=halve)
    error = float(np.sqrt(np.mean((theirs - clean) ** 2)))
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.6 * error
    assert np.sqrt(np.mean((ours - clean) ** 2)) == pytest.approx(error, rel=0.2)


def test_gray_and_odd_sizes_are_taken() -> None:
    image = np.random.default_rng(0).random((13, 21, 1), np.float32)
    lost = lose_as_jpeg(image, 90)
    assert lost.shape == image.shape
    assert lost.dtype == np.float32
    assert 0 < np.abs(lost - image).mean() < 0.1
