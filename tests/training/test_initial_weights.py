"""Starting a run from the weights of another model."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import quietpixel
from quietpixel.card import Card
from quietpixel.errors import ModelError, TrainingError, UnknownNameError
from quietpixel.inference.model_file import replace_card
from quietpixel.models import build
from quietpixel.models.export import export_onnx
from quietpixel.training.initial_weights import open_start, read_weights, start_from

TINY = {"filters": [4, 6], "blocks": [1, 1], "output": "residual"}
SMALL = {"unet": TINY, "bottleneck": {"filters": [4, 8], "code": 3, "size": 28}}


def make(name: str, seed: int, **options: object) -> keras.Model:
    """Build a model whose weights are all random, the zeros of its last layer too."""
    model = build(name, **options)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.2, w.shape).astype(np.float32) for w in model.weights])
    return model


def save(model: keras.Model, path: Path, architecture: str, options: dict[str, object]) -> Path:
    card = Card(
        name="saved",
        architecture=architecture,
        channels=model.input_shape[-1],
        data="squares",
        training={"options": options},
    )
    export_onnx(model, path, card) if path.suffix == ".onnx" else model.save(path)
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".keras"])
@pytest.mark.parametrize("name", SMALL)
def test_all_weights_come_back_from_a_file(tmp_path: Path, name: str, suffix: str) -> None:
    options = {**SMALL[name], "channels": 3}
    model = make(name, 1, **options)
    start = open_start(save(model, tmp_path / f"m{suffix}", name, options))
    other = make(name, 2, **options)
    start_from(other, start)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_model_trained_in_bfloat16_can_be_the_start(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make("unet", 1, **TINY)
    finally:
        keras.config.set_dtype_policy("float32")
    start_from(build("unet", **TINY), open_start(save(model, tmp_path / "m.keras", "unet", TINY)))


@pytest.mark.parametrize("name", ["mnist-unet", "mnist-bottleneck"])
def test_the_bundled_models_can_be_the_start(name: str) -> None:
    start = open_start(name)
    options = {"channels": 1, **start.card.training["options"]}
    start_from(build(start.card.architecture, **options), start)


@pytest.mark.parametrize("suffix", [".onnx", ".keras"])
def test_other_layers_are_refused(tmp_path: Path, suffix: str) -> None:
    start = open_start(save(make("unet", 1, **TINY), tmp_path / f"m{suffix}", "unet", TINY))
    for options in ({**TINY, "filters": [4, 8]}, {**TINY, "blocks": [0, 1]}):
        with pytest.raises(TrainingError, match=r"layers differ .* Omit `model`"):
            start_from(build("unet", **options), start)


def test_the_same_weights_that_compute_something_else_are_refused(tmp_path: Path) -> None:
    start = open_start(save(make("unet", 1, **TINY), tmp_path / "m.onnx", "unet", TINY))
    with pytest.raises(TrainingError, match=r"output on a random image differs by"):
        start_from(build("unet", **{**TINY, "output": "sigmoid"}), start)


def test_depthwise_and_biasless_layers_are_taken_too(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 2))
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(image)
    x = keras.layers.Conv2D(3, 1, use_bias=False)(x)
    x = keras.layers.Conv2DTranspose(2, 2, strides=2, use_bias=False)(x)
    model = keras.Model(image, x)
    save(model, tmp_path / "m.onnx", "other", {})
    taken = read_weights(tmp_path / "m.onnx")
    layers = [layer for layer in model.layers if layer.weights]
    for layer, one in zip(layers, taken, strict=True):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        back = one.as_keras(type(layer).__name__, shapes)
        for found, wanted in zip(back, layer.get_weights(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_what_is_no_model_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes(b"no")
    (tmp_path / "bad.onnx").write_bytes(b"\x12\x03no")
    with pytest.raises(ModelError, match="not a model that Keras can read"):
        start_from(build("unet", **TINY), open_start(tmp_path / "bad.keras"))
    with pytest.raises(ModelError, match="is not an ONNX model"):
        read_weights(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match=r"'.*none.keras' does not exist"):
        open_start(tmp_path / "none.keras")
    with pytest.raises(UnknownNameError, match="did you mean 'mnist-unet'"):
        open_start("mnist-une")
    with pytest.raises(ModelError, match=r"holds no model\.onnx"):
        open_start(tmp_path)
    assert open_start("nothing") is None


@pytest.mark.usefixtures("no_report", "eager", "few_digits", "shared_export")
def test_a_run_goes_on_from_another_and_says_so(tmp_path: Path) -> None:
    settings = {"options": {"filters": [4, 8]}, "batch": 64, "code": 3}
    first = quietpixel.train("digits", epochs=1, run=tmp_path / "a", **settings)
    card = quietpixel.read_card(first / "model.onnx")
    bundled = replace(card, data="digits, made noisy by the law above")
    replace_card(first / "model.onnx", first / "model.onnx", bundled)
    messages: list[str] = []
    second = quietpixel.train(
        "digits",
        epochs=1,
        start=first,
        batch=64,
        run=tmp_path / "b",
        learning_rate=1e-9,
        on_progress=lambda progress: messages.append(progress.message),
    )
    card = quietpixel.read_card(second / "model.onnx")
    assert card.training["start"] == str(first)
    assert card.training["options"]["code"] == 3
    assert (
        card.data
        == f"digits; started from {first}, trained on digits, made noisy by {bundled.noise}"
    )
    assert f"Starting from the weights of {first}" in messages
    models = [keras.models.load_model(run / "model.keras") for run in (first, second)]
    for one, two in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    with pytest.raises(TrainingError, match=r"cannot be the start of this run\. The layers differ"):
        quietpixel.train("digits", code=4, start=second, run=tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("no_report", "eager", "few_digits")
@pytest.mark.slow
def test_a_keras_file_in_its_run_folder_brings_its_options(tmp_path: Path) -> None:
    settings = {"options": {"filters": [4, 8]}, "batch": 64, "code": 3, "epochs": 1}
    first = quietpixel.train("digits", run=tmp_path / "a", **settings)
    second = quietpixel.train(
        "digits", start=first / "model.keras", epochs=1, batch=64, run=tmp_path / "b"
    )
    card = quietpixel.read_card(second / "model.onnx")
    assert card.training["options"]["filters"] == [4, 8]
    assert "trained on data that its file does not name" in card.data
