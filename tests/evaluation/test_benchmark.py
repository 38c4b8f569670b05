"""The scores of methods whose errors are known beforehand."""

import json

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.evaluation.benchmark import judge, run, score, score_images

ABOUT = {"model": "half", "data": "gray", "split": "test", "noise": "gaussian:0.1", "seed": 3}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    clean = rng.uniform(0.3, 0.7, (12, 16, 16, 1)).astype(np.float32)
    return clean, (clean + rng.normal(0, 0.05, clean.shape)).astype(np.float32)


def test_the_json_has_exactly_the_agreed_form(images):
    evaluation = judge(lambda batch: batch, *images, about=ABOUT, rivals={"same": np.copy})
    read = json.loads(evaluation.to_json())
    assert list(read) == ["model", "data", "split", "noise", "seed", "count", "methods"]
    assert {key: read[key] for key in ABOUT} == ABOUT
    assert read["count"] == 12
    assert [row["name"] for row in read["methods"]] == ["half", "noisy", "same"]
    agreed = {"name", "mse", "psnr", "ssim", "mse_interval", "images_per_second"}
    assert all(agreed <= set(row) for row in read["methods"])


def test_scores_agree_with_arithmetic(images):
    clean, _ = images
    row = score_images("shifted", clean, clean + np.float32(0.1))
    assert row.mse == pytest.approx(0.01, rel=1e-5)
    assert row.psnr == pytest.approx(20, abs=1e-4)
    assert row.mse_interval == pytest.approx((0.01, 0.01), rel=1e-5)
    assert row.ssim_interval[0] <= row.ssim <= row.ssim_interval[1] < 1
    assert row.images_per_second is None


def test_what_leaves_the_range_is_clipped_before_scoring():
    clean = np.ones((2, 16, 16, 1), np.float32)
    assert score_images("bright", clean, clean + 1).mse == 0


def test_the_mse_of_the_row_is_the_mse_of_all_pixels(images):
    clean, noisy = images
    expected = np.mean(np.square(noisy.astype(np.float64) - clean))
    assert score("same", np.copy, clean, noisy, batch_size=5).mse == pytest.approx(expected)


def test_an_exact_restoration_becomes_null_in_json(images):
    clean, _ = images
    evaluation = judge(np.copy, clean, clean, about=ABOUT)
    assert evaluation.methods[0].psnr == float("inf")
    assert json.loads(evaluation.to_json())["methods"][0]["psnr"] is None


def test_rivals_on_fewer_images_say_so(images):
    rows = judge(np.copy, *images, about=ABOUT, rivals={"slow": np.copy}, rival_count=4).methods
    assert [row.count for row in rows] == [12, 12, 4]


def test_the_same_seed_gives_the_same_scores(images):
    first, second = (score_images("same", *images, seed=1) for _ in range(2))
    assert first == second


def test_warming_up_is_not_on_the_clock(monkeypatch):
    events = []
    monkeypatch.setattr("time.perf_counter", lambda: events.append("clock") or float(len(events)))
    run(lambda batch: events.append(len(batch)) or batch, np.zeros((5, 2, 2, 1)), batch_size=2)
    assert events == [2, "clock", 2, 2, 1, "clock"]


def test_batches_that_differ_are_refused(images):
    clean, noisy = images
    with pytest.raises(ArgumentError, match=r"shape of `clean`.*got \(11, 16"):
        score("same", np.copy, clean, noisy[1:])


def test_no_images_are_refused():
    empty = np.zeros((0, 16, 16, 1), np.float32)
    with pytest.raises(ArgumentError, match="at least one image"):
        score("same", np.copy, empty, empty)


def test_a_method_that_changes_the_shape_is_refused(images):
    with pytest.raises(ImageError, match="must return images of the shape it was given"):
        score("crop", lambda batch: batch[:, 1:], *images)


def test_a_method_that_returns_nan_is_refused(images):
    with pytest.raises(ImageError, match="finite values"):
        score("nan", lambda batch: batch * np.nan, *images)
