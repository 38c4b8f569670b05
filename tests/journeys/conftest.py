"""The real command in a separate process, with a tiny model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..tiny_models import write_halver

COMMAND = [sys.executable, "-m", "quietpixel"]


@pytest.fixture(scope="session", autouse=True)
def hangups() -> None:
    """Under nohup the commands would inherit that a hang-up is ignored."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def halver(tmp_path_factory) -> Path:
    """Give a model that halves every value."""
    return write_halver(tmp_path_factory.mktemp("models") / "halver.onnx")


@pytest.fixture
def start(tmp_path, halver):
    """Start `quietpixel denoise` with arguments."""
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data")}

    def begin(*words, command=COMMAND, **options):
        line = [*command, "denoise", "--model", str(halver), *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, env=os.environ | home, **(pipes | options))

    return begin


@pytest.fixture
def fill():
    """Fill a folder and one below it with pictures of noise."""

    def write(folder: Path, count: int, side: int = 60) -> None:
        (folder / "below").mkdir(parents=True)
        rng = np.random.default_rng(0)
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side + number), np.uint8)
            place = folder / "below" if number % 2 else folder
            Image.fromarray(pixels).save(place / f"picture-{number}.png")

    return write
