"""Panes of a comparison's page, in a real browser too."""

import re

import numpy as np
import pytest

from quietpixel.evaluation.comparison import (
    Comparison,
    Contestant,
    compare_methods,
    noisy_contestant,
)
from quietpixel.evaluation.trials import Trials
from quietpixel.noise.parser import Gaussian
from quietpixel.reports.comparison_report import build_comparison_report
from quietpixel.reports.crops import build_crops, choose_images
from quietpixel.reports.paired_differences import build_apart

LAW = Gaussian(0.1)
METHODS = [
    Contestant("half", lambda x: x / 2),
    Contestant("<same>", np.copy),
    noisy_contestant(),
]


@pytest.fixture(scope="module")
def page() -> str:
    rng = np.random.default_rng(0)
    images = [rng.random((380, 360, 3), np.float32) * level for level in (0.2, 0.4, 0.6)]
    for image in images:
        image[150:230, 150:230] *= 1.6  # where "half" is worst
    trials = Trials(3, lambda index: (images[index], None), ["a.png", "b.png", "c.png"])
    table = compare_methods(METHODS, trials, LAW)
    chosen = choose_images(table.rows[0].psnr)
    assert chosen == {"worst": 2, "middle": 1}
    crops = build_crops(METHODS, trials, LAW, seed=0, chosen=chosen)
    whole = Comparison(data="x", count=3, channels=3, seed=0, tuned_on="", tables=(table,))
    return build_comparison_report(whole, crops=[crops], name_of=trials.name)


def test_each_method_is_shown_with_what_is_wrong(page) -> None:
    labels = re.findall(r'class="pane"[^>]*aria-label="([^"]*)"', page)
    names = ["clean", "noisy", "half", "&lt;same&gt;"]
    assert labels == 2 * [label for name in names for label in (name, f"{name}: wrong")]
    assert "<h3>worst: c.png</h3>" in page
    assert not re.search("https?:", page)


def test_each_dot_says_which_image_it_is(page) -> None:
    told = re.findall(r"<title>(\S+), &lt;same&gt;: ([+-][\d.]+) dB</title>", page)
    assert {name for name, _ in told} == {"a.png", "b.png", "c.png"}
    assert [float(apart) for _, apart in told] == sorted(float(apart) for _, apart in told)
    assert page.count("<circle") == 3  # not those of the noisy images
    better = sum(float(apart) > 0 for _, apart in told)
    assert f"&lt;same&gt;: better on {better} of 3" in page


def test_of_many_images_not_every_one_gets_a_dot() -> None:
    trials = Trials(1201, lambda index: (np.full((8, 8, 1), 0.5, np.float32), None))
    section = build_apart(compare_methods(METHODS, trials, LAW), trials.name)
    assert section.count("<circle") == 401
    assert "Each dot is one of 3 images" in section


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


def wait_until(view, holds, patience: int = 10_000) -> None:
    """Look again until `holds()`, for at most `patience` milliseconds."""
    for _ in range(patience // 50):
        if holds():
            return
        view.wait_for_timeout(50)
    assert holds()
