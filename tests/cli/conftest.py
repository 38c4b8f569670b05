"""A tiny model, pictures, and the command line called in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quietpixel.card import Card
from quietpixel.cli.main import main

from ..tiny_models import write_halver

CARD = Card(
    name="halver",
    architecture="halver",
    channels=1,
    halo=0,
    noise="gaussian:0.1",
    parameters=1,
    operations=1,
    scores={"mnist": {"mse": 0.0124}},
    data="nothing",
    licence="MIT",
    not_for="anything but tests",
)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def quietpixel(capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command line with words; what was printed before is dropped."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def halver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_halver(tmp_path_factory.mktemp("models") / "halver.onnx", CARD)


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    """Give a gray picture of one value, 200."""
    path = tmp_path / "gray.png"
    Image.fromarray(np.full((9, 7), 200, np.uint8)).save(path)
    return path


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own cache and models out of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
