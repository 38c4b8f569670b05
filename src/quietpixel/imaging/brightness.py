"""Whether brightness is still a measurement after denoising."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpixel.array_types import Array
from quietpixel.imaging.tiling import mean_of_squares

CELL = 16
"""Side in pixels of the squares whose means are compared: noise hardly changes such a mean."""
DARK = 0.1
"""Share of the squares that counts as the dark."""


@dataclass(frozen=True)
class Brightness:
    """How the brightness of results follows that of the noisy images.

    Parameters
    ----------
    slope, offset
        Of the line through the means of small squares, result against noisy image; 1 and 0 where
        brightness is kept. The offset is a share of the intensity scale.
    dark_bias
        Mean of result minus noisy image in the darkest tenth of the squares, such a share too.

    Examples
    --------
    >>> print(Brightness(0.998, 0.0012, 0.0004).describe())
    result against input: slope 0.998, offset +0.0012, bias in the dark +0.0004 of the scale
    """

    slope: float
    offset: float
    dark_bias: float

    def describe(self) -> str:
        """Return it as the part of a sentence."""
        return (
            f"result against input: slope {self.slope:.3f}, offset {self.offset:+.4f}, bias in the "
            f"dark {self.dark_bias:+.4f} of the scale"
        )


def measure_brightness(noisy: Sequence[Array], denoised: Sequence[Array]) -> Brightness | None:
    """Compare the brightness of noisy images and their results.

    Parameters
    ----------
    noisy, denoised
        As many of each, (H, W, C) on the model's scale.

    Returns
    -------
    brightness
        None where the images are too small or too even to tell.

    Examples
    --------
    >>> image = np.linspace(0, 1, 64 * 64).reshape(64, 64, 1)
    >>> found = measure_brightness([image], [0.9 * image + 0.05])
    >>> round(found.slope, 6), round(found.offset, 6)
    (0.9, 0.05)
    """
    before, after = (
        np.concatenate(
            [mean_of_squares(image.astype(np.float64), CELL).ravel() for image in images]
        )
        for images in (noisy, denoised)
    )
    if before.size < 2 or before.std() == 0:
        return None
    slope, offset = np.polyfit(before, after, 1)
    # By the sum: squares chosen by the noisy side alone would be those whose noise is negative.
    both = before + after
    dark = both <= np.quantile(both, DARK)
    return Brightness(float(slope), float(offset), float(np.mean((after - before)[dark])))
