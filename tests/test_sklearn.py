import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from quietpixel.errors import ArgumentError, UnknownNameError
from quietpixel.sklearn import DenoisingAutoencoder

EXPECTED_FAILURES: dict[str, str] = {}
"""Checks of scikit-learn that cannot hold, each with its reason: none at present."""


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Return rows of 64 values from 0 to 16."""
    return load_digits().data


@pytest.fixture(scope="module")
def fitted(digits: np.ndarray) -> DenoisingAutoencoder:
    return DenoisingAutoencoder(epochs=6, batch=32, noise="gaussian:0.3").fit(digits[:1200])


def test_it_takes_noise_out_of_images_it_has_not_seen(fitted, digits) -> None:
    clean = digits[1200:]
    noisy = np.clip(clean + 16 * 0.3 * np.random.default_rng(0).standard_normal(clean.shape), 0, 16)
    denoised = fitted.transform(noisy)
    assert denoised.shape == clean.shape
    assert denoised.dtype == clean.dtype
    assert np.mean((denoised - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)
    assert fitted.score(clean) > -0.04


def test_codes_are_what_is_kept_of_an_image(fitted, digits) -> None:
    codes = fitted.encode(digits[:10])
    assert codes.shape == (10, 16)
    assert np.allclose(fitted.decode(codes), fitted.transform(digits[:10]), atol=1e-4)
    with pytest.raises(ArgumentError, match="must have 16 numbers each"):
        fitted.decode(codes[:, :5])


def test_a_pickled_one_does_the_same(fitted, digits) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(digits[:5]), fitted.transform(digits[:5]))


def test_a_clone_starts_anew_with_the_same_parameters(fitted) -> None:
    new = clone(fitted)
    assert new.get_params() == fitted.get_params()
    assert not hasattr(new, "model_")


@pytest.mark.parametrize("codes", [[2], pytest.param([1, 2], marks=pytest.mark.slow)])
def test_it_works_in_a_pipeline_and_a_grid_search(digits, codes) -> None:
    pipeline = make_pipeline(MinMaxScaler(), DenoisingAutoencoder(epochs=1))
    search = GridSearchCV(pipeline, {"denoisingautoencoder__code": codes}, cv=2)
    search.fit(digits[:60])
    assert search.best_params_["denoisingautoencoder__code"] in codes
    assert search.best_estimator_.transform(digits[:3]).shape == (3, 64)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("bottleneck", (10, 9)),
        ("bottleneck", (8, 12, 3)),
        pytest.param("unet", (8, 12, 3), marks=pytest.mark.slow),
    ],
)
def test_images_of_any_shape_come_back_in_it(model: str, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    estimator = DenoisingAutoencoder(model=model, epochs=1).fit(images)
    assert estimator.transform(images).shape == images.shape
    assert estimator.n_features_in_ == np.prod(shape)
    rows = images.reshape(4, -1)
    again = DenoisingAutoencoder(model=model, epochs=1, image_shape=shape).fit(rows)
    assert np.allclose(again.transform(rows), estimator.transform(images).reshape(4, -1))


def test_a_model_without_a_code_has_no_encode() -> None:
    assert not hasattr(DenoisingAutoencoder(model="unet"), "encode")


def test_the_same_seed_gives_the_same_and_nobody_elses_randomness_moves(digits) -> None:
    np.random.seed(3)
    expected = np.random.RandomState(3).random()
    first, second = (DenoisingAutoencoder(epochs=1).fit(digits[:20]) for _ in range(2))
    assert np.random.random() == expected
    assert np.array_equal(first.transform(digits[:5]), second.transform(digits[:5]))


def test_wrong_parameters_are_reported_at_fit(digits) -> None:
    with pytest.raises(ArgumentError, match="hold the 64 features of a sample; got"):
        DenoisingAutoencoder(image_shape=(7, 7)).fit(digits)
    with pytest.raises(UnknownNameError, match="Unknown noise law 'gausian'"):
        DenoisingAutoencoder(noise="gausian:1").fit(digits)
    with pytest.raises(ArgumentError, match="`epochs` must be a whole number of at least 1"):
        DenoisingAutoencoder(epochs=0).fit(digits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_finds_nothing_else_wrong() -> None:
    estimator = DenoisingAutoencoder(epochs=1, code=2)
    results = check_estimator(
        estimator, expected_failed_checks=EXPECTED_FAILURES, on_fail=None, on_skip=None
    )
    wrong = {each["check_name"] for each in results if each["status"] == "failed"}
    assert wrong == set()
    failed = {each["check_name"] for each in results if each["status"] == "xfail"}
    assert failed == set(EXPECTED_FAILURES)
