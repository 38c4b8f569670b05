"""What every registered model must fulfil; none of it depends on which model it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.card import Card
from quietpixel.imaging.tiling import plan_grid
from quietpixel.inference.engine import open_engine
from quietpixel.models import build, complete_options, model_options
from quietpixel.models.bottleneck import CODE, decoder, encoder
from quietpixel.models.export import TOLERANCE, check_parity, export_onnx
from quietpixel.models.receptive_field import measure_model

from .tiles import run_tiles

SMALL: dict[str, dict[str, Any]] = {
    "bottleneck": {"filters": (4, 8)},
    "unet": {"filters": (4, 6, 8)},
}
"""Options that make a model quick to test; a model that is not here is tested with its defaults."""


def build_small(name: str, channels: int = 1) -> keras.Model:
    keras.utils.set_random_seed(1)
    options = complete_options(name, SMALL.get(name, {}), channels=channels)
    return awake(build(name, **options))


def awake(model: keras.Model) -> keras.Model:
    """Return `model` with random weights in convolutions that are initialised with zeros."""
    for layer in model.layers:
        if layer.weights and not np.any(layer.get_weights()[0]):
            kernel, *bias = layer.get_weights()
            rng = np.random.default_rng(9)
            layer.set_weights([rng.normal(0, 0.1, kernel.shape).astype(np.float32), *bias])
    return model


def random_inputs(model: keras.Model, side: int = 32, count: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [[count, *(n or side for n in tensor.shape[1:])] for tensor in model.inputs]
    return [rng.random(shape, np.float32) for shape in shapes]


def call(model: keras.Model, inputs: list[np.ndarray]) -> np.ndarray:
    output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return np.asarray(keras.ops.convert_to_numpy(output))


def card_of(name: str, model: keras.Model) -> Card:
    facts, (height, width, channels) = measure_model(model), model.inputs[0].shape[1:]
    return Card(
        name="small",
        architecture=name,
        channels=channels,
        divisor=facts.divisor,
        halo=facts.halo,
        size=None if height is None else (height, width),
        sigma_input=len(model.inputs) > 1,
    )


def output_is_an_image(name: str, tmp_path: Path) -> None:
    for channels in (1, 3) if "channels" in model_options(name) else (1,):
        model = build_small(name, channels)
        inputs = random_inputs(model)
        output = call(model, inputs)
        assert output.shape == inputs[0].shape
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
        assert len(model.inputs) in (1, 2)


def halo_is_as_declared(name: str, tmp_path: Path) -> None:
    model = build_small(name)
    assert (measure_model(model).halo is None) == ("size" in model_options(name))
    check_halo(model)


def check_halo(model: keras.Model) -> None:
    facts = measure_model(model)
    if facts.halo is None:
        assert model.input_shape[1] is not None
        return
    size = 2 * facts.divisor * (facts.halo // facts.divisor + 1) + 2 * facts.divisor
    zeros = [np.zeros((1, size, size, tensor.shape[-1]), np.float32) for tensor in model.inputs]
    reached = []
    for y in range(size // 2, size // 2 + facts.divisor):
        changed = zeros[0].copy()
        changed[0, y, size // 2] = 100.0
        difference = np.abs(call(model, [changed, *zeros[1:]]) - call(model, zeros))[0, :, :, 0]
        rows = np.nonzero(difference.max(axis=1) > 0)[0]
        reached += [y - rows.min(), rows.max() - y]
    assert max(reached) == facts.halo


def tiles_give_the_whole(name: str, tmp_path: Path) -> None:
    model = build_small(name)
    facts = measure_model(model)
    if facts.halo is None:
        return
    image, *level = (values[0] for values in random_inputs(model, side=96, count=1))
    stack = np.concatenate([image, *level], axis=-1)

    def denoise(tile: np.ndarray) -> np.ndarray:
        parts = np.split(tile[np.newaxis], [image.shape[-1]], axis=-1) if level else [tile[None]]
        return call(model, parts)[0]

    grid = plan_grid((96, 96), pixels=72**2, halo=facts.halo, divisor=facts.divisor)
    assert len(list(grid.tiles())) > 1
    whole, tiled = denoise(stack), run_tiles(denoise, stack, grid)
    inner = slice(facts.halo, -facts.halo or None)  # beyond the border tiles see a reflection
    np.testing.assert_allclose(tiled[inner, inner], whole[inner, inner], atol=1e-5)


def exported_file_computes_the_same(name: str, tmp_path: Path) -> None:
    model = build_small(name)
    path = tmp_path / "model.onnx"
    export_onnx(model, path, card_of(name, model))
    assert list(tmp_path.iterdir()) == [path]
    assert check_parity(model, path) < TOLERANCE
    inputs = random_inputs(model, count=3)
    denoised = open_engine(path, precision="f32")(*inputs)
    np.testing.assert_allclose(denoised, call(model, inputs), atol=TOLERANCE)


def check_plain_file(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(model, path, card_of(model.name, model))
    assert check_parity(model, path) < TOLERANCE


def saved_file_computes_the_same(name: str, tmp_path: Path) -> None:
    model = build_small(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = random_inputs(model)
    np.testing.assert_array_equal(call(loaded, inputs), call(model, inputs))


def gradient_reaches_all_weights(name: str, tmp_path: Path) -> None:
    model = build_small(name)
    inputs = random_inputs(model)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.fit(inputs if len(inputs) > 1 else inputs[0], np.zeros_like(inputs[0]), verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(keras.ops.convert_to_numpy(weight) - old).max() > 0, weight.path


def code_splits_the_model(name: str, tmp_path: Path) -> None:
    if "code" not in model_options(name):
        assert CODE not in [layer.name for layer in build_small(name).layers]
        return
    model = build(name, **{**SMALL.get(name, {}), "code": 5})
    inputs = random_inputs(model)
    codes = encoder(model)(inputs[0])
    assert codes.shape == (2, 5)
    np.testing.assert_allclose(decoder(model)(codes), call(model, inputs), atol=1e-6)


CONTRACT: list[Callable[[str, Path], None]] = [
    output_is_an_image,
    halo_is_as_declared,
    tiles_give_the_whole,
    exported_file_computes_the_same,
    saved_file_computes_the_same,
    gradient_reaches_all_weights,
    code_splits_the_model,
]
