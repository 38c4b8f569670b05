"""Reports stand alone, escape what they are given, and are never half written."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from quietpixel.card import Card
from quietpixel.errors import FileError
from quietpixel.evaluation.evaluator import Comparison, Evaluation, Method, Table, evaluate_methods
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.noise.laws import Gaussian
from quietpixel.reports.evaluation_report import (
    build_differences,
    describe_model,
    evaluation_sections,
    write_evaluation_report,
)
from quietpixel.reports.figures import DIGIT_COLOURS
from quietpixel.reports.page import build_page, picture_section, write_page

METHODS = [
    Method("<model>", lambda batch: 0.5 * batch + 0.25),
    Method("noisy", None),
    Method("worse", lambda batch: batch + np.float32(0.2), parameters="step <0.2>"),
]
LABELS = np.arange(6) % 3


@pytest.fixture(scope="module")
def pairs() -> ImagePairs:
    return ImagePairs.from_arrays(np.full((6, 64, 64, 1), 0.5, np.float32))


@pytest.fixture(scope="module")
def tables(pairs: ImagePairs) -> list[Table]:
    laws = [Gaussian(sigma, clip=False) for sigma in (0.1, 0.3)]
    return [evaluate_methods(METHODS, pairs, law, measure_memory=False) for law in laws]


def test_a_method_has_the_colour_of_its_row_in_all_charts(tables) -> None:
    assert [row.name for row in tables[0].rows][2] == "worse"
    # The noisy images, which have the second colour elsewhere, are not in this chart.
    assert f"background:{DIGIT_COLOURS[2]}" in build_differences(tables[0], str)


class Balance(HTMLParser):
    """Counts the tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_report_needs_nothing_from_outside_and_closes_its_tags(tables, pairs, tmp_path) -> None:
    runs = [(METHODS, Gaussian(sigma, clip=False)) for sigma in (0.1, 0.3)]
    evaluation = Evaluation(data="<d>", count=6, channels=1, seed=0, tables=tuple(tables))
    path = write_evaluation_report(
        tmp_path / "r.html", Comparison(evaluation, pairs, runs, labels=LABELS)
    )
    page = path.read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    # Speed twice, noise, worst twice; four states and the errors of three of two images, twice;
    # samples, extremes, error by label.
    assert len(balance.sources) == 5 + 2 * 2 * (4 + 3) + 3
    assert all(source.startswith("data:image/png;base64,") for source in balance.sources)
    assert not re.search(r"https?:|url\(|@import", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"<(d|model|0.2)>", page)
    assert "step &lt;0.2&gt;" in page
    assert page.count('class="best"') == 2 * 4


def test_small_images_have_no_crops_and_pictures_no_second_title(tmp_path) -> None:
    small = ImagePairs.from_arrays(np.full((6, 28, 28, 1), 0.5, np.float32))
    law = Gaussian(0.3)
    table = evaluate_methods(METHODS, small, law, measure_memory=False)
    evaluation = Evaluation(data="d", count=6, channels=1, seed=0, tables=(table,))
    path = tmp_path / "r.html"
    write_evaluation_report(path, Comparison(evaluation, small, [(METHODS, law)], labels=LABELS))
    page = path.read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert len(headings) == len(set(headings))
    assert 'class="pane"' not in page
    assert not any("worst images" in heading for heading in headings)


def test_brightness_is_no_fact_of_a_model_of_digits() -> None:
    entry = {
        "share": 0.9, "coverage": 0.9, "coverage_by_level": [[0.1, 0.9]], "images": 2,
        "brightness": {"slope": 1.2, "offset": -0.1, "dark_bias": 0.0},
    }  # fmt: skip
    card = Card(name="m", architecture="m", channels=1, uncertainty=entry)
    assert describe_model(card)["Brightness"].startswith("result against input: slope 1.2")
    digits = describe_model(replace(card, size=(28, 28)))
    assert "Brightness" not in digits
    assert "Error bars" in digits


def test_everything_given_is_escaped() -> None:
    page = build_page("<b>", {"<i>": "<u>"}, [picture_section('"<s>', "<q>", b"")])
    assert not re.search(r"<(b|i|u|s|q)>", page)
    assert 'alt="&quot;&lt;s&gt;"' in page
    assert "<script" not in page
    assert "script-src" not in page


def test_the_best_values_are_emphasised_and_the_noisy_row_never(tables) -> None:
    section, *_ = evaluation_sections(tables[:1])
    model, noisy, worse = re.findall(r"<tr.*?</tr>", section)[1:]
    assert model.count('class="best"') >= 3
    assert 'class="best"' not in noisy
    assert worse.count('class="best"') <= 1


def test_brackets_are_explained_where_there_are_some(tables) -> None:
    single = ImagePairs.from_arrays(np.full((1, 64, 64, 1), 0.5, np.float32))
    table = evaluate_methods(METHODS, single, Gaussian(0.1), measure_memory=False)
    assert "In brackets" not in next(evaluation_sections([table]))
    assert "In brackets" in next(evaluation_sections(tables[:1]))


def test_methods_on_fewer_images_are_marked(pairs) -> None:
    methods = [METHODS[0], Method("few", np.copy, limit=3)]
    table = evaluate_methods(methods, pairs, Gaussian(0.1), measure_memory=False)
    section, *_ = evaluation_sections([table])
    assert ">images</th>" in section
    assert section.rstrip("</table>").count("<td>3</td>") == 1


def test_writes_into_new_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = write_page(tmp_path / "new" / "report.html", build_page("t", {"a": 1}))
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert os.listdir(path.parent) == ["report.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_keeps_the_old_report(tmp_path: Path, monkeypatch) -> None:
    path = write_page(tmp_path / "report.html", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(FileError, match=r"report.html' was not written because the disk is full"):
        write_page(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_path_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="choose another folder"):
        write_page(tmp_path / "file" / "report.html", "page")
