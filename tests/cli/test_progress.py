import math
import re
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.progress import Progress as Bar

from quietpixel.cli.progress import (
    BarView,
    describe_estimate,
    describe_progress,
    show_progress,
)


@dataclass(frozen=True)
class Step:
    epoch: int = 2
    epochs: int = 5
    step: int = 10
    steps: int = 10
    images_per_second: float = 2345.6
    seconds_left: float = 61.0
    loss: float = 0.0312345
    validation_loss: float | None = None
    share: float = 0.4
    message: str = ""
    task: str = ""


LINE = "epoch 2/5  loss 0.03123  2,346 images/s  1 min 01 s left"


def test_a_line_says_epoch_loss_speed_and_time() -> None:
    assert describe_progress(Step()) == LINE
    assert describe_progress(Step(epochs=0)).startswith("epoch 2  loss")
    assert "validation 0.02000" in describe_progress(Step(validation_loss=0.02))


def test_without_a_terminal_each_epoch_is_a_line(capsys) -> None:
    with show_progress() as view:
        view(Step(step=9))
        view(Step())
        view(Step(steps=0, message="Judging"))
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [LINE, "Judging"]
    assert captured.out == ""


def test_in_a_terminal_a_bar_moves() -> None:
    bar = Bar(console=Console(file=None, quiet=True))
    view = BarView(bar)
    view(Step(message="Training"))
    assert (bar.tasks[0].completed, bar.tasks[0].total) == (0.4, 1)
    view(Step(epoch=5, share=1.0))
    assert bar.finished


def test_an_estimate_comes_first(capsys) -> None:
    with show_progress() as view:
        for step in range(1, 8):
            view(Step(epoch=1, epochs=20, step=step, steps=469, seconds_left=125))
        view(Step(epoch=1, epochs=20, step=469, steps=469, seconds_left=120))
    first, epoch = capsys.readouterr().err.splitlines()
    assert first == "About 2 min 05 s for 20 epochs of 469 steps"
    assert epoch.startswith("epoch 1/20")
    assert describe_estimate(Step(epochs=0)) == "Training ends in 1 min 01 s"


def test_the_first_step_has_no_rate_and_no_time_left() -> None:
    line = describe_progress(Step(images_per_second=math.nan, seconds_left=math.nan))
    assert line == "epoch 2/5  loss 0.03123"


def test_a_full_bar_names_the_step_in_work() -> None:
    bar = Bar(console=Console(file=None, quiet=True))
    view = BarView(bar)
    view(Step(share=0.9))
    view(Step(steps=0, message="Starting"))
    assert bar.tasks[0].description.startswith("epoch 2/5")
    view(Step(epoch=5, share=1.0))
    view(Step(steps=0, message="Writing the report"))
    assert bar.tasks[0].description == "Writing the report"


@pytest.mark.parametrize(
    "words",
    [
        ("calibrate", "HALVER", "FOLDER", "--noise", "gaussian:0.1"),
        ("evaluate", "HALVER", "FOLDER", "--noise", "gaussian:0.1"),
        ("noise", "FOLDER"),
    ],
    ids=lambda words: words[0],
)
def test_long_work_tells_how_far_it_is_its_rate_and_the_time_left(
    quietpixel, halver, tmp_path, monkeypatch, words
) -> None:
    monkeypatch.setattr("quietpixel.cli.progress.LINE_SECONDS", 0)
    monkeypatch.setattr("quietpixel.workflows.calibrate.SQUARES", 4)
    (tmp_path / "images").mkdir()
    for number, side in enumerate((64, 72)):
        values = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(values).save(tmp_path / "images" / f"{number}.png")
    model = tmp_path / "halver.onnx"
    model.write_bytes(halver.read_bytes())
    names = {"HALVER": model, "FOLDER": tmp_path / "images"}
    outcome = quietpixel(*(names.get(word, word) for word in words))
    assert outcome.code == 0
    assert re.search(r"ing.*  1/[24]  [\d.,]+ images/s  \d+ s left\n", outcome.err)


def test_other_work_has_its_own_words_and_no_estimate(capsys) -> None:
    step = Step(task="Evaluating", step=3, steps=2400, images_per_second=0.842)
    assert describe_progress(step) == "Evaluating  3/2,400  0.84 images/s  1 min 01 s left"
    with show_progress() as view:
        for number in range(8):
            view(Step(task="Evaluating", step=number, steps=2400))
    assert capsys.readouterr().err == ""
