"""Repairs before the model: hidden values are filled, impulses and stripes removed.

Hidden values are those that the model must not see and that come back unchanged.
"""

from dataclasses import dataclass, replace

import numpy as np

from quietpixel.array_types import Array, BoolArray, FloatArray
from quietpixel.imaging.defects import (
    HALO,
    SCREEN_SIDE,
    fill_hidden,
    has_screen,
    outlier_distance,
    repair_outliers,
    stripe_offsets,
)
from quietpixel.imaging.intensity_scale import tail_share
from quietpixel.imaging.tiling import Tile, spread_runs
from quietpixel.inference.arrays import Layout

SIDE, PARTS = 128, 2
"""Impulses are looked for in 2 x 2 squares of 128 pixels, in one channel; it takes milliseconds."""
LINES = 256
"""Largest number of crossing lines in which stripes are measured."""

LOWEST, HIGHEST = -4.0, 5.0
"""On the model's scale: values beyond are hidden, because the model smears them over its halo."""
BELOW, ABOVE = -1.0, 2.0
"""Rare values beyond these are hidden too, such as hot pixels and stars: a pixel of 4 times white
spoils 40 pixels around it. Where they are not rare, they are content."""


def find_hidden(images: Array, layout: Layout) -> BoolArray | None:
    """Return which values are hidden: transparent, masked, not finite, or far beyond the scale.

    Parameters
    ----------
    images
        (H, W, channels) or (H, W, N, channels), which may be a masked array.
    layout
        How they represent their values.

    Returns
    -------
    hidden
        (..., colours) or (..., 1); None if there is none.
    """
    values = np.asarray(images)
    # As large as the image only where something is hidden.
    hidden = np.zeros((1,) * values.ndim, bool)
    if layout.alpha:
        hidden = values[..., -1:] == 0
    if np.ma.isMaskedArray(images):
        hidden = hidden | np.ma.getmaskarray(images)[..., : layout.colours]
    if not layout.bounded:
        (low, high), colours = layout.range, values[..., : layout.colours]

        def beyond(below: float, above: float) -> BoolArray:
            least, most = (low + each * (high - low) for each in (below, above))
            # NaN is neither above nor below, so what lies inside is asked for.
            with np.errstate(over="ignore"):  # beyond float16 all is infinite
                return np.asarray(~((colours >= least) & (colours <= most)))

        outside = beyond(BELOW, ABOVE)
        if outside.any():
            # A NaN border says nothing of how rare hot pixels are.
            known = int(np.isfinite(colours).sum())
            far_out = np.count_nonzero(outside) - (outside.size - known)
            rare = far_out <= tail_share(known) * known
            hidden = hidden | (outside if rare else beyond(LOWEST, HIGHEST))
    return hidden if hidden.any() else None


def fill_holes(images: Array, layout: Layout) -> tuple[Array, BoolArray | None]:
    """Return images with hidden values filled, and which those are.

    Parameters
    ----------
    images, layout
        As for `find_hidden`.

    Returns
    -------
    filled
        The images as they are if nothing is hidden, otherwise their colours, (..., colours).
    hidden
        As `find_hidden` returns it.
    """
    values, hidden = np.asarray(images), find_hidden(images, layout)
    if hidden is None:
        return values, None
    colours = values[..., : layout.colours]
    if values.ndim == 3:
        return fill_hidden(colours, ~hidden), hidden
    parts = [fill_hidden(colours[:, :, n], ~hidden[:, :, n]) for n in range(values.shape[2])]
    # A single one without a copy.
    return parts[0][:, :, np.newaxis] if len(parts) == 1 else np.stack(parts, axis=2), hidden


@dataclass(frozen=True, eq=False)
class Repair:
    """A repair of one image, decided for the whole of it.

    Parameters
    ----------
    shape
        Height and width of the image.
    distance
        How far impulses lie from their neighbours at least; None if there are none.
    rows, columns
        What each row (H, C) and column (W, C) has too much; None without stripes.
    screen
        Whether it shows the dots of a halftone print, which are reported and stay.
    """

    shape: tuple[int, int]
    distance: float | None = None
    rows: FloatArray | None = None
    columns: FloatArray | None = None
    screen: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of defects that were found."""
        striped = self.rows is not None or self.columns is not None
        found = {"stripes": striped, "impulses": self.distance is not None, "halftone": self.screen}
        return tuple(kind for kind, is_there in found.items() if is_there)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is repaired, and on what stays."""
        sentences = {
            "stripes": "Stripes were removed before denoising.",
            "impulses": "Single outlying pixels were repaired before denoising.",
            "halftone": "The dots of a halftone print are kept; to merge them, reduce the image.",
        }
        return tuple(sentences[kind] for kind in self.kinds)

    @property
    def halo(self) -> int:
        """Pixels of surroundings that decide one pixel."""
        return 0 if self.distance is None else HALO

    def __call__(self, pixels: FloatArray, tile: Tile) -> FloatArray:
        """Return what a tile of the image reads, (h, w, N, C), repaired."""
        return self.apply(pixels, *tile.places(self.shape))

    def apply(self, pixels: FloatArray, rows: Array, columns: Array) -> FloatArray:
        """Return pixels (h, w, N, C) that lie in these rows and columns of the image, repaired."""
        if self.rows is not None:
            pixels = pixels - self.rows[rows][:, np.newaxis, np.newaxis]
        if self.columns is not None:
            pixels = pixels - self.columns[columns][np.newaxis, :, np.newaxis]
        if self.distance is None:
            return pixels
        images = np.moveaxis(pixels, 2, 0)
        return np.stack([repair_outliers(each, self.distance) for each in images], axis=2)


def find_repair(image: Array, layout: Layout) -> Repair | None:
    """Return the repair that an image (H, W, channels) needs, or None.

    Impulses and stripes are taken out before the model, which knows neither: of photographs with
    2 % salt and pepper, the repair alone raised the PSNR from 22 to 34 dB, of those with row noise
    of 8/255 from 30.2 to 38.2 dB. Of 187 clean photographs none was taken as striped.
    """
    # Green, or the only channel of gray, shows whether there are any.
    channel, one = layout.colours // 2, replace(layout, colours=1)
    plane = image[..., channel : channel + 1]
    distance = outlier_distance(one.to_model(_take_squares(plane, SIDE, PARTS)))

    def find_stripes(image: Array, plane: Array) -> FloatArray | None:
        columns = spread_runs(image.shape[1], LINES // 4, 4)
        if stripe_offsets(one.to_model(plane[:, columns])) is None:
            return None
        return stripe_offsets(layout.to_model(image[:, columns]))

    rows = find_stripes(image, plane)
    columns = find_stripes(image.swapaxes(0, 1), plane.swapaxes(0, 1))
    colours = layout.to_model(_take_squares(image, SCREEN_SIDE, 3))
    screen = has_screen(colours @ np.full(layout.colours, 1 / layout.colours, np.float32))
    if distance is None and rows is None and columns is None and not screen:
        return None
    return Repair((image.shape[0], image.shape[1]), distance, rows, columns, screen)


def _take_squares(image: Array, side: int, count: int) -> Array:
    rows, columns = (spread_runs(length, side, count) for length in image.shape[:2])
    return image.take(rows, axis=0).take(columns, axis=1)
