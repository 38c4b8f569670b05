"""One contract for every registered model, and what is particular to each."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from quietpixel.errors import ArgumentError, ModelError, UnknownNameError
from quietpixel.models import MODELS, build
from quietpixel.models.bottleneck import decoder, encoder
from quietpixel.models.receptive_field import measure_model

from ..model_contract import CONTRACT, awake, build_small, check_halo, check_plain_file


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_registered_model_fulfils_the_contract(
    name: str, check: Callable[[str, Path], None], tmp_path: Path
) -> None:
    check(name, tmp_path)


def build_plain(*, channels: int = 1, filters: int = 4, sigma: bool = False) -> keras.Model:
    """Build a plain residual net: two convolutions whose output is the noise."""
    image = keras.Input((None, None, channels), name="image")
    level = [keras.Input((None, None, 1), name="sigma")] if sigma else []
    x = keras.layers.Concatenate()([image, *level]) if level else image
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(channels, 3, padding="same")(x)
    x = keras.layers.Subtract(dtype="float32")([image, x])
    return keras.Model([image, *level] if level else image, x, name="plain")


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_a_plain_residual_net_fulfils_the_contract(
    check: Callable[[str, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "plain", build_plain)
    check("plain", tmp_path)


@pytest.mark.parametrize("name", ["bottleneck", "unet"])
def test_a_sigmoid_output_lies_in_the_range(name: str) -> None:
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    denoised = np.asarray(build_small(name)(images))
    assert denoised.min() >= 0
    assert denoised.max() <= 1


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
        ("bottleneck", {"code": 1.5}, "`code` must be a whole number; got 1.5"),
        ("unet", {"filters": (8, True)}, "`filters` must be a whole number; got True"),
        ("unet", {"blocks": 2}, "`blocks` must be several whole numbers; got 2"),
        ("bottleneck", {"code": 0}, "`code` must be at least 1"),
        ("bottleneck", {"dropout": 1.0}, r"`dropout` must lie in \[0, 1\)"),
        (
            "bottleneck",
            {"colour": 1},
            "model 'bottleneck' cannot be built .*options are channels, size, filters",
        ),
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


def test_a_unet_uses_the_noise_level_of_each_pixel() -> None:
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
    check_halo(awake(model))


def test_convnext_blocks_see_far_and_are_exported_as_they_are(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    model = awake(build("unet", filters=(4, 6), blocks=(0, 2), block="convnext"))
    assert measure_model(model).halo == 1 + 2 * 2 * 3 + 1 + 1
    by_hand = 2 * (49 * 6 + 2 * 6 * 24) / 4 + 9 * 4 + 4 * 4 * 6 / 4 + 4 * 6 * 4 / 4 + 9 * 4
    assert measure_model(model).operations == round(by_hand)
    check_halo(model)
    check_plain_file(model, tmp_path)


def test_held_values_are_those_of_the_widest_moment():
    model = build("unet", channels=3, filters=(32, 64, 96), blocks=(0, 1, 1), output="residual")
    # At full resolution: what the first level knew, what comes back, their sum, and the image.
    assert measure_model(model).values == 32 + 32 + 32 + 16


def test_a_model_of_the_whole_image_does_not_say_what_it_holds():
    assert measure_model(build("bottleneck")).values is None
