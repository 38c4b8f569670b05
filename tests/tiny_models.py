"""Tiny models, made with onnx alone."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model

from quietpixel.card import METADATA_KEY, Card


def write_model(path: Path, nodes, weights, *, card: Card | None, sigma: bool = False) -> Path:
    """Write a model from input `image` to output `denoised`, both (N, H, W, C)."""
    channels = card.channels if card else 1
    shape = ["n", *(card.size if card and card.size else ("h", "w")), channels]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    if sigma:
        shape_of_sigma = ["n", "h", "w", 1]
        inputs.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, shape_of_sigma))
    outputs = [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)]
    values = [
        helper.make_tensor(
            name,
            TensorProto.INT64 if array.dtype == np.int64 else TensorProto.FLOAT,
            array.shape,
            array.ravel().tolist(),
        )
        for name, array in weights.items()
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, values)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if card:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, card.to_json()
    save_model(model, str(path))
    return path


def write_halver(path: Path, card: Card | None = None) -> Path:
    """Write a model that halves every value: easy to see in an image."""
    made = card or Card(name="halver", architecture="halver", channels=1, halo=0)
    nodes = [helper.make_node("Mul", ["image", "half"], ["denoised"])]
    return write_model(path, nodes, {"half": np.full(1, 0.5, np.float32)}, card=made)


def write_blur(path: Path, *, channels: int = 1, halo: int = 2, card: bool = True) -> Path:
    """Write a convolution of known halo with zero padding, then pooling and growing by 2."""
    rng = np.random.default_rng(3)
    size = 2 * halo + 1
    kernel = rng.random((channels, channels, size, size)).astype(np.float32)
    kernel /= kernel.sum(axis=(1, 2, 3), keepdims=True)
    made = Card(name="blur", architecture="blur", channels=channels, halo=halo)
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["sum"], pads=[halo] * 4),
        helper.make_node("Transpose", ["sum"], ["denoised"], perm=[0, 2, 3, 1]),
    ]
    return write_model(path, nodes, {"kernel": kernel}, card=made if card else None)


def write_pyramid(path: Path) -> Path:
    """Write a model that halves and doubles: divisor 2, halo 1, and depends on the phase."""
    made = Card(name="pyramid", architecture="pyramid", channels=1, divisor=2, halo=1)
    kernel = np.full((1, 1, 2, 2), 0.25, np.float32)
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["small"], strides=[2, 2]),
        helper.make_node("ConvTranspose", ["small", "ones"], ["large"], strides=[2, 2]),
        helper.make_node("Transpose", ["large"], ["denoised"], perm=[0, 2, 3, 1]),
    ]
    weights = {"kernel": kernel, "ones": np.ones((1, 1, 2, 2), np.float32)}
    return write_model(path, nodes, weights, card=made)


def write_residual(path: Path, halo: int = 2) -> Path:
    """Write a model that takes away part of what a convolution of random weights finds."""
    made = Card(name="residual", architecture="residual", channels=1, halo=halo)
    size = 2 * halo + 1
    kernel = np.random.default_rng(5).normal(0, 0.02, (1, 1, size, size)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["found"], pads=[halo] * 4),
        helper.make_node("Transpose", ["found"], ["noise"], perm=[0, 2, 3, 1]),
        helper.make_node("Sub", ["image", "noise"], ["denoised"]),
    ]
    return write_model(path, nodes, {"kernel": kernel}, card=made)


def write_dense(path: Path, side: int = 28) -> Path:
    """Write a model that looks at the whole image of one size: each pixel becomes the mean."""
    made = Card(name="dense", architecture="bottleneck", channels=1, size=(side, side))
    count = side * side
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["code"]),
        helper.make_node("MatMul", ["code", "weights"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["denoised"]),
    ]
    weights = {
        "flat": np.array([-1, count], np.int64),
        "shape": np.array([-1, side, side, 1], np.int64),
        "weights": np.full((count, count), 1 / count, np.float32),
    }
    return write_model(path, nodes, weights, card=made)


def write_sigma(path: Path, *, blind: bool = False, red: bool = False) -> Path:
    """Write a model that gives back the image plus the noise level it is given, or to red alone."""
    made = Card(
        name="adder", architecture="adder", channels=3 if red else 1, halo=0, sigma_input=True,
        blind=blind,
    )  # fmt: skip
    nodes = [helper.make_node("Add", ["image", "level" if red else "sigma"], ["denoised"])]
    if red:
        nodes.insert(0, helper.make_node("Mul", ["sigma", "red"], ["level"]))
    weights = {"red": np.array([1, 0, 0], np.float32)} if red else {}
    return write_model(path, nodes, weights, card=made, sigma=True)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "blur": write_blur(folder / "blur.onnx"),
        "colour": write_blur(folder / "colour.onnx", channels=3),
        "pyramid": write_pyramid(folder / "pyramid.onnx"),
        "residual": write_residual(folder / "residual.onnx"),
        "dense": write_dense(folder / "dense.onnx"),
        "adder": write_sigma(folder / "adder.onnx"),
        "blind": write_sigma(folder / "blind.onnx", blind=True),
        "bare": write_blur(folder / "bare.onnx", card=False),
    }


@pytest.fixture(autouse=True, scope="session")
def no_models_of_the_user(tmp_path_factory):
    """Keep the models and the cache of whoever runs the tests out of them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    yield
    patch.undo()
