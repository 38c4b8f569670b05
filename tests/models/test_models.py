"""One contract for every registered model."""

from pathlib import Path

import keras
import numpy as np
import pytest

from quietpixel.card import Card
from quietpixel.errors import ArgumentError, ModelError, UnknownNameError
from quietpixel.models import MODELS, build
from quietpixel.models.bottleneck import decoder, encoder
from quietpixel.models.export import check_parity, export_onnx
from quietpixel.models.receptive_field import measure_model

SMALL = {"bottleneck": {"filters": (4, 8)}, "unet": {"filters": (4, 6, 8)}}


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> keras.Model:
    keras.utils.set_random_seed(1)
    return awake(build(request.param, **SMALL[request.param]))


def awake(model: keras.Model) -> keras.Model:
    """Return `model` with its last convolution, which begins at zero, set by chance."""
    for layer in model.layers:
        if layer.weights and not np.any(layer.get_weights()[0]):
            kernel, bias = layer.get_weights()
            rng = np.random.default_rng(9)
            layer.set_weights([rng.normal(0, 0.1, kernel.shape).astype(np.float32), bias])
    return model


def test_each_model_is_in_the_contract() -> None:
    assert set(SMALL) == set(MODELS)


def test_output_has_the_shape_of_the_input_and_lies_in_the_range(model: keras.Model) -> None:
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    denoised = np.asarray(model(images))
    assert denoised.shape == images.shape
    assert denoised.dtype == np.float32
    assert denoised.min() >= 0
    assert denoised.max() <= 1


def test_it_takes_colour(model: keras.Model) -> None:
    colour = build(model.name, channels=3, **SMALL[model.name])
    assert colour.output_shape[-1] == 3


