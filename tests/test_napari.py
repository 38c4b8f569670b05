"""The napari plugin: its manifest, and its function on layers."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quietpixel
from quietpixel.napari import denoise_layer, model_names

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::napari")]

ROOT = Path(__file__).parents[1]


@dataclass
class StandIn:
    """What the plugin uses of `napari.layers.Image`, where napari is not installed."""

    data: Any
    name: str = "cells"
    scale: tuple[float, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    rgb: bool = False
    multiscale: bool = False
    axis_labels: tuple[str, ...] = ()

    def as_layer_data_tuple(self) -> tuple[Any, dict[str, Any], str]:
        names = ("name", "scale", "metadata", "rgb", "multiscale", "axis_labels")
        return self.data, {name: getattr(self, name) for name in names}, "image"


@pytest.fixture(params=["stand-in", "napari"])
def make_layer(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return the class of an image layer."""
    return StandIn if request.param == "stand-in" else pytest.importorskip("napari.layers").Image


def counts(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(400, shape).astype(np.uint16)


def test_a_layer_comes_back_with_its_place_and_its_metadata(make_layer: Callable[..., Any]) -> None:
    layer = make_layer(
        counts(2, 3, 40, 48), name="cells", scale=(1, 2, 0.1, 0.1), metadata={"dye": "DAPI"}
    )
    data, state, kind = denoise_layer(layer)
    result = make_layer(data, **state)
    assert kind == "image"
    assert result.name == "cells denoised"
    np.testing.assert_array_equal(result.scale, (1, 2, 0.1, 0.1))
    assert result.metadata == {"dye": "DAPI"}
    np.testing.assert_array_equal(data, quietpixel.denoise(layer.data, axes="tzyx"))
    assert data.std() < layer.data.std() / 2


def test_strength_and_model_are_obeyed(make_layer: Callable[..., Any]) -> None:
    layer = make_layer(counts(40, 48))
    data, _, _ = denoise_layer(layer, "gaussian-gray", 0.5)
    expected = quietpixel.denoise(layer.data, "gaussian-gray", strength=0.5)
    np.testing.assert_array_equal(data, expected)
    assert model_names()[0] == "automatic"
    assert {"photo", "photo-gray"} < {*model_names("a widget")}


def test_labelled_channels_have_scales_of_their_own(make_layer: Callable[..., Any]) -> None:
    image = counts(2, 40, 48)
    image[1] *= 20
    layer = make_layer(image, axis_labels=("channel", "y", "x"))
    data, _, _ = denoise_layer(layer)
    np.testing.assert_array_equal(data, quietpixel.denoise(image, axes="cyx"))
    assert (data != quietpixel.denoise(image, axes="zyx")).any()


def test_colours_of_a_stack_stay_together(make_layer: Callable[..., Any]) -> None:
    image = counts(2, 40, 48, 3).clip(300, 500).astype(np.uint8)
    data, state, _ = denoise_layer(make_layer(image, rgb=True))
    assert state["rgb"]
    np.testing.assert_array_equal(data, quietpixel.denoise(image, axes="zyxs"))


def test_the_finest_of_several_resolutions_is_used(make_layer: Callable[..., Any]) -> None:
    image = counts(40, 48)
    data, state, _ = denoise_layer(make_layer([image, image[::2, ::2]], multiscale=True))
    assert not state["multiscale"]
    assert make_layer(data, **state).data.shape == (40, 48)


def test_the_manifest_is_valid_and_registered() -> None:
    npe2 = pytest.importorskip("npe2")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package, _, file = project["entry-points"]["napari.manifest"]["quietpixel"].partition(":")
    manifest = npe2.PluginManifest.from_file(ROOT / "src" / package / file)
    manifest.validate_imports()
    (widget,) = manifest.contributions.widgets
    assert widget.autogenerate
    (command,) = manifest.contributions.commands
    assert command.id == widget.command
    assert command.python_name == "quietpixel.napari:denoise_layer"
