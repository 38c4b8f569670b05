"""The plugin for napari, which turns the function into a widget by its annotations."""

from typing import TYPE_CHECKING, Annotated, Any

from quietpixel.containers import denoise
from quietpixel.imaging.axes import OTHER_LETTERS, letters_of
from quietpixel.inference.model_store import known_models

if TYPE_CHECKING:
    import napari

AUTOMATIC = "automatic"
"""Stands for the default models, one for colour and one for gray."""


def model_names(*widgets: Any) -> list[str]:
    """Return the models to choose from; napari passes the widget that shows them."""
    return [AUTOMATIC, *known_models()]


def denoise_layer(
    layer: "napari.layers.Image",
    model: Annotated[str, {"choices": model_names}] = AUTOMATIC,
    strength: Annotated[
        float, {"widget_type": "FloatSlider", "min": 0.0, "max": 2.0, "step": 0.05}
    ] = 1.0,
) -> "napari.types.LayerDataTuple":
    """Return the data of a layer without noise, with scale, metadata and display of the layer.

    Parameters
    ----------
    layer
        An image layer of any dimensions. All but the last two count planes, such as z and t, each
        of which is denoised on its own; one that is labelled ``channel`` counts channels, each with
        an intensity scale of its own. Of several resolutions, the finest is used.
    model
        A bundled model or one of the user's own.
    strength
        As for `DenoiseOptions`.
    """
    data, state, kind = layer.as_layer_data_tuple()
    if layer.multiscale:
        data, state = data[0], {**state, "multiscale": False}
    rgb = ["rgb"] if layer.rgb else []
    labels = [*state.get("axis_labels", ()), *rgb]
    planes = data.ndim - 2 - len(rgb)
    denoised = denoise(
        data,
        None if model == AUTOMATIC else model,
        strength=strength,
        axes=letters_of(labels) or f"{OTHER_LETTERS[:planes]}yx{'s' * len(rgb)}",
    )
    return denoised, {**state, "name": f"{state['name']} denoised"}, kind
