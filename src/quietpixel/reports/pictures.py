"""Pictures of images: mosaics of small ones, the worst ones, and crops that move together."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quietpixel.array_types import Array, Image, Images
from quietpixel.evaluation.evaluator import Method
from quietpixel.evaluation.image_pairs import ImagePairs, describe_noise
from quietpixel.imaging.metrics import mean_squared_error
from quietpixel.noise.laws import NoiseLaw
from quietpixel.reports.charts import error_by_digit
from quietpixel.reports.figures import Block, draw_mosaic, find_square
from quietpixel.reports.page import Picture, escape

ROWS = ("original", "noisy", "reconstructed")
"""Names of the rows of `extremes`."""
SCRIPT = (Path(__file__).parent / "crops.js").read_text()
"""Moves the crops of one image together."""

DETAIL_SIDE = 112
"""Height and width in pixels of the area that is shown in the mosaic, one to one."""
NAME_LENGTH = 16
"""Letters of a name that fit above it."""
CROP_SIDE = 384
"""Most of an image, in pixels, that the crops hold: the page carries all of them."""
PANE = 192
"""Least width of a crop on the page; a smaller image is enlarged by a whole number."""
ERROR_GAIN = 4
"""Factor by which errors are enlarged around middle gray."""


def show_images(
    clean: Images,
    noisy: Images,
    denoised: Images,
    *,
    labels: Array | None,
    methods: Sequence[Method] = (),
) -> list[Picture]:
    """Return samples, the best and worst images, and the error by label, with their captions.

    Parameters
    ----------
    clean, noisy, denoised
        (N, H, W, C); `denoised` is clipped to [0, 1].
    labels
        Integers (N,), if there are any.
    methods
        Those whose results the samples show, instead of `denoised`.
    """
    # As a file would hold it; values outside could not be seen.
    denoised = np.clip(denoised, 0, 1)
    errors = [mean_squared_error(a, b) for a, b in zip(clean, denoised, strict=True)]
    first = np.arange(len(clean))[:10] if labels is None else first_of_each(labels)
    # Labels follow the images that were chosen, not the whole set.
    names = None if labels is None else labels[first]
    results = {each.name: each.run(noisy[first]) for each in methods if each.run}
    rows = {
        "original": clean[first], "noisy": noisy[first],
        **(results or {"reconstructed": denoised[first]}),
    }  # fmt: skip
    shown = [
        (
            "Samples",
            "The first images, one of each label; not chosen by hand.",
            samples(rows, names),
        ),
        (
            "Best and worst",
            f"Of {len(clean):,} images, those with the least and the most error left.",
            extremes(clean, noisy, denoised, errors),
        ),
    ]
    if labels is not None:
        by_label = error_by_digit(errors, labels)
        shown.append(("Error by label", "Mean squared error, with 95 % intervals.", by_label))
    return shown


def first_of_each(labels: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of the first image of each label (N,), of at most ten, in their order.

    Examples
    --------
    >>> first_of_each([2, 0, 1, 0, 2]).tolist()
    [1, 2, 0]
    """
    return np.unique(np.asarray(labels), return_index=True)[1][:10].astype(np.int64)


def samples(rows: Mapping[str, Images], labels: ArrayLike | None = None) -> bytes:
    """Return a named row of images for each state, such as original, noisy and reconstructed.

    Parameters
    ----------
    rows
        (N, H, W, C), shown from 0 to 1; the first ten are shown.
    labels
        Integers (N,), written above the columns.
    """
    names = [] if labels is None else [str(label) for label in np.asarray(labels)[:10]]
    shown = np.stack([images[:10] for images in rows.values()])
    return draw_mosaic(Block(shown, [*rows], names))


def extremes(clean: Images, noisy: Images, denoised: Images, errors: ArrayLike) -> bytes:
    """Return the images with the least and the most error left, the error above each.

    Parameters
    ----------
    clean, noisy, denoised
        (N, H, W, C) in [0, 1].
    errors
        Mean squared error of each image, (N,).
    """
    values, images = np.asarray(errors, np.float64), np.stack([clean, noisy, denoised])
    # Stable, so that equal images come in the same order everywhere.
    order = np.argsort(values, kind="stable")
    blocks = [
        Block(images[:, chosen], ROWS, [f"{values[index]:.4f}" for index in chosen], heading)
        for heading, chosen in (("Least error", order[:10]), ("Most error", order[::-1][:10]))
    ]
    return draw_mosaic(*blocks)


