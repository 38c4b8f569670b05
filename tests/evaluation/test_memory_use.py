"""Memory is that of a process which runs the method and nothing else."""

import numpy as np
import pytest

from quietpixel.evaluation import evaluator
from quietpixel.evaluation.evaluator import (
    STATUS,
    Method,
    evaluate_methods,
    measure_peak,
    read_peak,
)
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.evaluation.methods import METHODS
from quietpixel.noise.laws import Gaussian

MIB = 2**20

needs_linux = pytest.mark.skipif(not STATUS.exists(), reason="only Linux reports it")


@needs_linux
def test_the_memory_of_this_process_is_not_counted() -> None:
    kept = np.ones(400 * MIB, np.uint8)
    small = measure_peak(np.copy, np.zeros((1, 32, 32, 1), np.float32))
    large = measure_peak(np.copy, np.zeros((1, 4096, 4096, 1), np.float32))
    own = read_peak()
    assert own is not None
    assert own > kept.nbytes
    assert small is not None
    assert large is not None
    assert 10 * MIB < small < 300 * MIB
    assert 100 * MIB < large - small < 180 * MIB  # the images and their copy


def fail(noisy: np.ndarray) -> np.ndarray:
    raise RuntimeError(noisy.shape)


@needs_linux
def test_a_method_that_fails_or_cannot_be_pickled_has_none() -> None:
    noisy = np.zeros((1, 8, 8, 1), np.float32)
    assert measure_peak(lambda image: image, noisy) is None
    assert measure_peak(fail, noisy) is None


def test_it_is_none_if_the_system_does_not_report_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(evaluator, "STATUS", tmp_path / "none")
    assert measure_peak(np.copy, np.zeros((1, 8, 8, 1), np.float32)) is None
    assert read_peak() is None


@needs_linux
def test_an_evaluation_measures_the_memory_of_each_method(monkeypatch) -> None:
    monkeypatch.setattr(evaluator, "measure_peak", measure_peak)
    trials = ImagePairs(2, lambda index: (np.full((40, 40, 1), 0.5, np.float32), None))
    methods = [Method("median", METHODS["median"](size=3)), Method("noisy", None)]
    median, noisy = evaluate_methods(methods, trials, Gaussian(0.1, clip=False)).rows
    assert median.memory is not None
    assert median.memory > 20 * MIB
    assert noisy.memory is None
