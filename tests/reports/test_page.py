"""The report stands alone, escapes what it is given, and is never half written."""

import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from quietpixel.errors import FileError
from quietpixel.evaluation.benchmark import judge
from quietpixel.reports.page import build_report, write_report

ABOUT = {"model": "<model>", "data": "gray", "split": "test", "noise": "none", "seed": 0}
HISTORY = [{"epoch": 1, "loss": 0.1, "validation_loss": 0.1, "learning_rate": 0.001}]


@pytest.fixture
def evaluation():
    clean = np.full((6, 16, 16, 1), 0.5, np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
    rivals = {"worse": lambda batch: batch + np.float32(0.2)}
    return judge(
        lambda batch: 0.5 * batch + 0.25, clean, noisy, about=ABOUT, rivals=rivals, rival_count=3
    )


class Balance(HTMLParser):
    """Counts the tags that are open."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_needs_nothing_from_outside_and_closes_its_tags(evaluation):
    page = build_report(
        title="t", facts={"a": 1}, evaluation=evaluation, history=HISTORY,
        pictures=[("Samples", "words", b"\x89PNG")],
    )  # fmt: skip
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert len(balance.sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in balance.sources)
    assert not re.search(r"https?:|url\(|@import|<script", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_everything_given_is_escaped(evaluation):
    page = build_report(
        title="<b>", facts={"<i>": "<u>"}, evaluation=evaluation, pictures=[('"<s>', "<q>", b"")]
    )
    assert not re.search(r"<(b|i|u|s|q|model)>", page)
    assert 'alt="&quot;&lt;s&gt;"' in page


def test_the_best_values_are_emphasised_and_the_noisy_row_never(evaluation):
    page = build_report(title="t", facts={}, evaluation=evaluation)
    rows = re.findall(r"<tr.*?</tr>", page)
    model, noisy, worse = rows[1:]
    assert model.count('class="best"') >= 3
    assert 'class="best"' not in noisy
    assert worse.count('class="best"') <= 1


def test_rows_on_fewer_images_are_named(evaluation):
    page = build_report(title="t", facts={}, evaluation=evaluation)
    assert "worse: scored on the first 3 images only" in page


def test_writes_into_new_folders_and_leaves_nothing_else(tmp_path):
    path = write_report(tmp_path / "new" / "report.html", title="t", facts={"a": 1})
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert os.listdir(path.parent) == ["report.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_keeps_the_old_report(tmp_path, monkeypatch):
    path = write_report(tmp_path / "report.html", title="old", facts={})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(FileError, match=r"cannot be written \(No space left"):
        write_report(path, title="new", facts={})
    assert "old" in path.read_text()
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_place_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="give another place"):
        write_report(tmp_path / "file" / "report.html", title="t", facts={})
