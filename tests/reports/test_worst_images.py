"""The worst images of a report, and crops that move together in a real browser."""

import re

import numpy as np
import pytest

from quietpixel.evaluation.evaluator import Method, evaluate_methods
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.noise.laws import Gaussian
from quietpixel.reports.evaluation_report import build_differences, evaluation_sections
from quietpixel.reports.page import build_page, heading
from quietpixel.reports.pictures import SCRIPT, build_crops, draw_worst, find_worst_place

LAW = Gaussian(0.1)
METHODS = [
    Method("half", lambda x: x / 2),
    Method("<same>", np.copy),
    Method("noisy", None),
]


@pytest.fixture(scope="module")
def page() -> str:
    rng = np.random.default_rng(0)
    images = [rng.random((380, 360, 3), np.float32) * level for level in (0.2, 0.4, 0.6)]
    for image in images:
        image[150:230, 150:230] *= 1.6  # where "half" is worst
    pairs = ImagePairs(3, lambda index: (images[index], None), ["a.png", "b.png", "c.png"])
    table = evaluate_methods(METHODS, pairs, LAW, measure_memory=False)
    crops = build_crops(METHODS, pairs, LAW, seed=0, psnr=table.rows[0].psnr)
    law = heading("gaussian:0..55/255,clip=no|camera:0.02", "A mixture has no place to break.")
    tables = evaluation_sections([table], pairs.name)
    return build_page("x", {}, [law, *tables, crops], script=SCRIPT)


def test_each_method_is_shown_with_its_error(page) -> None:
    labels = re.findall(r'class="pane"[^>]*aria-label="([^"]*)"', page)
    names = ["clean", "noisy", "half", "&lt;same&gt;"]
    each = [label for name in names for label in (name, f"{name}: error")]
    each.remove("clean: error")  # it would be plain gray
    assert labels == 2 * each
    assert re.findall(r"<h3>(.*?)</h3>", page) == ["worst: c.png", "middle: b.png"]
    assert not re.search("https?:", page)


def test_a_single_image_is_neither_the_worst_nor_the_middle() -> None:
    pairs = ImagePairs(1, lambda index: (np.full((40, 40, 3), 0.5, np.float32), None), ["a.png"])
    crops = build_crops(METHODS, pairs, LAW, seed=0, psnr=[20.0])
    assert re.findall(r"<h3>(.*?)</h3>", crops) == ["a.png"]
    assert "worst" not in crops


def test_each_dot_names_its_image(page) -> None:
    dots = re.findall(r"<title>(\S+), &lt;same&gt;: ([+-][\d.]+) dB</title>", page)
    assert {name for name, _ in dots} == {"a.png", "b.png", "c.png"}
    values = [float(value) for _, value in dots]
    assert values == sorted(values)
    assert page.count("<circle") == 3  # not those of the noisy images
    assert f"&lt;same&gt;: better on {sum(value > 0 for value in values)} of 3" in page


def test_of_many_images_not_every_one_gets_a_dot() -> None:
    gray = ImagePairs.from_arrays(np.full((1201, 8, 8, 1), 0.5, np.float32))
    table = evaluate_methods(METHODS, gray, LAW, measure_memory=False)
    section = build_differences(table, gray.name)
    assert section.count("<circle") == 401
    assert "Each dot is one of 3 images" in section


def test_a_method_on_fewer_images_has_fewer_dots() -> None:
    gray = ImagePairs.from_arrays(np.full((9, 16, 16, 1), 0.5, np.float32))
    methods = [METHODS[0], Method("few", np.copy, limit=4)]
    table = evaluate_methods(methods, gray, LAW, measure_memory=False)
    section = build_differences(table, gray.name)
    assert section.count("<circle") == 4
    assert "few: better on 4 of 4" in section


def test_the_worst_images_are_drawn() -> None:
    gray = ImagePairs.from_arrays(
        [np.full((h, w, 1), 0.5, np.float32) for h, w in [(16, 16), (12, 20)]]
    )
    png = draw_worst(METHODS, gray, LAW, seed=0, numbers=[1, 0])
    assert png.startswith(b"\x89PNG")
    assert png != draw_worst(METHODS[2:], gray, LAW, seed=0, numbers=[1, 0])


def test_the_worst_place_holds_the_most_error() -> None:
    rng = np.random.default_rng(0)
    error = rng.random((50, 70, 3)) * 0.01
    error[41:49, 3:11] += 1
    rows, columns = find_worst_place(np.zeros_like(error), error, side=16)
    assert (rows.start <= 41, rows.stop >= 49) == (True, True)
    assert (columns.start <= 3, columns.stop >= 11) == (True, True)
    assert rows.stop - rows.start == columns.stop - columns.start == 16


def test_panes_and_long_laws_fit_on_a_phone(page, browser, tmp_path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page)
    view = browser.new_page(viewport={"width": 390, "height": 800})
    view.goto(file.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") == 390
    lefts = (
        view.locator(".panes")
        .first.locator("figure")
        .evaluate_all("figures => figures.map(figure => figure.getBoundingClientRect().left)")
    )
    assert len(set(lefts)) == 2  # beside each other, to be compared
    view.close()


def test_panes_move_together_by_mouse_and_keyboard(page, browser, tmp_path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page)
    view = browser.new_page(viewport={"width": 1200, "height": 900})
    refused = []
    view.on("console", lambda line: refused.append(line.text))
    view.goto(file.as_uri())
    panes = view.locator(".panes").first.locator(".pane")
    panes.nth(2).scroll_into_view_if_needed()

    def places() -> set[tuple[float, float]]:
        script = "panes => panes.map(pane => [pane.scrollLeft, pane.scrollTop])"
        return {tuple(place) for place in panes.evaluate_all(script)}

    (before,) = places()
    assert min(before) > 0
    box = panes.nth(2).bounding_box()
    view.mouse.move(box["x"] + 10, box["y"] + 10)
    view.mouse.down()
    view.mouse.move(box["x"] + 10 + before[0], box["y"] + 10 + before[1], steps=4)
    view.mouse.up()
    wait_until(view, lambda: places() == {(0, 0)})
    panes.nth(5).focus()
    view.keyboard.press("ArrowDown")
    wait_until(view, lambda: len(places()) == 1 and places() != {(0, 0)})
    assert not refused
    view.close()


def wait_until(view, holds, patience: int = 60_000) -> None:
    """Look again until `holds()`, for at most `patience` milliseconds."""
    for _ in range(patience // 50):
        if holds():
            return
        view.wait_for_timeout(50)
    assert holds()
