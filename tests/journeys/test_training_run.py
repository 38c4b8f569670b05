"""A training run interrupted by Ctrl-C or SIGTERM keeps the best model so far."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quietpixel.training.run_folder import RunFolder

COMMAND = [sys.executable, "-m", "quietpixel"]
LIMIT = 120


def begin(home: Path, *words: object) -> subprocess.Popen[bytes]:
    places = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    line = [*COMMAND, "train", *map(str, words)]
    return subprocess.Popen(line, env=os.environ | places, stderr=subprocess.PIPE)


def wait_for_epoch(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"epoch 1"):
            return
    raise AssertionError("the run ended before its first epoch")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_model_and_a_report(tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    process = begin(tmp_path, "digits", "--epochs", 500, "--run", run)
    wait_for_epoch(process)
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err.decode()
    assert b"interrupted" in err
    assert f"Continue with: quietpixel train digits --run {run} --resume".encode() in err
    assert b"Traceback" not in err
    found = {path.name for path in run.iterdir()}
    assert {"model.keras", "model.onnx", "report.html", "samples.png", "checkpoint.npz"} <= found
    assert len(RunFolder(run).read_history()) >= 1


@pytest.mark.slow
def test_a_run_names_its_estimate_and_each_step(tmp_path: Path) -> None:
    _, err = begin(tmp_path, "digits", "--epochs", 1, "--run", tmp_path / "run").communicate()
    starts = (
        "Training with Keras (backend ", "About ", "epoch 1/1  loss ", "Exporting the model",
        "Kept the model of epoch 1 of 1", "Calibrating error bars", "Writing the report",
    )  # fmt: skip
    lines = err.decode().splitlines()
    assert len(lines) == len(starts), lines  # nothing from TensorFlow
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines
    (row,) = RunFolder(tmp_path / "run").read_history()
    assert f"  validation {row['validation_loss']:.5f}  " in lines[2]  # not of the epoch before
