"""The quality of a folder run, with clean images and without."""

import numpy as np
import pytest

from quietpixel.imaging.residual import LAGS, Residual
from quietpixel.noise.parser import parse_noise
from quietpixel.reports.folder_report import Scene, describe_residual, estimate_quality
from quietpixel.training.named_recipes import named_recipe


def blur(image: np.ndarray, **options: object) -> np.ndarray:
    return sum(np.roll(image, (i, j), (0, 1)) for i in (0, 1) for j in (0, 1)) / 4


@pytest.mark.parametrize(
    ("law", "named"),
    [
        ("gaussian:0.1,clip=no", "Estimated without clean images (SURE)"),
        (
            "poisson:60+gaussian:0.03,clip=no",
            "Estimated without clean images (SURE, an approximation for photon noise)",
        ),
    ],
)
def test_a_known_law_gives_an_estimate_of_the_error(law: str, named: str) -> None:
    clean = np.kron(np.random.default_rng(0).random((24, 24)), np.ones((8, 8)))[..., None]
    noisy = parse_noise(law)(0.1 + 0.8 * clean.astype(np.float32), np.random.default_rng(1))
    recipe = named_recipe("noisy", method="recorrupted", noise=law)
    scene = Scene("a.png", noisy, blur(noisy))
    found = estimate_quality(recipe, [scene], blur, {})  # type: ignore[arg-type]
    truth = np.mean((blur(noisy) - 0.1 - 0.8 * clean) ** 2)
    assert float(found[named].split()[2].rstrip(",")) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("law", ["salt-pepper:0.1", "gaussian:0.1,mean=0.2", "speckle:0.1"])
def test_where_the_estimate_does_not_hold_the_loss_is_named(law: str) -> None:
    noisy = np.random.default_rng(0).random((40, 40, 1), np.float32)
    recipe = named_recipe("noisy", method="recorrupted", noise=law)
    found = estimate_quality(recipe, [Scene("a", noisy, noisy)], blur, {"loss": 0.1})  # type: ignore[arg-type]
    assert found == {
        "No clean images: loss": "0.100000; it includes the noise, so it is not a quality"
    }


@pytest.mark.parametrize(
    ("follows", "words"),
    [
        (0.3, "is 0.300: detail went with the noise."),
        (0.02, "is 0.020, which is near 0."),
        (-0.539, "is -0.539: detail is stronger in it than in the noisy image."),
    ],
)
def test_the_residual_is_described(follows: float, words: str) -> None:
    correlation = np.zeros((2 * LAGS + 1,) * 2)
    assert words in describe_residual(Residual(0.1, correlation, 0.0, follows, 1.0))
