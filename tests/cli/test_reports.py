"""Reports replace older reports, never a photograph that a shell pattern puts in their place."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from quietpixel.errors import FileError
from quietpixel.files import refuse_foreign
from quietpixel.workflows.evaluate import compare


@pytest.mark.parametrize(
    "words",
    [
        ("denoise", "--model", "HALVER", "--json"),
        ("noise", "--json"),
        ("noise", "--plot"),
        ("evaluate", "--noise", "gaussian:0.1", "--json"),
        ("evaluate", "--noise", "gaussian:0.1", "--report"),
    ],
)
def test_no_report_replaces_a_photograph(words, quietpixel, halver, gray, tmp_path) -> None:
    photo = Path(shutil.copy(gray, tmp_path / "a.png"))
    before = photo.read_bytes()
    words = [halver if word == "HALVER" else word for word in words]
    rest = ("median", "digits", "--count", 1) if words[0] == "evaluate" else (gray,)
    outcome = quietpixel(*words, photo, *rest)
    assert outcome.code == 2
    assert "report, so a report does not replace it; choose another name." in outcome.err
    assert photo.read_bytes() == before


def test_reports_replace_older_ones(quietpixel, tmp_path) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    np.save(tmp_path / "noisy.npy", noisy)
    (tmp_path / "a.json").touch()
    for _ in range(2):
        words = (
            "noise",
            tmp_path / "noisy.npy",
            "--json",
            tmp_path / "a.json",
            "--plot",
            tmp_path / "a.png",
        )
        assert quietpixel(*words).code == 0
        compare(["noisy"], "digits", noise="gaussian:0.1", count=1, report=tmp_path / "a.html")
    with pytest.raises(FileError, match=r"a\.html' exists and is no JSON report"):
        refuse_foreign(tmp_path / "a.html", "JSON")


@pytest.mark.parametrize("words", [("noise", "GRAY"), ("evaluate", "median", "digits")])
def test_a_report_into_nowhere_is_refused_at_once(words, quietpixel, gray, tmp_path) -> None:
    words = [gray if word == "GRAY" else word for word in words]
    outcome = quietpixel(*words, "--json", tmp_path / "no" / "a.json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--json must lie in a folder that exists" in outcome.err
