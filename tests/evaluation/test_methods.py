"""One contract for all classical methods: they denoise, and tuning finds their best parameters."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, MissingDependencyError, UnknownNameError
from quietpixel.evaluation.evaluator import Method, evaluate_methods
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.evaluation.methods import CLASSICAL, METHODS, Median, tune
from quietpixel.evaluation.metrics import METRICS


def bars(count=3, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    clean = np.zeros((count, 24, 24, channels), np.float32)
    clean[:, 6:18, 8:15] = 0.9
    return clean, (clean + rng.normal(0, 0.25, clean.shape)).astype(np.float32)


def error(clean, images):
    return float(np.mean(np.square(np.clip(images, 0, 1) - clean)))


NEEDS = {"opencv-nlm": "cv2", "bm3d": "bm3d"}
ALL = [
    pytest.param(name, marks=pytest.mark.skipif(
        name in NEEDS and find_spec(NEEDS[name]) is None, reason="needs a package of its own"
    ))
    for name in METHODS
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_keeps_shape_and_type(name, channels):
    _, noisy = bars(channels=channels)
    denoised = METHODS[name]()(noisy)
    assert denoised.shape == noisy.shape
    assert denoised.dtype == np.float32


@pytest.mark.parametrize("name", ALL)
def test_tuning_helps_and_never_harms(name):
    clean, noisy = bars()
    best = tune(name, clean, noisy)
    assert isinstance(best, METHODS[name])
    assert error(clean, best(noisy)) < 0.5 * error(clean, noisy)
    assert error(clean, best(noisy)) <= error(clean, METHODS[name]()(noisy)) + 1e-6


@pytest.mark.parametrize("name", ALL)
def test_images_without_noise_stay_as_they_are(name):
    clean, _ = bars()
    most = 0.01 if name == "median" else 1e-4  # it rounds the corners of the bars
    assert error(clean, tune(name, clean, clean)(clean)) < most


@pytest.mark.parametrize("name", ALL)
def test_every_method_is_evaluated_with_all_metrics(name):
    method = METHODS[name](sigma=0.25) if "sigma" in METHODS[name].grid else METHODS[name]()
    pairs = ImagePairs.from_arrays(*bars())
    methods = [Method(name, method, parameters=method.parameters), Method("noisy", None)]
    row, noisy = evaluate_methods(methods, pairs, None, measure_memory=False).rows
    assert row.means["mse"] < noisy.means["mse"]
    assert (row.means.keys(), row.parameters) == (METRICS.keys(), method.parameters)


@pytest.mark.parametrize("side", [11, 14, 28, 64])
def test_wavelets_take_images_of_any_size(side):
    assert METHODS["wavelet"](shifts=0)(np.zeros((1, side, 70, 1))).shape == (1, side, 70, 1)


def test_tuning_undoes_a_bias():
    clean, noisy = bars()
    biased = 0.5 * noisy + np.float32(0.3)
    best, plain = tune("median", clean, biased), tune("median", clean, noisy)
    assert best.gain > 1.5
    assert error(clean, best(biased)) < 1.2 * error(clean, plain(noisy))


def test_tuned_parameters_hold_on_other_images():
    best = tune("tv", *bars())
    clean, noisy = bars(seed=9)
    assert error(clean, best(noisy)) < 0.3 * error(clean, noisy)


def test_noisy_images_without_variance_are_accepted():
    flat = np.full((1, 16, 16, 1), 0.5, np.float32)
    assert error(flat, tune("median", flat, flat)(flat)) == 0


def test_parameters_are_text():
    assert Median(size=5).parameters == "gain 1, offset 0, size 5"


def test_unknown_method_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        tune("medain", *bars())


def test_batches_that_differ_are_refused():
    clean, noisy = bars()
    with pytest.raises(ArgumentError, match="at least one image for tuning"):
        tune("tv", clean, noisy[1:])


@pytest.mark.parametrize("module", ["pywt", "skimage.restoration"])
def test_a_missing_package_is_named(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"need {module}.*quietpixel\[train\]"):
        METHODS["tv"]()(bars()[1])


def test_the_methods_that_are_added_need_no_package_of_their_own():
    assert set(CLASSICAL) <= set(METHODS) - set(NEEDS)


def test_bilateral_denoises_gray_and_colour():
    for channels in (1, 3):
        clean = np.zeros((1, 20, 20, channels), np.float32)
        clean[:, :, 10:] = 0.8
        noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
        best = tune(METHODS["bilateral"], clean, noisy)
        assert np.mean((best(noisy) - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)


def test_bilateral_that_ignores_colour_is_a_blur():
    from scipy.ndimage import gaussian_filter

    image = np.random.default_rng(0).random((1, 24, 30, 1))
    blurred = gaussian_filter(image[0, ..., 0], 1.0, mode="reflect", radius=3)
    found = METHODS["bilateral"](sigma=1e6, reach=1.0)(image)
    assert np.abs(found[0, ..., 0] - blurred).max() < 1e-6


def test_opencv_gets_eight_bits_and_its_own_scale(monkeypatch):
    seen = []

    def flatten(image, out, *strengths):
        seen.append((image.dtype, image.shape, strengths))
        return image

    fake = ModuleType("cv2")
    fake.fastNlMeansDenoising = fake.fastNlMeansDenoisingColored = flatten
    monkeypatch.setitem(sys.modules, "cv2", fake)
    method = METHODS["opencv-nlm"](sigma=0.1)
    for channels in (1, 3):
        images = np.linspace(-1, 2, 48 * channels, dtype=np.float32).reshape(1, 6, 8, channels)
        assert np.abs(method(images) - np.clip(images, 0, 1)).max() <= 0.5 / 255 + 1e-6
    gray, colour = seen
    assert gray == (np.uint8, (6, 8), (pytest.approx(25.5),))
    assert colour == (np.uint8, (6, 8, 3), (pytest.approx(25.5), pytest.approx(25.5)))


def test_bm3d_gets_sigma_on_the_scale_of_the_image(monkeypatch):
    fake = ModuleType("bm3d")
    fake.bm3d = lambda image, sigma: image - sigma
    fake.bm3d_rgb = lambda image, sigma: image + sigma
    monkeypatch.setitem(sys.modules, "bm3d", fake)
    method = METHODS["bm3d"](sigma=0.25)
    assert method(np.ones((1, 4, 4, 1))).max() == 0.75
    assert method(np.ones((1, 4, 4, 3))).max() == 1.25


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [("bm3d", "bm3d", "non-commercial"), ("opencv-nlm", "cv2", "opencv-python-headless")],
)
def test_a_missing_package_of_a_method_is_named(name, module, words, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{name} needs the package.*{words}"):
        METHODS[name]()(np.zeros((1, 8, 8, 1)))
