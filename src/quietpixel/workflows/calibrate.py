"""Error bars: `calibrate` fits those of a model, `uncertainty` computes those of an image."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.array_types import Array, Image
from quietpixel.data.image_cache import Notify, to_channels
from quietpixel.data.image_folder import list_sources, notify_skipped
from quietpixel.errors import (
    ArgumentError,
    DataError,
    ModelError,
    check_number,
    check_text,
    import_optional,
)
from quietpixel.imaging.brightness import measure_brightness
from quietpixel.imaging.familiarity import describe_image, fit_familiarity
from quietpixel.imaging.intensity_scale import Range, Scale
from quietpixel.imaging.uncertainty import SHARE, draw_pixels, draw_shots, fit_pixels
from quietpixel.inference.arrays import read_layout, with_channels
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import Coverage, find_difference, measure_half_width
from quietpixel.inference.model_file import refuse_other_file, replace_card
from quietpixel.inference.model_store import bundled_models, find_model
from quietpixel.inference.options import DenoiseOptions
from quietpixel.inference.repair import fill_holes
from quietpixel.noise.laws import NoiseLaw
from quietpixel.noise.parser import image_rng, parse_noise
from quietpixel.training.progress import OnProgress, count_images

Images = str | Path | Iterable[Any]
"""A folder, or image files and arrays."""
Pair = tuple[int, Image, Image]
"""The number of the image, its noisy and its clean version."""

FOLDS, LEVELS = 4, 4
"""Parts for measuring the coverage, and levels of noise that it is reported for."""
CALIBRATION_SEED_OFFSET = 5_000_011
"""Added to the seed, so that a model is not calibrated on the noise of its training."""
SQUARES, SIDE = 640, 96
"""Number of squares that are cut from the images for a noise law, and their side in pixels."""
GRAY = 0.2
"""Share of the squares of colour that are made gray."""


def uncertainty(
    image: Array,
    denoised: Array,
    model: Denoiser | str | Path | None = None,
    *,
    range: Range | None = None,
) -> Image:
    """Return the half width of the 90 % interval of each pixel.

    Over the pixels of many images like those of the calibration, about 90 % of the true values lie
    within the half width of the denoised ones, at each level of noise too. A single pixel or image
    may deviate, and so may images of another kind.

    Parameters
    ----------
    image
        The noisy array, as a `Denoiser` takes it.
    denoised
        Its result at strength 1.
    model
        The model: a `Denoiser`, or a name or path as `Denoiser` takes it.
    range
        As for denoising.

    Returns
    -------
    half_width
        float32 of the shape of `image` without transparency, in its units.

    Warns
    -----
    UserWarning
        If the image is unlike those that the model was calibrated on.

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
    layout = denoiser.layout_for(image, DenoiseOptions(range=range))
    card = denoiser.card
    pair = with_channels(image), with_channels(denoised)
    widths = measure_half_width(card, *pair, layout)
    if difference := find_difference(card, *pair, layout):
        warnings.warn(difference, stacklevel=2)
    return widths[..., 0] if image.ndim == 2 else widths


