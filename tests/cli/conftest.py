"""A tiny model, pictures, and the command line called in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model
from PIL import Image

from quietpixel.card import METADATA_KEY, Card
from quietpixel.cli.main import main

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


def write_halver(path: Path, card: Card = CARD) -> Path:
    """Write a model that halves every value: easy to see in a picture."""
    shape = ["n", "h", "w", 1]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["image", "half"], ["denoised"])],
        "halver",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)],
        [helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    save_model(model, str(path))
    return path


@pytest.fixture(scope="session")
def halver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_halver(tmp_path_factory.mktemp("models") / "halver.onnx")


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
