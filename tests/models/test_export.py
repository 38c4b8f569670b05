"""An exported file computes what Keras does, or is refused."""

from pathlib import Path

import keras
import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import numpy_helper

from quietpixel.card import Card
from quietpixel.errors import ModelError
from quietpixel.models import build, export
from quietpixel.models.export import check_parity, drop_idle_crops, export_onnx, restore_transposes

CARD = Card(name="tiny", architecture="unet", channels=1)


def build_random(filters: tuple[int, ...] = (4, 8), **options: object):
    model = build("unet", filters=filters, blocks=(0, 1, 1)[: len(filters)], **options)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """Return a model and its file."""
    model, path = build_random(), tmp_path_factory.mktemp("export") / "m.onnx"
    export_onnx(model, path, CARD)
    return model, path


@pytest.mark.parametrize(
    ("entry", "sigma"), [pytest.param(1, False, marks=pytest.mark.slow), (2, True)]
)
def test_a_unet_has_no_arithmetic_over_shapes(tmp_path: Path, entry: int, sigma: bool) -> None:
    model = build_random((4, 8, 8), entry=entry, sigma=sigma, output="residual")
    export_onnx(model, tmp_path / "m.onnx", CARD)
    check_graph(tmp_path / "m.onnx")
    assert check_parity(model, tmp_path / "m.onnx") < 1e-4


def test_a_unet_of_two_levels_has_none_either(exported: tuple[keras.Model, Path]) -> None:
    check_graph(exported[1])


def check_graph(path: Path) -> None:
    graph = onnx.load(path)
    kinds = {node.op_type for node in graph.graph.node}
    assert "ConvTranspose" in kinds
    assert not kinds & {"Shape", "Slice", "Pad", "Gather", "Cast"}
    assert not kinds & {"Reshape", "Squeeze", "Unsqueeze"}
    onnx.checker.check_model(graph)


@pytest.mark.parametrize("lost", ["", "Unsqueeze", "Squeeze"])
def test_a_reshape_of_the_channel_axis_becomes_a_transpose(lost: str) -> None:
    """The converter sometimes loses the unsqueeze at the input or the squeeze at the output."""
    nodes = [
        onnx.helper.make_node("Unsqueeze", ["image", "axes"], ["five"]),
        onnx.helper.make_node("Reshape", ["five", "first"], ["planes"]),
        onnx.helper.make_node("Relu", ["planes"], ["kept"]),
        onnx.helper.make_node("Reshape", ["kept", "last"], ["again"]),
        onnx.helper.make_node("Squeeze", ["again", "axes"], ["denoised"]),
    ]
    if lost == "Unsqueeze":
        nodes[1].input[0] = "image"
    if lost == "Squeeze":
        nodes[3].output[0] = "denoised"
    image, denoised = (
        onnx.helper.make_tensor_value_info(name, 1, [None, None, None, 1])
        for name in ("image", "denoised")
    )
    constants = [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in {"axes": [0], "first": [-1, 1, 0, 0], "last": [1, -1, 0, 0, 1]}.items()
    ]
    nodes = [node for node in nodes if node.op_type != lost]
    graph = onnx.helper.make_graph(nodes, "gray", [image], [denoised], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    restore_transposes(model)
    assert [node.op_type for node in model.graph.node] == ["Transpose", "Relu", "Transpose"]
    onnx.checker.check_model(model, full_check=True)
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    (result,) = onnx.reference.ReferenceEvaluator(model).run(None, {"image": values})
    np.testing.assert_array_equal(result, values)


def test_a_graph_of_another_output_shape_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = export.run_keras
    monkeypatch.setattr(export, "run_keras", lambda *given: run(*given)[np.newaxis])
    with pytest.raises(ModelError, match=r"shape \(2, 64, 48, 1\) where Keras gives \(1, 2, 64"):
        export_onnx(build_random(), tmp_path / "m.onnx", CARD)


def test_no_weight_is_left_that_nothing_uses(exported: tuple[keras.Model, Path]) -> None:
    graph = onnx.load(exported[1]).graph
    used = {name for node in graph.node for name in node.input}
    assert {weight.name for weight in graph.initializer} <= used


def triple(graph: onnx.ModelProto, position: int) -> None:
    """Multiply one weight tensor by 3, in place."""
    weight = [one for one in graph.graph.initializer if one.data_type == 1][position]
    weight.CopyFrom(numpy_helper.from_array(3 * numpy_helper.to_array(weight), weight.name))


@pytest.mark.parametrize(("position", "sigma"), [(0, False), (-1, True)])
def test_a_graph_with_a_wrong_weight_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int, sigma: bool
) -> None:
    def tamper(graph: onnx.ModelProto) -> None:
        drop_idle_crops(graph)
        triple(graph, position)

    monkeypatch.setattr(export, "drop_idle_crops", tamper)
    with pytest.raises(ModelError, match=r"differs from Keras by up to .* more than 0\.0001"):
        export_onnx(build_random(sigma=sigma, output="residual"), tmp_path / "m.onnx", CARD)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_wrong_for_other_sizes_only_is_refused(
    exported: tuple[keras.Model, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sizes = export.run_keras, []

    def call(model: object, inputs: list[np.ndarray]) -> np.ndarray:
        sizes.append(inputs[0].shape[1:3])
        return run(model, inputs) + (len(set(sizes)) > 1)

    monkeypatch.setattr(export, "run_keras", call)
    with pytest.raises(ModelError, match="differs from Keras by up to 1"):
        check_parity(*exported)
    assert len(set(sizes)) == 2


def test_values_that_are_not_numbers_are_refused(
    exported: tuple[keras.Model, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "run_keras", lambda model, inputs: inputs[0] * np.nan)
    with pytest.raises(ModelError, match="differs from Keras by up to nan"):
        check_parity(*exported)