def calibrate(
    model: str | Path,
    clean: Images | None = None,
    *,
    noisy: Images | None = None,
    second: Images | None = None,
    noise: str | None = None,
    range: Range | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    notify: Notify = warnings.warn,
    on_progress: OnProgress = lambda progress: None,
) -> Coverage:
    """Fit the error bars of a model to images that it was not trained on; return their coverage.

    The result is written into the card of the model file.

    Parameters
    ----------
    model
        A run folder, an ``.onnx`` file or a name.
    clean
        Clean images: a folder, or files and arrays (H, W) or (H, W, C). A few dozen, of the kind
        that the model will be used on. None where `second` shots take their place.
    noisy
        The same images with noise: a folder with the same names, or files and arrays in the same
        order; None adds noise.
    second
        Second shots of the `noisy` images, with independent noise of the same strength.
    noise
        The noise law as text; None takes the one that the model was trained for.
    range
        As for denoising; None finds the intensity scale of each noisy image.
    seed
        Seed of that noise.
    output
        Path of the calibrated model; None replaces the model file, except a bundled one.
    notify
        Called with a sentence on images of a folder that are skipped: those without a partner,
        those that cannot be read, and results of quietpixel.
    on_progress
        Called with a `Progress` after each image, or part of one.

    Raises
    ------
    QuietpixelError
        If the model or the images cannot be used.

    Examples
    --------
    >>> print(calibrate("runs/mine", "photos/unseen").describe())  # doctest: +SKIP
    """
    check_number("seed", seed, least=0)
    path = find_model(model)
    target = Path(output) if output is not None else path
    if output is None and path in bundled_models().values():
        raise ModelError(
            f"The model '{model}' comes with quietpixel and is not changed; `output` must be the "
            "path of a new .onnx file."
        )
    refuse_other_file(target)  # before the work
    if output is not None and target.suffix.lower() != ".onnx":
        raise ArgumentError(
            f"`output` must end in .onnx because a model is written; got '{output}'."
        )
    denoiser = Denoiser(path)
    card = denoiser.card
    if second is not None:
        if noisy is None or clean is not None or noise is not None:
            raise ArgumentError(
                "`second` must be the second shots of the scenes in `noisy`, without `clean` and "
                "`noise`, because they take the place of clean images; give `noisy` and `second`."
            )
        pairs = read_pairs(denoiser, noisy, second, range, notify, names=("noisy", "second"))
    elif clean is None:
        raise ArgumentError("`clean` must be given, or `noisy` and `second` shots of each scene.")
    elif noisy is not None:
        pairs = read_pairs(denoiser, noisy, clean, range, notify)
    elif law := noise or card.noise:
        images = list(read_images(clean, card.channels, notify))
        pairs = draw_scaled_pairs(denoiser, images, parse_noise(law), range, seed=seed)
    else:
        raise ArgumentError(
            f"`noise` must be given because the card of the model '{card.name}' has no noise law; "
            "for example 'gaussian:25/255'. Or give `noisy` images."
        )
    shots, read = second is not None, list(pairs)
    return write_calibration(denoiser, read, path, target, shots=shots, on_progress=on_progress)