def draw_worst(
    methods: Sequence[Method],
    pairs: ImagePairs,
    law: NoiseLaw | None,
    *,
    seed: int,
    numbers: Sequence[int],
) -> bytes:
    """Return a detail of some images as a PNG: clean, noisy, and the output of each method.

    The detail is the area in which the first method is farthest from the clean image, so it is not
    chosen by hand.

    Parameters
    ----------
    methods
        The methods.
    pairs, law, seed
        As for the evaluation.
    numbers
        Indices of images, such as `quietpixel.evaluation.evaluator.Table.worst`.
    """
    columns = []
    for number in numbers:
        states, place = _denoise(methods, *pairs.pair(number, law, seed), DETAIL_SIDE)
        columns.append({name: image[place] for name, image in states.items()})
    # A mosaic has one size of cells; the images may have several.
    side = min(image.shape[0] for column in columns for image in column.values())
    names = list(columns[0])
    rows = [np.stack([column[name][:side, :side] for column in columns]) for name in names]
    labels = [pairs.name(number) for number in numbers]
    short = [n if len(n) <= NAME_LENGTH else f"{n[: NAME_LENGTH - 1]}…" for n in labels]
    return draw_mosaic(Block(np.stack(rows), names, short))


def build_crops(
    methods: Sequence[Method],
    pairs: ImagePairs,
    law: NoiseLaw | None,
    *,
    seed: int,
    psnr: Sequence[float],
) -> str:
    """Return a section of a page as HTML, for `SCRIPT` to move: two images under each method.

    Parameters
    ----------
    methods, pairs, law, seed
        As for `draw_worst`.
    psnr
        PSNR of each image with the first method; the images with the lowest and with the median
        PSNR are shown.
    """
    order = np.argsort(psnr, kind="stable").tolist()
    groups = ""
    # Of one image, which is both, only once.
    shown = {order[0]: "worst: ", order[len(order) // 2]: "middle: "}
    for index, reason in shown.items():
        states, part = _denoise(methods, *pairs.pair(index, law, seed), CROP_SIDE)
        groups += _build_group(
            (reason if len(order) > 1 else "") + pairs.name(index),
            {name: image[part] for name, image in states.items()},
            "noisy" if methods[0].run is None else methods[0].name,
        )
    noise = describe_noise("" if law is None else str(law))
    text = (
        "Drag one and all follow; the arrow keys move them too. Below each is its error: output "
        f"minus clean image, {ERROR_GAIN} times, gray where they are equal."
    )
    if len(order) > 1:
        text += f" The images are those on which {methods[0].name} is worst, and in the middle."
    title = escape(f"At full size, {noise}")
    return f"<section><h2>{title}</h2><p>{escape(text)}</p>{groups}</section>"


def _denoise(
    methods: Sequence[Method], clean: Image, noisy: Image, side: int
) -> tuple[dict[str, Image], tuple[slice, slice]]:
    """Return an image in all states by name, and the area where the first method is worst."""
    states = {"clean": clean, "noisy": np.clip(noisy, 0, 1)}
    for each in methods:
        if each.run is not None:
            states[each.name] = np.clip(each.run(noisy[None])[0], 0, 1)
    first = states["noisy" if methods[0].run is None else methods[0].name]
    return states, find_worst_place(clean, first, side)


def _build_group(title: str, states: dict[str, Image], first: str) -> str:
    """Return the crops of one image, centred where the first method is worst within them."""
    clean = states["clean"]
    # By a whole number, so that each pixel stays a sharp square.
    scale = max(1, PANE // max(clean.shape[:2]))
    cells = ""
    for name, image in states.items():
        panes = _pane(name, image, scale)
        if image is not clean:
            error = np.clip(0.5 + ERROR_GAIN * (image - clean), 0, 1)
            panes += _pane(f"{name}: error", error, scale)
        cells += f"<figure>{panes}<figcaption>{escape(name)}</figcaption></figure>"
    # The crops start there, not at their corner, so that the error is in view at once.
    rows, columns = find_worst_place(clean, states[first], DETAIL_SIDE)
    x, y = (scale * ((place.start + place.stop) // 2) for place in (columns, rows))
    return f'<h3>{escape(title)}</h3><div class="panes" data-at="{x},{y}">{cells}</div>'


def _pane(name: str, image: Image, scale: int) -> str:
    # Slow to import, and reports without photographs do not need it.
    from matplotlib.image import imsave

    pixels = np.rint(255 * np.asarray(image, np.float64)).astype(np.uint8)
    file = io.BytesIO()
    # As RGB, because imsave maps a single channel to colours.
    imsave(file, np.repeat(pixels, 3 // pixels.shape[-1], axis=-1), format="png")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    height, width = image.shape[:2]
    label, size = escape(name), f"width:{width * scale}px;height:{height * scale}px"
    return (
        f'<div class="pane" tabindex="0" role="group" aria-label="{label}">'
        f'<img alt="{label}" draggable="false" style="{size}" src="data:image/png;base64,{data}">'
        "</div>"
    )


def find_worst_place(clean: Image, image: Image, side: int) -> tuple[slice, slice]:
    """Return the square, at most `side` pixels high and wide, with the most squared error.

    Examples
    --------
    >>> image = np.zeros((40, 60, 1))
    >>> image[31:39, 51:59] = 1
    >>> find_worst_place(np.zeros_like(image), image, side=20)
    (slice(20, 40, None), slice(40, 60, None))
    """
    return find_square(np.square(np.asarray(image, np.float64) - clean).sum(axis=-1), side)
