"""The evaluator on methods whose results are known beforehand."""

import json

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, ImageError
from quietpixel.evaluation import image_pairs
from quietpixel.evaluation.evaluator import Evaluation, Method, evaluate_methods
from quietpixel.evaluation.image_pairs import ImagePairs, cut_patches, describe_noise
from quietpixel.evaluation.metrics import METRICS
from quietpixel.evaluation.tables import build_columns
from quietpixel.noise.laws import Gaussian

LAW = Gaussian(0.2, clip=False)
SIZES = [(16, 16), (16, 16), (12, 20), (16, 16)]
NOISY = Method("noisy", None)


def scenes(count: int = 4) -> ImagePairs:
    rng = np.random.default_rng(0)
    images = [
        rng.uniform(0, 1, (*SIZES[index % 4], 1)).astype(np.float32) for index in range(count)
    ]
    return ImagePairs.from_arrays(images)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0.3, 0.7, (12, 16, 16, 1)).astype(np.float32)
    return clean, (clean + rng.normal(0, 0.05, clean.shape)).astype(np.float32)


def evaluate(methods: list[Method], clean: np.ndarray, noisy: np.ndarray, **options) -> Evaluation:
    table = evaluate_methods(methods, ImagePairs.from_arrays(clean, noisy), None, **options)
    return Evaluation(data="x", count=len(clean), channels=1, seed=3, tables=(table,))


def test_the_json_has_exactly_the_agreed_form(images) -> None:
    methods = [Method("half", np.copy), NOISY, Method("same", np.copy, "size 3", 12)]
    read = json.loads(evaluate(methods, *images).to_json())
    assert list(read) == [
        "model", "data", "split", "noise", "seed", "count", "methods",
        "channels", "tuned_on", "trained_noise", "trained_elsewhere", "tables",
    ]  # fmt: skip
    assert (read["model"], read["data"], read["split"]) == ("half", "x", "")
    assert (read["noise"], read["seed"], read["count"]) == ("", 3, 12)
    assert [row["name"] for row in read["methods"]] == ["half", "noisy", "same"]
    agreed = {"name", "mse", "psnr", "ssim", "mse_interval", "images_per_second", "count"}
    assert all(agreed <= set(row) for row in read["methods"])
    (table,) = read["tables"]
    assert list(table) == ["noise", "rows", "differences", "worst"]
    assert set(table["rows"][2]) == {
        "name", "parameters", "size", "count", "means", "intervals", "images_per_second",
        "megapixels_per_second", "memory", "psnr",
    }  # fmt: skip
    assert (table["rows"][2]["parameters"], table["rows"][2]["size"]) == ("size 3", 12)
    assert len(table["rows"][0]["psnr"]) == 12
    assert table["differences"][0]["than"] == "half"


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_reaches_json_and_tables(name: str) -> None:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0, 1, (2, 176, 180, 1)).astype(np.float32)
    evaluation = evaluate(
        [Method("half", lambda x: x / 2), NOISY], clean, clean + 0.1, measure_memory=False
    )
    row = evaluation.tables[0].rows[0]
    read = json.loads(evaluation.to_json())
    assert read["tables"][0]["rows"][0]["means"][name] == row.means[name] is not None
    assert read["methods"][0][name] == getattr(evaluation.methods[0], name) == row.means[name]
    assert read["methods"][0][f"{name}_interval"] == list(row.intervals[name])
    assert {each.measure for each in evaluation.tables[0].differences} == set(METRICS)
    cells = {column.title: column.cells for column in build_columns(evaluation.tables[0])}
    assert cells[METRICS[name].title][0].text == f"{row.means[name]:.{METRICS[name].digits}f}"


def test_means_agree_with_arithmetic(images) -> None:
    clean, _ = images
    row = evaluate([NOISY], clean, clean + np.float32(0.1)).methods[0]
    assert row.mse == pytest.approx(0.01, rel=1e-5)
    assert row.psnr == pytest.approx(20, abs=1e-4)
    assert row.mse_interval == pytest.approx((0.01, 0.01), rel=1e-5)
    assert row.ssim_interval[0] <= row.ssim <= row.ssim_interval[1] < 1
    assert row.images_per_second is None


