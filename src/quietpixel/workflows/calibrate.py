"""The words for error bars: `uncertainty` tells them, `calibrate` makes a model able to."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.errors import ArgumentError, DataError, MissingDependencyError, ModelError
from quietpixel.imaging.uncertainty import SHARE, draw_pixels, fit_pixels
from quietpixel.inference.arrays import Range, read_layout
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import Coverage, measure_half_width
from quietpixel.inference.model_store import bundled_models, find_model
from quietpixel.noise.parser import parse_noise
from quietpixel.workflows.calibration_images import (
    Images,
    Pair,
    draw_pairs,
    read_images,
    read_pairs,
)

Array = NDArray[Any]
Image = NDArray[np.float32]

FOLDS, LEVELS = 4, 4
"""Parts for measuring the coverage, and levels of noise that it is told for."""


def uncertainty(
    image: Array,
    denoised: Array,
    model: Denoiser | str | Path | None = None,
    *,
    range: Range | None = None,
) -> Image:
    """Return for each pixel how far the truth may lie: the half width of its 90 % interval.

    Over the pixels of many images like those that the model was calibrated on, about 90 % of the
    true values lie within the half width of the denoised one, also at each level of noise apart.
    For one pixel or one image this is no promise, and not for images of another kind.

    Parameters
    ----------
    image
        The noisy array as a `Denoiser` takes it.
    denoised
        What became of it, at strength 1.
    model
        The model that did it: a `Denoiser`, or as `Denoiser` takes it.
    range
        As for denoising.

    Returns
    -------
    half_width
        float32 of the shape of `image` without transparency, on a scale on which black is 0 and
        white is 1.

    Raises
    ------
    ModelError
        If the model was not calibrated.
    ImageError
        If an array cannot be used.

    Examples
    --------
    >>> denoiser = Denoiser("runs/mine")  # doctest: +SKIP
    >>> half_width = uncertainty(noisy, denoiser(noisy), denoiser)  # doctest: +SKIP
    """
    denoiser = model if isinstance(model, Denoiser) else Denoiser(model)
    layout = read_layout(image, range)
    card = denoiser.card_for(layout.model_colours)
    flat = image.ndim == 2
    stacks = (image[..., np.newaxis], denoised[..., np.newaxis]) if flat else (image, denoised)
    widths = measure_half_width(card, *stacks, layout)
    return widths[..., 0] if flat else widths


def calibrate(
    model: str | Path,
    clean: Images,
    *,
    noisy: Images | None = None,
    noise: str | None = None,
    seed: int = 0,
    output: str | Path | None = None,
) -> Coverage:
    """Let a model tell error bars, by images that it was not trained on; return how well it does.

    What was found is written into the card of the model file.

    Parameters
    ----------
    model
        A run folder, an ``.onnx`` file or a name.
    clean
        Clean images: a folder, or files and arrays (H, W) or (H, W, C). A few dozen, of the kind
        that the model will be used on.
    noisy
        The same images, noisy: a folder with the same names, or files and arrays in the same
        order; None adds noise.
    noise
        The noise law as text; None takes the one that the model was trained for.
    seed
        Decides that noise.
    output
        Where the calibrated model is written; None replaces the model file, which a bundled one
        refuses.

    Raises
    ------
    QuietpixelError
        If the model or the images cannot be used.

    Examples
    --------
    >>> print(calibrate("runs/mine", "photos/kept-apart").describe())  # doctest: +SKIP
    """
    path = find_model(model)
    target = Path(output) if output is not None else path
    if output is None and path in bundled_models().values():
        raise ModelError(
            f"The model '{model}' comes with quietpixel and is not changed; give `output`, the "
            "path of an .onnx file to write."
        )
    denoiser = Denoiser(path)
    if noisy is not None:
        pairs = list(read_pairs(noisy, clean, denoiser.card.channels))
        return write_calibration(denoiser, pairs, path, target)
    law = noise or denoiser.card.noise
    if not law:
        raise ArgumentError(
            f"`noise` must say the noise law because the card of the model '{denoiser.card.name}' "
            "does not; give it, such as 'gaussian:25/255', or `noisy` images."
        )
    images = [image for _, image in read_images(clean, denoiser.card.channels)]
    pairs = list(draw_pairs(images, parse_noise(law), denoiser.card.size, seed=seed))
    return write_calibration(denoiser, pairs, path, target)


def write_calibration(
    denoiser: Denoiser, pairs: Sequence[Pair], source: Path, target: Path
) -> Coverage:
    """Calibrate a model by pairs, measure the coverage, and write both into its card."""
    try:
        from quietpixel.models.export import replace_card
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Calibrating needs {error.name}, which is not installed; install it with: "
            "pip install 'quietpixel[train]'."
        ) from error
    if not pairs:
        raise DataError("There is no image to calibrate by; give at least one.")
    numbers = [number for number, *_ in pairs]
    drawn = [
        draw_pixels(noisy, denoiser(noisy, range=(0.0, 1.0)), clean, seed=place)
        for place, (_, noisy, clean) in enumerate(pairs)
    ]
    noises = [float(np.sqrt(np.mean((noisy - clean) ** 2))) for _, noisy, clean in pairs]
    coverage = measure_coverage(numbers, noises, drawn)
    told = {
        "coverage": coverage.measured,
        "coverage_by_level": [list(pair) for pair in coverage.by_level],
        "images": coverage.images,
    }
    values = fit_pixels(drawn).to_dict() | told
    replace_card(source, target, replace(denoiser.card, uncertainty=values))
    return coverage


def measure_coverage(
    numbers: Sequence[int], noises: Sequence[float], drawn: Sequence[Image]
) -> Coverage:
    """Return how many pixels lie inside, each image judged by a calibration without it.

    Parameters
    ----------
    numbers
        Which image each part is of.
    noises
        The standard deviation of the noise of each.
    drawn
        What `draw_pixels` gave for each.
    """
    images = sorted(set(numbers))
    if len(images) < 2 * FOLDS:
        return Coverage(SHARE, None, (), len(images))
    fold = {image: place % FOLDS for place, image in enumerate(images)}
    rows = []
    for left_out in range(FOLDS):
        inside = [fold[number] == left_out for number in numbers]
        kept = [part for part, out in zip(drawn, inside, strict=True) if not out]
        calibration = fit_pixels(kept)
        for noise, (error, *place) in compress(zip(noises, drawn, strict=True), inside):
            held = error <= calibration.width_at(*place)
            rows.append((noise, float(held.mean()), held.size))
    rows.sort()
    parts = np.array_split(np.array(rows), LEVELS)
    levels = tuple((round(float(part[:, 0].mean()), 4), _share(part)) for part in parts)
    return Coverage(SHARE, _share(np.array(rows)), levels, len(images))


def _share(rows: Array) -> float:
    return round(float(np.average(rows[:, 1], weights=rows[:, 2])), 4)