def test_declared_halo_covers_the_measured_one(model: keras.Model) -> None:
    facts = measure_model(model)
    if facts.halo is None:
        assert model.input_shape[1] is not None
        return
    size = 8 * (facts.halo // 8 + 1) * 2 + 8
    image = np.zeros((1, size, size, 1), np.float32)
    rows = []
    for y in range(size // 2, size // 2 + facts.divisor):
        poked = image.copy()
        poked[0, y, size // 2] = 100.0
        changed = np.abs(np.asarray(model(poked)) - np.asarray(model(image)))[0, :, :, 0]
        touched = np.nonzero(changed.max(axis=1) > 0)[0]
        rows += [y - touched.min(), touched.max() - y]
    assert max(rows) <= facts.halo
    assert max(rows) >= facts.halo - facts.divisor


def test_the_onnx_file_says_the_same_as_keras(model: keras.Model, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "model.onnx"
    export_onnx(model, path, Card(name="tiny", architecture=model.name, channels=1))
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    denoised = compiled(images)[0]
    assert check_parity(model, denoised, images) < 1e-4
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ModelError, match="differs from Keras by up to 1"):
        check_parity(model, denoised + 1, images)


def test_encode_and_decode_make_the_whole() -> None:
    model = build("bottleneck", filters=(4, 8), code=5)
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    code = encoder(model)(images)
    assert code.shape == (2, 5)
    np.testing.assert_allclose(decoder(model)(code), model(images), atol=1e-6)


def test_the_default_bottleneck_is_the_one_of_the_mission() -> None:
    kinds = [type(layer).__name__ for layer in build("bottleneck").layers]
    assert kinds == [
        "InputLayer", "Conv2D", "Conv2D", "Dropout", "Flatten", "Dense",
        "Dense", "Reshape", "Conv2DTranspose", "Conv2DTranspose", "Conv2D",
    ]  # fmt: skip


def test_kernel_sizes_are_those_of_the_encoder() -> None:
    model = build("bottleneck", kernel_sizes=(7, 5))
    seen = [layer.kernel_size for layer in model.layers if hasattr(layer, "kernel_size")]
    assert seen == [(7, 7), (5, 5), (3, 3), (3, 3), (3, 3)]


def test_the_default_unet_costs_under_20_million_multiply_adds_a_digit() -> None:
    assert measure_model(build("unet")).operations * 28 * 28 < 20e6


def test_operations_are_counted_as_by_hand() -> None:
    model = build("unet", filters=(2, 3), blocks=(0, 0))
    by_hand = 9 * 1 * 2 + 4 * 2 * 3 / 4 + 4 * 3 * 2 / 4 + 9 * 2 * 1
    assert measure_model(model).operations == round(by_hand)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bottleneck", {"size": 27}, "multiple of 4 because.*got 27. Try 28"),
        ("bottleneck", {"filters": (4,)}, "`filters` must be two numbers"),
        ("bottleneck", {"kernel_sizes": (3, 0)}, "`kernel_sizes` must be two numbers"),
        ("bottleneck", {"code": 0}, "`code` must be at least 1"),
        ("bottleneck", {"dropout": 1.0}, r"`dropout` must lie in \[0, 1\)"),
        ("bottleneck", {"colour": 1}, "model 'bottleneck' cannot be built"),
        ("unet", {"filters": (4,)}, "`filters` must be at least two numbers"),
        ("unet", {"blocks": (1,)}, "`blocks` must give one number"),
        ("unet", {"entry": 3}, "`entry` must be 1 or 2 because it is the first level's stride"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build(name, **options)


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        build("u-net")
    with pytest.raises(UnknownNameError, match="Unknown output 'linear'"):
        build("unet", output="linear")
    with pytest.raises(UnknownNameError, match="Unknown block 'transformer'"):
        build("unet", block="transformer")


def test_a_layer_of_unknown_reach_is_refused() -> None:
    image = keras.Input((None, None, 1))
    with pytest.raises(ModelError, match="GaussianNoise"):
        measure_model(keras.Model(image, keras.layers.GaussianNoise(0.1)(image)))


def test_a_unet_that_is_told_the_noise_level_heeds_it_pixel_by_pixel() -> None:
    keras.utils.set_random_seed(2)
    model = awake(build("unet", filters=(4, 6), blocks=(0, 1), sigma=True))
    image = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    low = np.zeros((1, 32, 32, 1), np.float32)
    high = low.copy()
    high[:, :, 16:] = 1
    changed = np.abs(np.asarray(model([image, low])) - np.asarray(model([image, high])))[0, :, :, 0]
    halo = measure_model(model).halo
    assert halo is not None
    assert changed[:, 16:].mean() > 0
    assert changed[:, : 16 - halo].max(initial=0) == 0


@pytest.mark.parametrize("entry", [1, 2])
def test_the_reach_of_both_entries_is_that_declared(entry: int) -> None:
    keras.utils.set_random_seed(3)
    model = build("unet", filters=(4, 6), blocks=(1, 1), entry=entry)
    test_declared_halo_covers_the_measured_one(awake(model))


def test_convnext_blocks_see_far_and_are_exported_as_they_are(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    model = awake(build("unet", filters=(4, 6), blocks=(0, 2), block="convnext"))
    assert measure_model(model).halo == 1 + 2 * 2 * 3 + 1 + 1
    by_hand = 2 * (49 * 6 + 2 * 6 * 24) / 4 + 9 * 4 + 4 * 4 * 6 / 4 + 4 * 6 * 4 / 4 + 9 * 4
    assert measure_model(model).operations == round(by_hand)
    test_declared_halo_covers_the_measured_one(model)
    test_the_onnx_file_says_the_same_as_keras(model, tmp_path)


def test_held_values_are_those_of_the_widest_moment():
    model = build("unet", channels=3, filters=(32, 64, 96), blocks=(0, 1, 1), output="residual")
    # At full resolution: what the first level knew, what comes back, their sum, and the image.
    assert measure_model(model).values == 32 + 32 + 32 + 16


def test_a_model_of_the_whole_image_does_not_say_what_it_holds():
    assert measure_model(build("bottleneck")).values is None
