"""One contract for all metrics; values by arithmetic and by another implementation."""

import sys

import numpy as np
import pytest

from quietpixel.errors import ImageError, MissingDependencyError
from quietpixel.evaluation.metrics import METRICS
from quietpixel.imaging.metrics import gmsd, ms_ssim


def scene(side=200, channels=1, sigma=0.1):
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(side)[:, None] / 9) * np.cos(np.arange(side + 3) / 7)
    clean = np.repeat(0.5 + 0.4 * waves[..., None], channels, axis=-1)
    return clean, np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 1)


def perfect_value(name: str) -> float:
    """An error of 0, and a similarity of 1 unless it is a ratio to the error."""
    return float("inf") if name == "psnr" else float(METRICS[name].sign > 0)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_images_are_perfect_and_noise_is_worse(name, channels):
    metric = METRICS[name]
    clean, noisy = scene(channels=channels)
    noisier = scene(channels=channels, sigma=0.3)[1]
    perfect = metric(clean, clean)
    assert perfect == pytest.approx(perfect_value(name), abs=1e-9)
    assert metric.sign * perfect > metric.sign * metric(clean, noisy)
    assert metric.sign * metric(clean, noisy) > metric.sign * metric(clean, noisier)


@pytest.mark.parametrize("name", METRICS)
def test_an_image_of_the_least_size_has_a_number_and_a_smaller_one_has_none(name):
    metric = METRICS[name]
    least = np.random.default_rng(0).random((metric.least_side, metric.least_side, 1))
    assert not np.isnan(metric(least, least / 2))
    assert metric.least_side == 1 or np.isnan(metric(least[1:], least[1:] / 2))


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


def test_small_images_have_no_number_where_a_metric_needs_more():
    clean, noisy = (image[:28, :28] for image in scene())
    values = {name: metric(clean, noisy) for name, metric in METRICS.items()}
    assert [name for name, value in values.items() if np.isnan(value)] == ["ms_ssim"]


@pytest.mark.parametrize(("metric", "side"), [(ms_ssim, 175), (gmsd, 3)])
def test_images_that_are_too_small_are_refused(metric, side):
    with pytest.raises(ImageError, match="pixels high and wide"):
        metric(np.zeros((side, 300)), np.zeros((side, 300)))


@pytest.mark.parametrize("metric", [ms_ssim, gmsd])
def test_different_shapes_are_refused(metric):
    with pytest.raises(ImageError, match="of the shape of `clean`"):
        metric(np.zeros((300, 300)), np.zeros((300, 301)))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(MissingDependencyError, match=r"need SciPy.*quietpixel\[train\]"):
        gmsd(*scene())
