"""Metrics against numbers that others computed, and against what they must always obey."""

import sys

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, ImageError, MissingDependencyError
from quietpixel.imaging import metrics
from quietpixel.imaging.metrics import (
    bootstrap_interval,
    mean_squared_error,
    psnr,
    psnr_of_error,
    ssim,
)


@pytest.fixture(scope="module")
def camera():
    """scikit-image's camera and the noisy one of its own tests (seed 5, sigma 20 of 255)."""
    data = pytest.importorskip("skimage.data")
    clean = data.camera()
    noise = 20.0 * np.random.RandomState(5).randn(*clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    return clean / 255, noisy / 255


def test_psnr_agrees_with_ipol(camera):
    # 22.409353363576034 from `imdiff -m psnr` of https://www.ipol.im/pub/art/2011/g_lmii/, computed
    # by Gregory Lee, September 2020, scikit-image pull request 4913; tolerance as there.
    assert psnr(*camera) == pytest.approx(22.409353363576034, abs=1e-4)


def test_ssim_agrees_with_ipol(camera):
    # 0.357959091663361 from `imdiff -m mssim`, same article, same author, same pull request;
    # IPOL treats the border otherwise, hence the tolerance of scikit-image's own test.
    assert ssim(*camera) == pytest.approx(0.357959091663361, abs=1.5e-3)


def test_error_by_hand():
    clean = np.zeros((2, 2, 1), np.float32)
    image = np.array([0.0, 0.2, 0.4, 0.0], np.float32).reshape(2, 2, 1)
    assert mean_squared_error(clean, image) == pytest.approx(0.05, abs=1e-8)
    assert psnr(clean, image) == pytest.approx(13.0103, abs=1e-4)


def test_equal_images():
    image = np.random.default_rng(0).random((16, 16, 3))
    assert mean_squared_error(image, image) == 0
    assert psnr(image, image) == float("inf")
    assert ssim(image, image) == pytest.approx(1)


def test_error_is_summed_in_double_precision():
    clean = np.zeros((1000, 1000), np.float32)
    assert mean_squared_error(clean, clean + np.float32(0.1)) == pytest.approx(0.01, rel=1e-6)


def test_colour_ssim_is_the_mean_of_the_channels():
    rng = np.random.default_rng(1)
    clean, image = rng.random((2, 16, 16, 3))
    alone = [ssim(clean[..., c], image[..., c]) for c in range(3)]
    assert ssim(clean, image) == pytest.approx(np.mean(alone))


def test_psnr_of_error_of_nothing_is_infinite():
    assert psnr_of_error(0.0) == float("inf")


def test_other_shape_is_refused():
    with pytest.raises(ImageError, match=r"shape of `clean`.*got \(2, 3\) and \(2, 2\)"):
        mean_squared_error(np.zeros((2, 2)), np.zeros((2, 3)))


def test_no_pixels_are_refused():
    with pytest.raises(ImageError, match="at least one pixel"):
        psnr(np.zeros((0, 4)), np.zeros((0, 4)))


def test_image_under_the_window_is_refused():
    with pytest.raises(ImageError, match=r"at least 11 pixels.*\(10, 12\)"):
        ssim(np.zeros((10, 12)), np.zeros((10, 12)))


def test_ssim_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(MissingDependencyError, match=r"quietpixel\[train\]"):
        ssim(np.zeros((16, 16)), np.zeros((16, 16)))


def test_interval_agrees_with_the_normal_law():
    # The mean of n values of deviation s lies within 1.96 s / sqrt(n), in 95 of 100 cases.
    values = np.random.default_rng(2).normal(5.0, 2.0, 4000)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_holds_the_truth_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 400)
    rng = np.random.default_rng(3)
    samples = rng.exponential(1.0, (150, 80))
    intervals = [bootstrap_interval(sample) for sample in samples]
    held = np.mean([low <= 1.0 <= high for low, high in intervals])
    assert 0.86 <= held <= 0.99


def test_interval_repeats_with_its_seed():
    values = np.arange(50.0)
    assert bootstrap_interval(values, seed=7) == bootstrap_interval(values, seed=7)
    assert bootstrap_interval(values, seed=7) != bootstrap_interval(values, seed=8)


def test_interval_of_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one number"):
        bootstrap_interval([])