def test_output_beyond_the_range_is_clipped() -> None:
    clean = np.ones((2, 16, 16, 1), np.float32)
    assert evaluate([NOISY], clean, clean + 1).methods[0].mse == 0


def test_the_mean_squared_error_is_that_of_all_pixels(images) -> None:
    clean, noisy = images
    expected = np.mean(np.square(noisy.astype(np.float64) - clean))
    row = evaluate([Method("same", np.copy)], clean, noisy, measure_memory=False).methods[0]
    assert row.mse == pytest.approx(expected)


def test_means_are_those_of_the_images() -> None:
    pairs = scenes()
    table = evaluate_methods([Method("bright", lambda x: x * 0 + 7)], pairs, LAW)
    clean = [pairs.load(index)[0].astype(np.float64) for index in range(4)]
    errors = [np.mean((1 - image) ** 2) for image in clean]
    means = table.rows[0].means
    assert means["mse"] == pytest.approx(np.mean(errors))
    assert means["psnr"] == pytest.approx(np.mean(-10 * np.log10(errors)))
    assert means["ms_ssim"] is None


def test_an_exact_result_becomes_null_in_json(images) -> None:
    clean, _ = images
    evaluation = evaluate([Method("same", np.copy), NOISY], clean, clean)
    assert evaluation.methods[0].psnr == float("inf")
    read = json.loads(evaluation.to_json())
    assert read["methods"][0]["psnr"] is None
    assert read["tables"][0]["rows"][0]["means"]["psnr"] is None
    assert "psnr" not in {each["measure"] for each in read["tables"][0]["differences"]}


def test_methods_on_fewer_images_say_so_and_are_compared_on_those(images) -> None:
    methods = [Method("half", lambda x: x / 2), NOISY, Method("slow", np.copy, limit=4)]
    evaluation = evaluate(methods, *images)
    assert [row.count for row in evaluation.methods] == [12, 12, 4]
    first, _, slow = evaluation.tables[0].rows
    difference = next(
        each
        for each in evaluation.tables[0].differences
        if (each.name, each.measure) == ("slow", "psnr")
    )
    assert difference.mean == pytest.approx(np.mean(slow.psnr) - np.mean(first.psnr[:4]))
    *_, last = build_columns(evaluation.tables[0])
    assert (last.title, [cell.text for cell in last.cells]) == ("images", ["12", "12", "4"])


def test_the_noisy_images_are_never_marked_as_best(images) -> None:
    clean, noisy = images
    methods = [Method("blur", lambda x: x * 0 + 0.5), NOISY, Method("half", lambda x: x / 2)]
    columns = build_columns(evaluate(methods, clean, noisy).tables[0])
    best = {column.title: [cell.best for cell in column.cells] for column in columns}
    assert best["PSNR, dB"] == best["MSE"] == [True, False, False]
    assert not any(best["megapixels/s"])
    tie = build_columns(evaluate([Method("same", np.copy), NOISY], clean, noisy).tables[0])
    assert [cell.best for cell in tie[0].cells] == [True, False]


def test_noise_is_seeded_unclipped_and_the_same_for_all() -> None:
    seen: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    methods = [Method(name, lambda x, name=name: seen[name].append(x.copy()) or x) for name in seen]
    evaluate_methods(methods, scenes(), LAW, seed=3, measure_memory=False)
    first, second = (np.concatenate([part.ravel() for part in seen[name]]) for name in seen)
    assert np.array_equal(first, second)
    assert first.min() < 0
    assert first.max() > 1
    batches = list(scenes().batches(LAW, seed=3))
    again = list(scenes().batches(LAW, seed=3))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(batches, again, strict=True))


def test_the_same_seed_gives_the_same_results(images) -> None:
    first, second = (evaluate([NOISY], *images, seed=1) for _ in range(2))
    assert first == second


def test_neighbours_of_one_size_share_a_batch_in_order() -> None:
    assert [clean.shape[:3] for clean, _ in scenes().batches(LAW, seed=0)] == [
        (2, 16, 16), (1, 12, 20), (1, 16, 16),
    ]  # fmt: skip


