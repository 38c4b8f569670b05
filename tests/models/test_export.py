"""What the converter adds around transposed convolutions is gone, and nothing else."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from quietpixel.card import Card
from quietpixel.models import build
from quietpixel.models.export import check_parity, export_onnx

CARD = Card(name="tiny", architecture="unet", channels=1)


def export(tmp_path: Path, **options: object) -> tuple[onnx.ModelProto, np.ndarray, float]:
    model = build("unet", filters=(4, 8, 8), blocks=(0, 1, 1), **options)
    for weight in model.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    export_onnx(model, tmp_path / "m.onnx", CARD)
    noisy = np.random.default_rng(1).random((2, 24, 40, 1), np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    denoised = session.run(None, {session.get_inputs()[0].name: noisy})[0]
    return onnx.load(tmp_path / "m.onnx"), denoised, check_parity(model, denoised, noisy)


@pytest.mark.parametrize("entry", [1, 2])
def test_a_unet_has_no_arithmetic_over_shapes(tmp_path: Path, entry: int) -> None:
    graph, _, difference = export(tmp_path, entry=entry)
    kinds = {node.op_type for node in graph.graph.node}
    assert "ConvTranspose" in kinds
    assert not kinds & {"Shape", "Slice", "Pad", "Gather", "Cast"}
    assert difference < 1e-4
    onnx.checker.check_model(graph)


def test_no_weight_is_left_that_nothing_uses(tmp_path: Path) -> None:
    graph = export(tmp_path)[0].graph
    used = {name for node in graph.node for name in node.input}
    assert {weight.name for weight in graph.initializer} <= used
