"""Comparisons whose numbers are known beforehand."""

import json
import re
import sys
from types import ModuleType

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, ImageError, MissingDependencyError
from quietpixel.evaluation.classical import tune
from quietpixel.evaluation.comparison import (
    Comparison,
    Contestant,
    compare_methods,
    noisy_contestant,
)
from quietpixel.evaluation.optional_methods import ALL_METHODS
from quietpixel.evaluation.trials import Trials, cut_patches
from quietpixel.noise.parser import Gaussian
from quietpixel.reports.comparison_report import build_comparison_report
from quietpixel.reports.worst_images import draw_worst, find_worst_place

LAW = Gaussian(0.2, clip=False)
SIZES = [(16, 16), (16, 16), (12, 20), (16, 16)]


def scenes(count=4):
    rng = np.random.default_rng(0)
    images = [
        rng.uniform(0, 1, (*SIZES[index % 4], 1)).astype(np.float32) for index in range(count)
    ]
    return Trials(count, lambda index: (images[index], None))


def test_noise_is_seeded_unclipped_and_alike_for_all():
    seen = {"a": [], "b": []}
    contestants = [
        Contestant(name, lambda x, name=name: seen[name].append(x.copy()) or x) for name in seen
    ]
    compare_methods(contestants, scenes(), LAW, seed=3)
    first, second = (np.concatenate([part.ravel() for part in seen[name]]) for name in seen)
    assert np.array_equal(first, second)
    assert first.min() < 0
    assert first.max() > 1
    batches = list(scenes().batches(LAW, seed=3))
    again = list(scenes().batches(LAW, seed=3))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(batches, again, strict=True))


def test_neighbours_of_one_size_come_together_in_order():
    assert [clean.shape[:3] for clean, _ in scenes().batches(LAW, seed=0)] == [
        (2, 16, 16), (1, 12, 20), (1, 16, 16),
    ]  # fmt: skip


def test_means_are_those_of_the_images_and_output_is_clipped():
    trials = scenes()
    table = compare_methods([Contestant("bright", lambda x: x * 0 + 7)], trials, LAW)
    clean = [trials.open(index)[0].astype(np.float64) for index in range(4)]
    errors = [np.mean((1 - image) ** 2) for image in clean]
    means = table.rows[0].means
    assert means["mse"] == pytest.approx(np.mean(errors))
    assert means["psnr"] == pytest.approx(np.mean(-10 * np.log10(errors)))
    assert means["ms_ssim"] is None


def test_differences_are_paired():
    methods = [Contestant("half", lambda x: x / 2), Contestant("more", lambda x: x / 2 + 0.01)]
    table = compare_methods([*methods, noisy_contestant()], scenes(12), LAW)
    found = {(each.name, each.measure): each for each in table.differences}
    rows = {row.name: row for row in table.rows}
    near = found["more", "mse"]
    assert near.than == "half"
    assert near.mean == pytest.approx(rows["more"].means["mse"] - rows["half"].means["mse"])
    assert near.interval[0] <= near.mean <= near.interval[1]
    # The images differ far more from each other than the two methods on one image do.
    alone = rows["half"].intervals["mse"]
    assert near.interval[1] - near.interval[0] < 0.2 * (alone[1] - alone[0])


def test_speed_is_told_of_methods_only_and_an_exact_result_becomes_null():
    exact = Trials(2, lambda index: (np.full((16, 16, 1), 0.5, np.float32),) * 2)
    methods = [Contestant("same", np.copy, size=12), noisy_contestant()]
    table = compare_methods(methods, exact, None)
    assert table.rows[0].megapixels_per_second > 0
    assert table.rows[1].megapixels_per_second is None
    whole = Comparison(data="x", count=2, channels=1, seed=0, tuned_on="", tables=(table,))
    read = json.loads(whole.to_json())
    assert read["tables"][0]["rows"][0]["means"]["psnr"] is None
    assert read["tables"][0]["rows"][0]["size"] == 12
    assert read["tables"][0]["noise"] == ""


