"""The noise level that a model is given: set by the user, or estimated from the image."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quietpixel.array_types import Array, BoolArray, FloatArray
from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.errors import ArgumentError
from quietpixel.imaging.tiling import spread_runs
from quietpixel.inference.arrays import Layout
from quietpixel.inference.coarse_noise import REACH
from quietpixel.inference.coarse_noise import can_find as can_find_coarse_noise
from quietpixel.inference.options import DenoiseOptions, wrong_level
from quietpixel.inference.repair import Repair, fill_holes
from quietpixel.noise import level as automatic
from quietpixel.noise.estimate import estimate_sigma

_CHECKED = 192
"""Side in pixels of the part of a result in which noise is looked for."""
REST, REST_SHARE = 1.4 / 255, 0.5
"""Noise left in a result is mentioned from this level, and from this share of the level before. Of
22 camera JPEGs and old prints and 24 photographs with noise that became clean, two had more than
the first, 0.2 and 0.4 of the level before; where coarse noise was overlooked, 1 to 2.6 of it."""
_CELL, _CELLS = 256, 3
"""The estimate looks at no more than 3x3 squares of 256 pixels, spread over the image."""
LEAST_TYPED = 1e-4 / 255
"""Least level proposed as `sigma`: far below, as in integers of 64 bits, nobody types it."""


@dataclass(frozen=True)
class Noise:
    """What is known of the noise of an image.

    Parameters
    ----------
    sigma
        Its level on the [0, 1] scale, the mean of a map; None where it is not known.
    source
        Where the level comes from.
    kinds
        Kinds of noise that were found, one word each.
    share
        The level as a share of the distance from black to white, which is `sigma` itself only where
        the image uses the whole scale of its type; None where it is not known.
    """

    sigma: float | None = None
    source: Literal["given", "estimated", "unknown"] = "unknown"
    kinds: tuple[str, ...] = ()
    share: float | None = None


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """The level of a whole image, from which every tile reads its part.

    Parameters
    ----------
    values
        What the model is given: float32 (1, 1, N), one level for each image, or (H, W, 1).
    noise
        What is reported of it.
    share
        Which part of what the model finds is removed, in [0, 1], of such a shape too; None for
        all of it.
    camera
        How far the noise of each image is as coarse as in camera JPEGs, (N,), 0 to 1; None where
        that of none is.
    """

    values: FloatArray
    noise: Noise = Noise()
    share: FloatArray | None = None
    camera: FloatArray | None = None

    @property
    def reach(self) -> int:
        """Pixels of surroundings that are needed after the model."""
        return 0 if self.camera is None else REACH


def constant_level(sigma: float) -> NoiseLevel:
    """Return one level for a whole image."""
    return NoiseLevel(np.full((1, 1, 1), sigma, np.float32))


def blind_level(level: FloatArray, white: FloatArray | float) -> NoiseLevel:
    """Return what a blind model is given to remove no more than `level` of noise of level `white`.

    It removes all noise that there is; a lower level then keeps a share of it.
    """
    # An image without noise has level 0, and nothing may be divided by that.
    divisor = np.maximum(np.float32(white), np.finfo(np.float32).tiny)
    return replace(constant_level(UNKNOWN_SIGMA), share=np.minimum(level / divisor, 1))


def check_model(options: DenoiseOptions, card: Card, *, colours: int = 3) -> None:
    """Raise ArgumentError if a model cannot follow the options.

    Parameters
    ----------
    options
        How an image is treated.
    card
        The model's card.
    colours
        Colour channels of the image; `colour_strength` means nothing where there is one.
    """
    if not card.sigma_input and not isinstance(options.sigma, str):
        raise ArgumentError(
            f"`sigma` cannot be given because the model '{card.name}' does not take a noise "
            "level; omit it, or use a model whose card says sigma_input."
        )
    if card.takes_level:
        return
    strengths = {"strength": options.strength}
    if colours == 3 and options.colour_strength is not None:
        strengths["colour_strength"] = options.colour_strength
    for name, value in strengths.items():
        if value > 1:
            raise ArgumentError(
                f"`{name}` must be at most 1 because the model '{card.name}' does not follow a "
                f"noise level that could be raised; got {value:g}."
            )


def level_factors(strength: float, colour_strength: float | None) -> tuple[float, ...]:
    """Return by what the level is multiplied: once, or for luminance and for colour.

    Examples
    --------
    >>> level_factors(0.5, None), level_factors(1.5, 1.0), level_factors(0, 2), level_factors(0, 0)
    ((1.0,), (1.5, 1.0), (2.0,), ())
    """
    strengths = (strength, strength if colour_strength is None else colour_strength)
    # Below 1 a strength blends; only above it does the model get another level.
    return tuple(dict.fromkeys(max(float(each), 1.0) for each in strengths if each > 0))


def find_level(
    images: Array,
    layout: Layout,
    options: DenoiseOptions,
    card: Card,
    repair: Repair | None = None,
    *,
    hidden: BoolArray | None = None,
    whole: bool = True,
) -> NoiseLevel | None:
    """Return the noise level that a model is given for images of one size.

    A model whose card says `blind` finds the level by itself. A level that is set for it is
    honoured all the same: of noise measured to be stronger, no more than that level is removed.

    Parameters
    ----------
    images
        (H, W, N, channels).
    layout
        How the images hold their values.
    options
        How the images are treated.
    card
        The model's card.
    repair
        What is repaired before the model sees an image, and before its level is estimated.
    hidden
        Which values were filled, (H, W, N, channels or 1); they say nothing of the level.
    whole
        Whether these are whole images, and no parts, in which coarse noise is not looked for.

    Returns
    -------
    level
        None for a model that takes no level, and where the result is the input.

    Raises
    ------
    ArgumentError
        If the model cannot follow the options, or a map has another size than the images.
    """
    check_model(options, card, colours=layout.colours)
    sigma, kinds = options.sigma, () if repair is None else repair.kinds
    seen = whole and can_find_coarse_noise(card)
    # At strength 0 the input comes back, so nothing has to be measured.
    removes = bool(level_factors(options.strength, options.colour_strength))

    def measure() -> list[automatic.MeasuredNoise]:
        return [
            automatic.measure_level(
                sample_image(layout, images[:, :, n], repair),
                None if hidden is None else sample_hidden(hidden[:, :, n]),
            )
            for n in range(images.shape[2])
        ]

    if isinstance(sigma, str):
        if not removes or not card.sigma_input:
            return None
        # It was trained with the level unknown, because only clean targets show it.
        if card.blind:
            return constant_level(UNKNOWN_SIGMA)
        measured = measure()
        found = np.array([each.level for each in measured], np.float32).reshape(1, 1, -1)
        kinds += tuple(dict.fromkeys(kind for each in measured for kind in each.kinds))
        sigma = float(found.mean()) / layout.level_factor
        noise = Noise(sigma, "estimated", kinds, float(found.mean()))
        if layout.dtype.kind == "b":  # edges of two values pass for strong noise
            noise = Noise(kinds=repair.kinds if repair else ())
        return NoiseLevel(found, noise, camera=_find_camera(measured) if seen else None)
    given = np.asarray(sigma, np.float32)
    if given.shape not in ((), images.shape[:2]):
        shape = images.shape[:2]
        raise wrong_level(f"an array of shape {given.shape} for an image of shape {shape}")
    level = given.reshape(given.shape or (1, 1))[..., np.newaxis] * np.float32(layout.level_factor)
    noise = Noise(float(given.mean()), "given", kinds, float(level.mean()))
    if not card.blind:
        # A level says how much noise there is, not whether it is that of a camera.
        camera = _find_camera(measure()) if seen and removes else None
        return NoiseLevel(level, noise, camera=camera)
    samples = (sample_image(layout, images[:, :, n]) for n in range(images.shape[2]))
    white = np.array([estimate_sigma(sample) for sample in samples], np.float32).reshape(1, 1, -1)
    return replace(blind_level(level, white), noise=noise)


def _find_camera(measured: list[automatic.MeasuredNoise]) -> FloatArray | None:
    shares = np.array([each.camera for each in measured], np.float32)
    return shares if shares.any() else None


def estimate_level(layout: Layout, image: Array) -> float:
    """Return the noise level that suits an array (H, W, channels) best, on the [0, 1] scale."""
    seen, hidden = fill_holes(image, layout)
    filled = None if hidden is None else sample_hidden(hidden)
    return automatic.estimate_level(sample_image(layout, seen), filled)


def describe_rest(noise: Noise, layout: Layout, result: Array) -> tuple[str, ...]:
    """Return a sentence on the noise that the middle of a result (H, W, channels) still has.

    Only where the noise was estimated; it was to be removed as a whole.
    """
    if noise.source != "estimated" or not noise.sigma:
        return ()
    starts = (max(length - _CHECKED, 0) // 2 for length in result.shape[:2])
    rows, columns = (slice(start, start + _CHECKED) for start in starts)
    rest = automatic.estimate_level(layout.to_model(result[rows, columns]))
    level = rest / layout.level_factor
    if rest < REST or level < REST_SHARE * noise.sigma:
        return ()
    found, remedy = f"{rest * 255:.3g}/255 of black to white", "a higher `strength`"
    if level >= LEAST_TYPED:
        found = f"{level * 255:.3g}/255"  # of few counts in 16 bits, less than 1/255
        remedy = f"`sigma` {found} or {remedy}"
    return (
        f"Noise of about {found} may be left, coarser than the model takes; {remedy} removes more.",
    )


def sample_image(layout: Layout, pixels: Array, repair: Repair | None = None) -> FloatArray:
    """Return the parts of an array (H, W, channels) that are looked at, as a model image."""
    rows, columns = (sample_places(length) for length in pixels.shape[:2])
    sample = layout.to_model(pixels[rows][:, columns])
    if repair is None:
        return sample
    return repair.apply(sample[:, :, np.newaxis], rows, columns)[:, :, 0]


def sample_hidden(hidden: BoolArray) -> BoolArray:
    """Return which pixels of `sample_image` hold a hidden value, from (H, W, channels)."""
    rows, columns = (sample_places(length) for length in hidden.shape[:2])
    return np.any(hidden[rows][:, columns], axis=-1)


def sample_places(length: int) -> NDArray[np.intp]:
    """Return the places looked at along one side of an image."""
    return spread_runs(length, _CELL, _CELLS, align=8)  # keeps the grid of JPEG


def read_map(path: Path) -> FloatArray:
    """Return the map of noise levels that an image file holds, upright, (H, W), float32.

    Floats are levels on the [0, 1] scale; in integers white is 1, so that 25 of 255 means 25/255.

    Raises
    ------
    ArgumentError
        If it is not one page of gray.
    """
    from quietpixel.files import read_picture, turn_upright

    picture = turn_upright(read_picture(path))
    if len(picture.pages) != 1 or picture.pages[0].shape[2] != 1:
        raise ArgumentError(
            f"`sigma` must be one gray image if it is a file; '{path}' has pages: "
            f"{len(picture.pages)}, channels: {picture.pages[0].shape[2]}."
        )
    return picture.pages[0][..., 0].astype(np.float32) / np.float32(picture.maximum)
