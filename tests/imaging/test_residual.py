"""What was taken away: noise, or the image with it."""

import numpy as np
import pytest

from quietpixel.imaging.residual import LAGS, estimate_error, examine


@pytest.fixture
def clean() -> np.ndarray:
    image = np.kron(np.random.default_rng(0).random((16, 16)), np.ones((8, 8)))
    return image[..., None].astype(np.float32)


def test_white_noise_looks_like_noise(clean: np.ndarray) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(clean.shape)
    found = examine(clean + noise, clean)
    assert found.sigma == pytest.approx(0.1, rel=0.05)
    assert found.autocorrelation[LAGS, LAGS] == pytest.approx(1)
    assert abs(found.neighbours) < 0.05
    assert abs(found.follows) < 0.05
    assert found.edges == pytest.approx(1, abs=0.1)


def test_over_smoothing_is_seen(clean: np.ndarray) -> None:
    noise = 0.02 * np.random.default_rng(1).standard_normal(clean.shape)
    blurred = sum(np.roll(clean, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    found = examine(clean + noise, blurred)
    assert found.follows > 0.1
    assert found.edges > 1.25
    assert found.neighbours > 0.1


def test_stripes_are_seen_along_their_way(clean: np.ndarray) -> None:
    stripes = 0.1 * np.random.default_rng(1).standard_normal((clean.shape[0], 1, 1))
    found = examine(clean + stripes, clean)
    assert found.autocorrelation[LAGS, LAGS + 3] > 0.8
    assert abs(found.autocorrelation[LAGS + 3, LAGS]) < 0.3


def test_the_error_is_estimated_for_noise_that_grows_with_brightness(clean: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    noisy = (rng.poisson(clean * 50) / 50).astype(np.float32)

    def blur(image: np.ndarray) -> np.ndarray:
        return sum(np.roll(image, (i, j), (0, 1)) for i in (0, 1) for j in (0, 1)) / 4

    sigma = np.sqrt(np.maximum(noisy, 0) / 50)
    truth = np.mean((blur(noisy) - clean) ** 2)
    assert estimate_error(blur, noisy, sigma, rng) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_error_is_estimated_without_the_clean_image(clean: np.ndarray, weight: float) -> None:
    rng = np.random.default_rng(1)
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)

    def blur(image: np.ndarray) -> np.ndarray:
        mean = sum(np.roll(image, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
        return (1 - weight) * image + weight * mean

    truth = np.mean((blur(noisy) - clean) ** 2)
    assert estimate_error(blur, noisy, 0.1, rng) == pytest.approx(truth, rel=0.1)
