"""Brightness of results against that of noisy images."""

import numpy as np

from quietpixel.imaging.brightness import measure_brightness


def test_noise_alone_is_no_bias_in_the_dark() -> None:
    """Squares that are dark in the noisy image alone would be those whose noise is negative."""
    clean = np.full((320, 320, 1), 0.3)
    cells = np.random.default_rng(0).normal(0, 0.05, (20, 20, 1))
    noisy = clean + cells.repeat(16, axis=0).repeat(16, axis=1)
    other = np.random.default_rng(1).normal(0, 0.05, (20, 20, 1))
    found = measure_brightness([noisy], [clean + other.repeat(16, axis=0).repeat(16, axis=1)])
    assert found is not None
    assert abs(found.dark_bias) < 0.02


def test_a_lift_of_the_dark_is_found() -> None:
    ramp = np.linspace(0, 1, 320)[:, np.newaxis, np.newaxis].repeat(64, axis=1)
    found = measure_brightness([ramp], [np.maximum(ramp, 0.1)])
    assert found is not None
    assert 0.04 < found.dark_bias < 0.06