def write_calibration(
    denoiser: Denoiser,
    pairs: Sequence[Pair],
    source: Path,
    target: Path,
    *,
    shots: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Coverage:
    """Calibrate a model with pairs, measure the coverage, and write both into its card.

    Parameters
    ----------
    denoiser
        The open model.
    pairs
        Noisy and clean images, or two `shots` of each scene.
    source, target
        The model file, and where the calibrated one is written.
    shots
        Whether the second image of a pair is another noisy shot.
    on_progress
        Called with a `Progress` after each pair.
    """
    import_optional("onnx", "Calibration needs the package onnx")  # now, and not at the end
    if not pairs:
        raise DataError("A calibration needs at least one image; got none. Give images.")
    numbers, drawn, descriptions, results = [number for number, *_ in pairs], [], [], []
    count = count_images("Calibrating", on_progress)
    for place, (_, noisy, other) in enumerate(pairs):
        count(place, len(pairs))
        # Pairs are on the model's scale already; an estimate for each square would differ.
        denoised = denoiser(noisy, range=(0.0, 1.0))
        results.append(denoised)
        descriptions.append(describe_image(noisy, denoised))
        # A seed of its own for each part: what is drawn does not depend on the parts before.
        if shots:
            both = (denoised, denoiser(other, range=(0.0, 1.0)))
            drawn.append(draw_shots((noisy, other), both, seed=place))
        else:
            drawn.append(draw_pixels(noisy, denoised, other, seed=place))
    # Measured, because pairs come without a law and clipping weakens that of others.
    noises = [float(np.sqrt(np.mean((noisy - clean) ** 2))) for _, noisy, clean in pairs]
    if shots:
        coverage = Coverage(SHARE, None, (), len(pairs), shots=True)
    else:
        coverage = measure_coverage(numbers, noises, drawn)
    brightness = measure_brightness([noisy for _, noisy, _ in pairs], results)
    coverage = replace(coverage, brightness=brightness)
    values = fit_pixels(drawn, shots=shots).to_dict() | {
        "coverage": coverage.measured,
        "coverage_by_level": [list(pair) for pair in coverage.by_level],
        "images": coverage.images,
        "shots": shots,
    }
    if brightness is not None:
        values["brightness"] = asdict(brightness)
    if familiarity := fit_familiarity(descriptions, numbers):
        values["familiarity"] = familiarity.to_dict()
    replace_card(source, target, replace(denoiser.card, uncertainty=values))
    return coverage


def measure_coverage(
    numbers: Sequence[int], noises: Sequence[float], drawn: Sequence[Image]
) -> Coverage:
    """Return the share of pixels inside their intervals, by cross-validation over the images.

    Parameters
    ----------
    numbers
        The image that each part was cut from.
    noises
        Standard deviation of the noise of each part.
    drawn
        Result of `draw_pixels` for each part.
    """
    images = sorted(set(numbers))
    if len(images) < 2 * FOLDS:
        return Coverage(SHARE, None, (), len(images))
    # By images, not by parts: parts of one image are too alike to test each other.
    fold = {image: place % FOLDS for place, image in enumerate(images)}
    rows = []
    for tested in range(FOLDS):
        inside = [fold[number] == tested for number in numbers]
        calibration = fit_pixels(list(compress(drawn, (not each for each in inside))))
        for noise, (error, *place) in compress(zip(noises, drawn, strict=True), inside):
            held = error <= calibration.width_at(*place)
            rows.append((noise, float(held.mean()), held.size))
    # By the noise, which is the first entry.
    rows.sort()
    parts = np.array_split(np.array(rows), LEVELS)
    levels = tuple((round(float(part[:, 0].mean()), 4), _share(part)) for part in parts)
    return Coverage(SHARE, _share(np.array(rows)), levels, len(images))


def _share(rows: Array) -> float:
    return round(float(np.average(rows[:, 1], weights=rows[:, 2])), 4)


def draw_pairs(
    images: Sequence[Image], law: NoiseLaw, size: tuple[int, int] | None = None, *, seed: int
) -> Iterator[Pair]:
    """Yield squares of images with noise; several of each image if there are few.

    Parameters
    ----------
    images
        Clean, float32 (H, W, C) in [0, 1].
    law
        The noise.
    size
        The only (height, width) that the model takes, if it has one; images are not cut then.
    seed
        Seed of squares and noise. Some squares of colour are made gray, since a model for colour
        denoises gray images too.
    """
    for turn in range(max(SQUARES // max(len(images), 1), 1)):
        for number, clean in enumerate(images):
            rng = image_rng(seed + CALIBRATION_SEED_OFFSET, turn, number)
            square = clean
            # A model of one size gets whole images.
            if not size:
                height, width = (min(side, SIDE) for side in clean.shape[:2])
                top = int(rng.integers(clean.shape[0] - height + 1))
                left = int(rng.integers(clean.shape[1] - width + 1))
                square = clean[top : top + height, left : left + width]
            if square.shape[2] == 3 and rng.random() < GRAY:
                square = square.mean(axis=2, keepdims=True)
            yield number, law(square, rng), square


def draw_scaled_pairs(
    denoiser: Denoiser,
    images: Sequence["LoadedImage"],
    law: NoiseLaw,
    range: Range | None,
    *,
    seed: int,
) -> Iterator[Pair]:
    """Yield what `draw_pairs` does, on the intensity scale that the noisy images would have.

    Parameters
    ----------
    denoiser
        Finds the scale.
    images
        Clean; the law is that of noise on their nominal scale.
    law, range, seed
        As for `calibrate`.
    """
    # The noise of gray images is one in all channels that a model for RGB is given.
    images = [
        replace(each, pixels=each.pixels[..., :1]) if read_layout(each.pixels).neutral else each
        for each in images
    ]
    layouts = [read_layout(each.pixels, range or each.declared) for each in images]
    clean = [layout.to_model(each.pixels) for layout, each in zip(layouts, images, strict=True)]
    noisy = []
    for number, (layout, each) in enumerate(zip(layouts, images, strict=True)):
        low, high = layout.range
        values = law(clean[number], image_rng(seed + CALIBRATION_SEED_OFFSET, SQUARES, number))
        noisy.append(replace(each, pixels=layout.to_type(values * (high - low) + low)))
    scales = find_scales(denoiser, noisy, range)
    for number, *pair in draw_pairs(clean, law, denoiser.card.size, seed=seed):
        (low, high), scale = layouts[number].range, scales[images[number].stack]
        width = scale.white - scale.black or high - low
        offset, gain = np.float32((low - scale.black) / width), np.float32((high - low) / width)
        yield number, pair[0] * gain + offset, pair[1] * gain + offset


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image of a calibration.

    Parameters
    ----------
    name
        Of the file, or the number of the array.
    pixels
        (H, W, C) in the model's channels and the type of the image.
    declared
        Black and white as the file declares them; None where the content decides.
    profile
        Whether a colour profile defines the values.
    stack
        The numbers of the image and of its channel, whose pages share an intensity scale.
    """

    name: str
    pixels: Array
    declared: Range | None = None
    profile: bool = False
    stack: tuple[int, int] = (0, 0)


def read_pairs(
    denoiser: Denoiser,
    noisy: Images,
    other: Images,
    range: Range | None,
    notify: Notify,
    *,
    names: tuple[str, str] = ("noisy", "clean"),
) -> Iterator[Pair]:
    """Yield both sides of each pair on the intensity scale of the noisy one.

    Folders are matched by name, everything else, such as the pages of two stacks, by order.
    """
    channels = denoiser.card.channels
    first, second = (list(read_images(each, channels, notify)) for each in (noisy, other))
    counts = f"{len(first)} and {len(second)}"
    if all(isinstance(each, str | Path) and Path(each).is_dir() for each in (noisy, other)):
        # Either folder may hold images that the other lacks.
        named = [{each.name: each for each in side} for side in (first, second)]
        for name, own, others in zip(names, named, named[::-1], strict=True):
            notify_skipped(f"images of `{name}` without a partner", own.keys() - others, notify)
        first = [each for each in first if each.name in named[1]]
        second = [named[1][each.name] for each in first]
    if len(first) != len(second) or not first:
        raise DataError(
            f"`{names[0]}` and `{names[1]}` must hold the same images, by name or in the same "
            f"order; got {counts}. Give both sides of each pair."
        )
    # Of the noisy side, because only that one is known when the error bars are used.
    scales = find_scales(denoiser, first, range)
    for number, pair in enumerate(zip(first, second, strict=True)):
        one, two = (each.pixels for each in pair)
        if one.shape != two.shape:
            raise DataError(
                f"Both sides of the pair '{pair[0].name}' must have one size; got "
                f"{one.shape[:2]} and {two.shape[:2]}. Remove the pair, or crop both the same way."
            )
        if np.array_equal(one, two):
            raise DataError(
                f"Both sides of the pair '{pair[0].name}' have the same values; give two shots of "
                "the scene, or a noisy and a clean image."
            )
        scale = scales[pair[0].stack]
        if scale.black == scale.white or np.nanmin(one) == np.nanmax(one):
            raise DataError(f"'{pair[0].name}' has the same value everywhere; remove it.")
        layouts = [read_layout(each, scale.range, holes=True) for each in (one, two)]
        sides = [
            layout.to_model(fill_holes(each, layout)[0])
            for each, layout in zip((one, two), layouts, strict=True)
        ]
        yield number, sides[0], sides[1]


def find_scales(
    denoiser: Denoiser, images: Sequence[LoadedImage], range: Range | None
) -> dict[tuple[int, int], Scale]:
    """Return the intensity scale of each stack, which all of its pages share."""
    stacks: dict[tuple[int, int], list[LoadedImage]] = {}
    for each in images:
        stacks.setdefault(each.stack, []).append(each)
    return {
        stack: denoiser.find_scale(
            [page.pixels for page in pages],
            DenoiseOptions(range=range or pages[0].declared),
            profile=pages[0].profile,
        )
        for stack, pages in stacks.items()
    }


def read_images(images: Images, channels: int, notify: Notify) -> Iterator[LoadedImage]:
    """Yield the images of a folder, or of files and arrays, all pages of stacks included."""
    from quietpixel.files import read_picture, turn_upright
    from quietpixel.files.zarr_store import is_store, read_store

    if isinstance(images, str | Path):
        path = Path(images)
        whole = path.is_file() or is_store(path)
        images = [path] if whole else list_sources(path, notify, recursive=False)
    elif not isinstance(images, Iterable):
        raise ArgumentError(
            f"Images must be a folder, or a list of files and arrays; got {images!r}."
        )
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray):
            pixels = to_channels(with_channels(image), channels)
            yield LoadedImage(f"number {number}", pixels, stack=(number, 0))
            continue
        path = Path(check_text("image", image, "a file or an array"))
        picture = read_store(path) if is_store(path) else turn_upright(read_picture(path))
        profile = picture.metadata.icc is not None
        for place, page in enumerate(picture.pages):
            name = path.stem + (f" page {place + 1}" if place else "")
            pixels = to_channels(page[..., : 3 if page.shape[2] > 2 else 1], channels)
            stack = number, picture.channels[place] if picture.channels else 0
            yield LoadedImage(name, pixels, picture.declared_range, profile, stack)
