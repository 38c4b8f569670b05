"""Model cards and files from anywhere: what no model can be ends in one sentence."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model
from PIL import Image

from quietpixel import Denoiser
from quietpixel.card import METADATA_KEY, Card
from quietpixel.cli.main import main
from quietpixel.errors import ModelError

CARD = Card(name="double", architecture="double", channels=1, halo=0)
DEEP = json.loads("[" * 500 + "]" * 500)


def write_model(path, card: dict | str, *, node="Add", channels=1):
    """Write a model that adds each value to itself, or what else `node` does with two."""
    graph = helper.make_graph(
        [helper.make_node(node, ["image", "image"], ["denoised"])],
        "double",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", "h", "w", channels])],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    text = card if isinstance(card, str) else json.dumps(card)
    model.metadata_props.add(key=METADATA_KEY, value=text)
    save_model(model, path)
    return path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", None),
        ("channels", 2),
        ("channels", True),
        ("divisor", 0),
        ("divisor", 10**9),
        ("divisor", "4"),
        ("halo", -1),
        ("halo", 10**9),
        ("size", [28]),
        ("size", [0, 28]),
        ("size", [10**9, 10**9]),
        ("values", float("nan")),
        ("values", -1),
        ("values", 1e300),
        ("sigma_input", 1),
        ("name", None),
        ("noise", 5),
        ("training", []),
        ("scores", {"a": DEEP}),
    ],
)
def test_a_card_that_no_model_can_have_is_refused(tmp_path, capsys, field, value):
    path = write_model(tmp_path / "a.onnx", asdict(CARD) | {field: value})
    Image.fromarray(np.full((40, 50), 90, np.uint8)).save(tmp_path / "a.png")
    assert main(["denoise", str(tmp_path / "a.png"), "--model", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"The model's card cannot be read ('{field}' cannot be" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a-clean.png").exists()


def test_a_card_of_endless_depth_or_of_another_type_is_refused(tmp_path):
    path = write_model(tmp_path / "a.onnx", "[" * 100_000)
    with pytest.raises(ModelError, match="card cannot be read"):
        Denoiser(path)
    path = write_model(path, asdict(CARD) | {"uncertainty": None})
    with pytest.raises(ModelError, match=r"\('uncertainty' cannot be None\)"):
        Denoiser(path)


def test_what_a_card_lacks_is_named(tmp_path, capsys):
    path = write_model(tmp_path / "a.onnx", {"name": "double", "size": None})
    assert main(["denoise", str(tmp_path / "a.png"), "--model", str(path)]) == 2
    assert "card cannot be read (it lacks architecture, channels);" in capsys.readouterr().err


def test_a_good_card_is_accepted():
    card = asdict(CARD) | {"values": 68.5, "size": [28, 28], "training": {"options": {"code": 16}}}
    assert Card.from_json(json.dumps(card)).size == (28, 28)


def test_a_calibration_without_numbers_is_refused(tmp_path, capsys):
    path = write_model(tmp_path / "a.onnx", asdict(CARD) | {"uncertainty": {"share": None}})
    Image.fromarray(np.full((40, 50), 90, np.uint8)).save(tmp_path / "a.png")
    words = ["denoise", str(tmp_path / "a.png"), "--model", str(path)]
    assert main([*words, "--uncertainty", str(tmp_path / "bars.tif")]) == 2
    assert "The calibration of the model 'double' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(("node", "channels"), [("MatMul", 1), ("Add", 3)])
def test_layers_that_do_not_fit_the_card_are_refused(tmp_path, engine, node, channels):
    path = write_model(tmp_path / "a.onnx", asdict(CARD), node=node, channels=channels)
    with pytest.raises(ModelError, match="not a model that can be run"):
        Denoiser(path, engine=engine)(np.full((40, 50), 90, np.uint8))


def test_a_name_that_is_no_text_is_refused(tmp_path):
    path = write_model(tmp_path / "a.onnx", asdict(CARD))
    path.write_bytes(path.read_bytes().replace(b"Add", b"A\xff\xff"))
    with pytest.raises(ModelError, match="not a model that can be run"):
        Denoiser(path)(np.full((40, 50), 90, np.uint8))
