"""One contract for all classical methods: they denoise, and tuning gives them their best."""

import sys

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, MissingDependencyError, UnknownNameError
from quietpixel.evaluation.classical import METHODS, Median, tune, tune_all


def bars(count=3, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    clean = np.zeros((count, 24, 24, channels), np.float32)
    clean[:, 6:18, 8:15] = 0.9
    return clean, (clean + rng.normal(0, 0.25, clean.shape)).astype(np.float32)


def error(clean, images):
    return float(np.mean(np.square(np.clip(images, 0, 1) - clean)))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_keeps_shape_and_type(name, channels):
    _, noisy = bars(channels=channels)
    denoised = METHODS[name]()(noisy)
    assert denoised.shape == noisy.shape
    assert denoised.dtype == np.float32


@pytest.mark.parametrize("name", METHODS)
def test_tuning_helps_and_never_harms(name):
    clean, noisy = bars()
    best = tune(name, clean, noisy)
    assert isinstance(best, METHODS[name])
    assert error(clean, best(noisy)) < 0.5 * error(clean, noisy)
    assert error(clean, best(noisy)) <= error(clean, METHODS[name]()(noisy)) + 1e-6


@pytest.mark.parametrize("side", [11, 14, 28, 64])
def test_wavelets_take_images_of_any_size(side):
    assert METHODS["wavelet"](shifts=0)(np.zeros((1, side, 70, 1))).shape == (1, side, 70, 1)


def test_tuning_undoes_a_bias():
    clean, noisy = bars()
    biased = 0.5 * noisy + np.float32(0.3)
    best, plain = tune("median", clean, biased), tune("median", clean, noisy)
    assert best.gain > 1.5
    assert error(clean, best(biased)) < 1.2 * error(clean, plain(noisy))


def test_what_was_tuned_holds_on_other_images():
    best = tune("tv", *bars())
    clean, noisy = bars(seed=9)
    assert error(clean, best(noisy)) < 0.3 * error(clean, noisy)


def test_tune_all_tells_its_progress(monkeypatch):
    monkeypatch.setattr("quietpixel.evaluation.classical.METHODS", {"median": Median})
    seen = []
    assert list(tune_all(*bars(), progress=seen.append)) == seen == ["median"]


def test_noisy_images_without_variance_are_borne():
    flat = np.full((1, 16, 16, 1), 0.5, np.float32)
    assert error(flat, tune("median", flat, flat)(flat)) == 0


def test_parameters_are_told():
    assert Median(size=5).parameters == "gain 1, offset 0, size 5"


def test_unknown_method_is_refused_with_what_was_meant():
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        tune("medain", *bars())


def test_batches_that_differ_are_refused():
    clean, noisy = bars()
    with pytest.raises(ArgumentError, match="to choose parameters by"):
        tune("tv", clean, noisy[1:])


@pytest.mark.parametrize("module", ["pywt", "skimage.restoration"])
def test_what_is_missing_is_named(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"need {module}.*quietpixel\[train\]"):
        METHODS["tv"]()(bars()[1])
