"""Every picture is a PNG of the expected size, always the same, and refuses what it cannot show."""

import functools
import io
import sys
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from quietpixel.errors import MissingDependencyError
from quietpixel.reports import charts, evaluation_report, pictures

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(12) % 5
HISTORY = [
    {"epoch": n, "loss": 1 / n, "validation_loss": 0.9 / n, "learning_rate": 1e-3 / n}
    for n in range(1, 4)
]


def pixels(png):
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(png))
    return np.asarray(image.convert("RGB"))


DRAWINGS = {
    "samples": lambda: pictures.samples(dict.fromkeys(pictures.ROWS, IMAGES), LABELS),
    "extremes": lambda: pictures.extremes(IMAGES, IMAGES, IMAGES, np.arange(12)),
    "learning_curves": lambda: charts.learning_curves(HISTORY),
    "error_by_digit": lambda: charts.error_by_digit(RNG.random(12), LABELS),
    "code_map": lambda: charts.code_map(np.eye(9, 16), np.arange(9)),
}


@functools.cache
def draw(name):
    return DRAWINGS[name]()


@pytest.mark.parametrize("name", DRAWINGS)
def test_is_a_png_with_something_on_white(name):
    image = pixels(draw(name))
    assert (image[0] == 255).all()
    assert (image[:, 0] == 255).all()
    assert image.min() < 100


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_page_shows_through_around_a_picture(name):
    """Else a report in the dark has white slabs."""
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(draw(name)))
    alpha = np.asarray(image.convert("RGBA"))[..., 3]
    assert (alpha[0] == 0).all()
    assert (alpha == 0).mean() > 0.1


def test_the_same_arrays_give_the_same_bytes():
    assert DRAWINGS["samples"]() == draw("samples")


def test_images_are_shown_without_blur():
    checks = np.indices((28, 28)).sum(0)[None, ..., None] % 2
    image = pixels(pictures.samples(dict.fromkeys(pictures.ROWS, checks)))
    block = image[24:136, 205:317]
    assert set(np.unique(block)) <= {0, 255}
    assert 0.4 < block.mean() / 255 < 0.6


@pytest.mark.parametrize("shape", [(2, 300, 200, 3), (2, 1, 1, 1), (2, 100, 100, 1)])
def test_images_of_any_size_are_shown(shape):
    images = np.full(shape, 0.5)
    assert max(pixels(pictures.samples(dict.fromkeys(pictures.ROWS, images))).shape) < 1000


def test_first_of_each_label_is_taken_in_order():
    assert pictures.first_of_each([3, 1, 3, 0, 1]).tolist() == [3, 1, 0]
    assert len(pictures.first_of_each(np.arange(30))) == 10


def test_one_epoch_and_missing_columns_are_accepted():
    assert charts.learning_curves(HISTORY[:1])
    assert charts.learning_curves([{"epoch": 1, "loss": 0.5}])


def test_a_loss_in_decibels_is_drawn_too():
    rows = [{**row, "loss": -29.5, "validation_loss": -30 - row["epoch"]} for row in HISTORY]
    assert pixels(charts.learning_curves(rows)).min() < 100


def test_no_name_covers_another(monkeypatch):
    """In the learning curves, and where methods are equally good and fast."""
    figures = []
    for module in (charts, evaluation_report):
        monkeypatch.setattr(module, "to_png", lambda figure: figures.append(figure) or b"")
    charts.learning_curves([{**row, "epoch": 98 + row["epoch"]} for row in HISTORY])
    rows = [
        SimpleNamespace(name=name, means={"psnr": 30.0}, megapixels_per_second=1.0)
        for name in ("runs/digits-20261128-214039", "gaussian-gray", "nlm")
    ]
    evaluation_report.draw_speed(SimpleNamespace(rows=rows))
    for figure in figures:
        figure.draw_without_rendering()
        named = [*figure.axes, *filter(None, (axes.get_legend() for axes in figure.axes))]
        boxes = [
            text.get_window_extent()
            for owner in named
            for text in (owner.texts if hasattr(owner, "plot") else owner.get_texts())
        ]
        assert len(boxes) >= 4
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


def test_the_map_of_many_codes_uses_tsne_and_repeats():
    pytest.importorskip("sklearn")
    codes = RNG.random((40, 16))
    first = charts.code_map(codes, np.arange(40) % 4)
    assert first == charts.code_map(codes, np.arange(40) % 4)


def test_a_map_of_equal_codes_is_drawn():
    assert charts.code_map(np.zeros((20, 1)), np.zeros(20, int))


@pytest.mark.parametrize(
    ("module", "draw"),
    [
        ("matplotlib.figure", DRAWINGS["samples"]),
        ("sklearn.manifold", lambda: charts.code_map(np.eye(3), np.arange(3))),
    ],
)
def test_a_missing_package_is_named(module, draw, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"quietpixel\[train\]"):
        draw()
