"""The intensity scale of images: given, fixed by their type, that of the training, or estimated."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from quietpixel.card import Card
from quietpixel.imaging.intensity_scale import (
    FIXED_SCALES,
    Scale,
    estimate_range,
    follow_training,
)
from quietpixel.inference.arrays import Layout, check_range, read_layout, with_channels
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.photons import find_photons, may_have_photons

Array = NDArray[Any]


def find_scale(
    images: Sequence[Array],
    options: DenoiseOptions,
    card_for: Callable[[int], Card],
    *,
    profile: bool = False,
    layouts: Sequence[Layout] | None = None,
) -> Scale:
    """Return the scale that images share, with the photon noise that is to be stabilised.

    Parameters
    ----------
    images, options, profile, layouts
        As for `quietpixel.Denoiser.find_scale`.
    card_for
        Returns the card of the model for 1 or 3 channels.
    """

    def with_photons(scale: Scale) -> Scale:
        # The card last: that of a model that is not open is read from its file, which takes 2.4 ms.
        if not may_have_photons(images[0], options) or not card_for(1).scale_free:
            return scale
        return replace(scale, photons=find_photons(images, options, scale))

    if options.range is not None:
        low, high = check_range(options.range)
        return with_photons(Scale(low, high, high - low, low))
    if fixed := FIXED_SCALES.get(str(getattr(images[0], "dtype", ""))):
        return with_photons(Scale(*fixed, fixed[1] - fixed[0], fixed[0]))  # no value is examined
    layouts = layouts or [read_layout(image, holes=True) for image in images]
    low = min(layout.range[0] for layout in layouts)
    high = max(layout.range[1] for layout in layouts)
    nominal = Scale(low, high, high - low, low)
    card, alpha = card_for(layouts[0].model_colours), layouts[0].alpha
    if profile or not (card.scale_free or card.training_range):
        return nominal
    arrays = [with_channels(image) for image in images]
    if not card.scale_free and card.training_range:
        return follow_training(nominal, card.training_range, arrays, alpha=alpha)
    found = estimate_range(arrays, alpha=alpha)
    scale = replace(nominal, black=(found or (low, low))[0], white=(found or (low, low))[1])
    return with_photons(scale) if found else scale