def test_differences_are_paired() -> None:
    methods = [Method("half", lambda x: x / 2), Method("more", lambda x: x / 2 + 0.01), NOISY]
    table = evaluate_methods(methods, scenes(12), LAW)
    found = {(each.name, each.measure): each for each in table.differences}
    rows = {row.name: row for row in table.rows}
    near = found["more", "mse"]
    assert near.than == "half"
    assert near.mean == pytest.approx(rows["more"].means["mse"] - rows["half"].means["mse"])
    assert near.interval[0] <= near.mean <= near.interval[1]
    # The images differ far more from each other than the two methods on one image do.
    alone = rows["half"].intervals["mse"]
    assert near.interval[1] - near.interval[0] < 0.2 * (alone[1] - alone[0])


def test_speed_is_measured_of_methods_only(images) -> None:
    table = evaluate([Method("same", np.copy), NOISY], *images).tables[0]
    assert table.rows[0].megapixels_per_second > 0
    assert table.rows[0].images_per_second == pytest.approx(
        1e6 * table.rows[0].megapixels_per_second / 256
    )
    assert table.rows[1].megapixels_per_second is None


def test_the_first_call_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    monkeypatch.setattr("time.perf_counter", lambda: events.append("clock") or float(len(events)))
    monkeypatch.setattr(image_pairs, "MAX_IMAGES", 2)
    clean = np.zeros((5, 12, 12, 1), np.float32)
    method = Method("same", lambda batch: events.append(len(batch)) or batch)
    evaluate([method], clean, clean, measure_memory=False)
    timed = [each for count in (2, 2, 1) for each in ("clock", count, "clock")]
    assert events == [2, *timed]


def test_the_worst_images_come_first() -> None:
    def break_third(images: np.ndarray) -> np.ndarray:
        return np.where(images.shape[1] == 12, 0.0, 0.5) + np.zeros_like(images)

    gray = [np.full((*size, 1), 0.5, np.float32) for size in SIZES]
    methods = [Method("flat", break_third), NOISY]
    table = evaluate_methods(methods, ImagePairs.from_arrays(gray), LAW)
    assert table.worst[0] == 2
    assert sorted(table.worst) == [0, 1, 2, 3]


def test_pairs_that_differ_are_refused(images) -> None:
    clean, noisy = images
    with pytest.raises(ArgumentError, match=r"the shapes of `clean`.*got 11 noisy and 12"):
        ImagePairs.from_arrays(clean, noisy[1:])
    with pytest.raises(ArgumentError, match="the shapes of `clean`"):
        ImagePairs.from_arrays(clean, noisy[:, 1:])


def test_no_images_and_no_methods_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one method and one image"):
        evaluate_methods([NOISY], ImagePairs.from_arrays([]), LAW)
    with pytest.raises(ArgumentError, match="at least one method and one image"):
        evaluate_methods([], scenes(), LAW)


def test_a_method_that_changes_the_shape_is_refused(images) -> None:
    with pytest.raises(ImageError, match="must return images of the shape that it gets"):
        evaluate([Method("cut", lambda batch: batch[:, 1:])], *images)


def test_a_method_that_returns_nan_is_refused(images) -> None:
    with pytest.raises(ImageError, match="finite values"):
        evaluate([Method("nan", lambda batch: batch * np.nan)], *images)


def test_patches_are_the_centres_of_images_spread_over_all() -> None:
    clean, noisy = cut_patches(scenes(), LAW, seed=0, side=128, count=2)
    assert clean.shape == noisy.shape == (2, 16, 16, 1)
    assert np.array_equal(clean[1], scenes().load(3)[0])
    clean, _ = cut_patches(scenes(), LAW, seed=0, side=8, count=9)
    assert np.array_equal(clean[2], scenes().load(2)[0][2:10, 6:14])


@pytest.mark.parametrize(
    ("law", "text"),
    [
        ("gaussian:0.09803921568627451,clip=no", "gaussian:25/255,clip=no"),
        ("gaussian:0.14705882352941177,clip=no", "gaussian:37.5/255,clip=no"),
        ("gaussian:0..0.29411764705882354|camera:0.02", "gaussian:0..75/255|camera:0.02"),
        ("poisson:60+gaussian:0.5", "poisson:60+gaussian:0.5"),
        ("gaussian:0.2", "gaussian:51/255"),
        ("", "noise of the pairs"),
    ],
)
def test_noise_is_described_out_of_255_where_that_is_exact(law: str, text: str) -> None:
    assert describe_noise(law) == text