def test_the_page_escapes_stands_alone_and_marks_the_best():
    methods = [Contestant("<half>", lambda x: x / 2), noisy_contestant()]
    tables = tuple(compare_methods(methods, scenes(), Gaussian(s)) for s in (0.1, 0.3))
    whole = Comparison(data="<d>", count=4, channels=1, seed=0, tuned_on="", tables=tables)
    page = build_comparison_report(whole)
    assert not re.search(r"<(half|d)>|https?:|<script", page)
    assert page.count("data:image/png") == 3
    assert page.count('class="best"') == 2 * 4


def test_the_worst_images_are_named_and_shown():
    def break_third(images):
        return np.where(images.shape[1] == 12, 0.0, 0.5) + np.zeros_like(images)

    trials = Trials(4, lambda index: (np.full((*SIZES[index], 1), 0.5, np.float32), None))
    methods = [Contestant("flat", break_third), noisy_contestant()]
    table = compare_methods(methods, trials, LAW)
    assert table.worst[0] == 2
    assert sorted(table.worst) == [0, 1, 2, 3]
    png = draw_worst(methods, trials, LAW, seed=0, numbers=table.worst[:2])
    assert png.startswith(b"\x89PNG")
    whole = Comparison(data="x", count=4, channels=1, seed=0, tuned_on="", tables=(table,))
    assert "<h2>Worst</h2>" in build_comparison_report(whole, [("Worst", "words", png)])


def test_the_worst_place_holds_the_most_error():
    rng = np.random.default_rng(0)
    error = rng.random((50, 70, 3)) * 0.01
    error[41:49, 3:11] += 1
    rows, columns = find_worst_place(np.zeros_like(error), error, side=16)
    assert (rows.start <= 41, rows.stop >= 49) == (True, True)
    assert (columns.start <= 3, columns.stop >= 11) == (True, True)
    assert rows.stop - rows.start == columns.stop - columns.start == 16


def test_a_method_that_changes_the_shape_is_refused():
    with pytest.raises(ImageError, match="must return images of the shape"):
        compare_methods([Contestant("cut", lambda x: x[:, 1:])], scenes(), LAW)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ArgumentError, match="at least one method and one image"):
        compare_methods([], scenes(), LAW)


def test_patches_are_the_middles_of_images_spread_over_all():
    clean, noisy = cut_patches(scenes(), LAW, seed=0, side=128, count=2)
    assert clean.shape == noisy.shape == (2, 16, 16, 1)
    assert np.array_equal(clean[1], scenes().open(3)[0])
    clean, _ = cut_patches(scenes(), LAW, seed=0, side=8, count=9)
    assert np.array_equal(clean[2], scenes().open(2)[0][2:10, 6:14])


def test_bilateral_denoises_gray_and_colour():
    for channels in (1, 3):
        clean = np.zeros((1, 20, 20, channels), np.float32)
        clean[:, :, 10:] = 0.8
        noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
        best = tune(ALL_METHODS["bilateral"], clean, noisy)
        assert np.mean((best(noisy) - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)


def test_bilateral_without_regard_to_colour_is_a_blur():
    from scipy.ndimage import gaussian_filter

    image = np.random.default_rng(0).random((1, 24, 30, 1))
    blurred = gaussian_filter(image[0, ..., 0], 1.0, mode="reflect", radius=3)
    found = ALL_METHODS["bilateral"](sigma=1e6, reach=1.0)(image)
    assert np.abs(found[0, ..., 0] - blurred).max() < 1e-6


def test_opencv_gets_eight_bits_and_its_own_scale(monkeypatch):
    seen = []

    def flatten(image, out, *strengths):
        seen.append((image.dtype, image.shape, strengths))
        return image

    fake = ModuleType("cv2")
    fake.fastNlMeansDenoising = fake.fastNlMeansDenoisingColored = flatten
    monkeypatch.setitem(sys.modules, "cv2", fake)
    method = ALL_METHODS["opencv-nlm"](sigma=0.1)
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
    method = ALL_METHODS["bm3d"](sigma=0.25)
    assert method(np.ones((1, 4, 4, 1))).max() == 0.75
    assert method(np.ones((1, 4, 4, 3))).max() == 1.25


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [("bm3d", "bm3d", "non-commercial"), ("opencv-nlm", "cv2", "opencv-python-headless")],
)
def test_a_package_that_is_missing_is_named(name, module, words, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{name} needs the package.*{words}"):
        ALL_METHODS[name]()(np.zeros((1, 8, 8, 1)))
