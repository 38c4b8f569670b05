from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quietpixel.workflows import train


@dataclass
class Calls:
    """Stands in for the library, and keeps what it was asked."""

    seen: dict[str, Any] = field(default_factory=dict)

    def train(self, data: str, *, on_progress: Any, **options: Any) -> Path:
        self.seen = {"data": data, **options}
        return Path("runs/x")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(train, "train", calls.train)
    return calls


def test_train_passes_every_option_on(quietpixel, calls) -> None:
    words = "mnist --model unet --recipe classic --noise gaussian:25/255 --epochs 3 --code 8"
    more = (
        "--filters 8,16 --blocks 0,1 --from photo --minutes 20 --channels 1 --devices 2 --workers 3"
    )
    folder = "--tensorboard --target none --pairs *_a=*_b --structure h:5 --name lab --cache c"
    last = (
        f"{folder} --batch 8 --patch 96 --learning-rate 3e-3 --seed 4 --run r --resume --data-dir d"
    )
    outcome = quietpixel("train", *words.split(), *more.split(), *last.split())
    assert outcome.code == 0
    assert outcome.out.split() == ["Model", "runs/x/model.onnx", "Report", "runs/x/report.html"]
    assert calls.seen.pop("noise").startswith("gaussian:0.098")
    assert calls.seen == {
        "data": "mnist",
        "model": "unet",
        "recipe": "classic",
        "epochs": 3,
        "code": 8,
        "filters": (8, 16),
        "blocks": (0, 1),
        "start": "photo",
        "minutes": 20.0,
        "batch": 8,
        "patch": 96,
        "learning_rate": 0.003,
        "channels": 1,
        "tensorboard": True,
        "devices": 2,
        "workers": 3,
        "target": "none",
        "pairs": "*_a=*_b",
        "structure": "h:5",
        "name": "lab",
        "cache": Path("c"),
        "seed": 4,
        "run": Path("r"),
        "resume": True,
        "data_dir": Path("d"),
    }


def test_train_takes_the_digits_where_nothing_is_said(quietpixel, calls) -> None:
    assert quietpixel("train").code == 0
    assert calls.seen["data"] == "digits"
    assert calls.seen["noise"] is None
    assert quietpixel("train", "--noise", "auto").code == 0
    assert calls.seen["noise"] == "auto"


@pytest.mark.parametrize("text", ["64,", "a,b", "64,-1", "0,8", "64;128", "6.5,8"])
def test_filters_that_are_none_are_refused(quietpixel, calls, text) -> None:
    outcome = quietpixel("train", f"--filters={text}")
    assert outcome.code == 2
    assert "--filters must be whole numbers of at least 1" in outcome.err
    assert "Try 64,128." in outcome.err
    assert not calls.seen


def test_a_place_that_cannot_be_written_is_one_line(quietpixel, calls, tmp_path) -> None:
    outcome = quietpixel("evaluate", "m", "digits", "--json", tmp_path / "none" / "a.json")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_a_model_that_is_none_is_one_line(quietpixel, tmp_path, gray) -> None:
    for model in (tmp_path, gray, "mnist-botleneck", tmp_path / "none.onnx"):
        outcome = quietpixel("evaluate", model, "digits")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_demo_shows_a_table_and_says_where_the_report_lies(quietpixel, tmp_path) -> None:
    outcome = quietpixel("demo", "--epochs", 1, "--run", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "median" in outcome.out
    assert outcome.out.splitlines()[-1].endswith(str(tmp_path / "run" / "report.html"))
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
