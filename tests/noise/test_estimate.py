import os
import subprocess
import sys

import numpy as np
import pytest

from quietpixel.noise.estimate import estimate_sigma


def scene(side=192):
    """A picture-like image: shading, edges and a textured corner."""
    rows, columns = np.mgrid[:side, :side] / side
    image = 0.3 + 0.3 * rows + 0.1 * np.sin(9 * columns)
    image[40:90, 60:150] += 0.25
    image[-60:, -60:] += 0.2 * np.sin(rows * 900)[-60:, -60:] * np.sin(columns * 700)[-60:, -60:]
    return image[..., np.newaxis]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [5, 10, 25, 50])
def test_white_noise_is_found_within_a_twentieth(sigma, channels):
    rng = np.random.default_rng(sigma)
    clean = scene().repeat(channels, axis=2)
    noisy = clean + sigma / 255 * rng.standard_normal(clean.shape)
    assert estimate_sigma(noisy.astype(np.float32)) * 255 == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("sigma", [10, 25])
def test_noise_is_found_where_colours_were_halved(sigma):
    """As JPEG does: luminance keeps its noise, colour differences are smooth."""
    rng = np.random.default_rng(sigma)
    luma = scene() + sigma / 255 * rng.standard_normal(scene().shape)
    colour = np.array([0.1, 0.0, -0.1]) * np.linspace(0, 1, 192)[:, np.newaxis, np.newaxis]
    halved = (luma + colour).astype(np.float32)
    assert estimate_sigma(halved) * 255 == pytest.approx(sigma, rel=0.05)


def test_an_image_without_noise_has_little():
    assert estimate_sigma(scene()) * 255 < 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 500, 3), (5, 7, 1)])
def test_images_too_small_to_tell_have_none(shape):
    assert estimate_sigma(np.ones(shape)) == 0


def test_an_even_image_has_none():
    assert estimate_sigma(np.full((40, 40, 3), 0.5)) == 0


IN_ONE_THREAD = """
import numpy as np
from threadpoolctl import threadpool_info
from quietpixel.noise.estimate import estimate_sigma
from quietpixel.noise.level import measure_level

def count():
    return threadpool_info()[0]["num_threads"]

def solve(matrix, solve=np.linalg.eigvalsh):
    seen.append(count())
    return solve(matrix)

seen, before, np.linalg.eigvalsh = [], count(), solve
image = np.random.default_rng(0).random((64, 64, 3), np.float32)
estimate_sigma(image), measure_level(image)
print(before, *seen[:2], *seen[-2:], count())
"""


def test_noise_is_measured_in_one_thread_of_the_linear_algebra():
    # In a process of its own, where no other thread has set the number.
    run = [sys.executable, "-c", IN_ONE_THREAD]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    out = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    assert out == "2 1 1 1 1 2\n"
