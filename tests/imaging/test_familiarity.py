"""Images unlike those of a calibration are recognised."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from quietpixel.imaging.familiarity import NAMES, Familiarity, describe_image, fit_familiarity

SIDE = 96


def texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.standard_normal((SIDE, SIDE)), rng.uniform(1.2, 2.5))
    return 0.5 + 0.13 * image / image.std()


def spots(seed: int) -> np.ndarray:
    """Return as much contrast, in a few places."""
    places = np.random.default_rng(seed).random((SIDE, SIDE)) > 0.998
    image = gaussian_filter(places.astype(float), 3)
    return 0.5 + 0.13 * image / image.std()


def describe(clean: np.ndarray, seed: int) -> np.ndarray:
    """Return the description of an image whose noise was removed without a trace."""
    rng = np.random.default_rng((seed, 1))
    noise = rng.uniform(10, 30) / 255 * rng.standard_normal((*clean.shape, 1))
    return describe_image(clean[..., np.newaxis] + noise, clean[..., np.newaxis])


def draw(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return descriptions of normal numbers, all with the same detail."""
    return np.insert(rng.standard_normal((count, len(NAMES))), len(NAMES), 1.0, axis=1)


def test_few_images_of_a_calibration_do_not_make_new_ones_of_their_kind_unlike() -> None:
    rng = np.random.default_rng(0)
    unlike = []
    for _ in range(40):
        found = fit_familiarity(list(draw(rng, 12)), range(12))
        assert found is not None
        new = draw(rng, 10)
        unlike += [found.differs_in(each) is not None for each in new]
        assert found.differs_in(new[0] + [0, 0, 0, 0, 0, 30, 0]) == "content"
    assert np.mean(unlike) < 0.05


def test_smooth_images_are_unlike_texture_of_the_same_contrast_and_noise() -> None:
    found = fit_familiarity([describe(texture(seed), seed) for seed in range(12)], range(12))
    later = range(20, 32)
    assert [found.differs_in(describe(texture(seed), seed)) for seed in later] == [None] * 12
    unlike = [found.differs_in(describe(spots(seed), seed)) for seed in later]
    assert None not in unlike
    assert unlike.count("fine detail") >= 6


def test_cards_of_older_calibrations_know_nothing_of_fine_detail() -> None:
    found = fit_familiarity([describe(texture(seed), seed) for seed in range(12)], range(12))
    kept = json.loads(json.dumps(found.to_dict()))
    assert Familiarity.from_dict(kept).detail == pytest.approx(found.detail, rel=1e-4)
    del kept["detail"]
    older = Familiarity.from_dict(kept)
    assert older.differs_in(describe(texture(40), 40)) is None
    assert np.isnan(describe_image(np.ones((8, 8, 1)), np.ones((8, 8, 1)))).all()
    assert found.differs_in(np.full(7, np.nan)) is None
