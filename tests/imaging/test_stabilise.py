"""Photon noise made equally strong everywhere, and undone without bias."""

import numpy as np
import pytest

from quietpixel.imaging.stabilise import PhotonNoise


@pytest.mark.parametrize("photons", [1.0, 2.0, 4.0, 30.0])
def test_the_mean_of_few_photons_comes_back(photons: float) -> None:
    """The plain inverse of the square root gives a quarter of a photon too little."""
    noise = PhotonNoise(gain=3.0, read_noise=1.5, offset=100.0)
    rng = np.random.default_rng(0)
    counts = 100 + 3 * rng.poisson(photons, 200_000) + rng.normal(0, 1.5, 200_000)
    back = noise.restore(noise.stabilise(counts).mean(keepdims=True))
    assert back == pytest.approx(100 + 3 * photons, abs=0.25)
