"""Measures against arithmetic, and against another implementation."""

import sys

import numpy as np
import pytest

from quietpixel.errors import ImageError, MissingDependencyError
from quietpixel.evaluation.metrics import METRICS, gmsd, ms_ssim


def scene(side=200, channels=1, sigma=0.1):
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(side)[:, None] / 9) * np.cos(np.arange(side + 3) / 7)
    clean = np.repeat(0.5 + 0.4 * waves[..., None], channels, axis=-1)
    return clean, np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 1)


@pytest.mark.parametrize("measure", [ms_ssim, gmsd])
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_images_are_perfect_and_noise_is_worse(measure, channels):
    clean, noisy = scene(channels=channels)
    noisier = scene(channels=channels, sigma=0.3)[1]
    sign = 1 if measure is ms_ssim else -1
    assert measure(clean, clean) == pytest.approx(1 if measure is ms_ssim else 0, abs=1e-9)
    assert sign * measure(clean, noisy) > sign * measure(clean, noisier)


def test_gmsd_of_an_edge_that_is_lost_agrees_with_arithmetic():
    # One step of height 1 between columns 4 and 5 of the halved image; nothing in the other.
    clean, flat = np.zeros((20, 20)), np.zeros((20, 20))
    clean[:, 10:] = 1
    c = 170 / 255**2
    across = np.zeros((12, 12))
    across[1:-1, 6:-1] = 1
    columns = across[:, :-2] - across[:, 2:]
    rows = across[:-2] - across[2:]
    x = (columns[:-2] + columns[1:-1] + columns[2:]) / 3
    y = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 3
    expected = (c / (x**2 + y**2 + c)).std()
    assert gmsd(clean, flat) == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_ms_ssim_agrees_with_tensorflow(channels):
    tensorflow = pytest.importorskip("tensorflow")
    clean, noisy = scene(side=211, channels=channels)
    theirs = tensorflow.image.ssim_multiscale(
        clean.astype(np.float32), noisy.astype(np.float32), max_val=1.0
    )
    assert ms_ssim(clean, noisy) == pytest.approx(float(theirs), abs=1e-5)


def test_small_images_have_no_number_where_a_measure_needs_more():
    clean, noisy = (image[:28, :28] for image in scene())
    values = {name: measure(clean, noisy) for name, measure in METRICS.items()}
    assert [name for name, value in values.items() if np.isnan(value)] == ["ms_ssim"]


@pytest.mark.parametrize(("measure", "side"), [(ms_ssim, 175), (gmsd, 3)])
def test_images_that_are_too_small_are_refused(measure, side):
    with pytest.raises(ImageError, match="pixels high and wide"):
        measure(np.zeros((side, 300)), np.zeros((side, 300)))


@pytest.mark.parametrize("measure", [ms_ssim, gmsd])
def test_other_shapes_are_refused(measure):
    with pytest.raises(ImageError, match="of the shape of `clean`"):
        measure(np.zeros((300, 300)), np.zeros((300, 301)))


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(MissingDependencyError, match=r"need SciPy.*quietpixel\[train\]"):
        gmsd(*scene())
