"""Whole images in the report of a folder run, and its quality as far as it is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from quietpixel.array_types import Image
from quietpixel.data.image_cache import StoredImage
from quietpixel.imaging.metrics import psnr, psnr_of_error
from quietpixel.imaging.residual import LAGS, Residual, estimate_error, examine
from quietpixel.imaging.tiling import mean_of_squares
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.laws import Gaussian, NoiseLaw, Poisson
from quietpixel.noise.laws import Sequence as LawSequence
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng, parse_noise
from quietpixel.reports.figures import (
    BLUE,
    MUTED,
    RULE,
    find_square,
    new_figure,
    place_image,
    quiet,
    to_png,
    write_text,
)
from quietpixel.reports.page import Picture
from quietpixel.training.folder_data import Folder
from quietpixel.training.recipe import Recipe
from quietpixel.training.training_data import VALIDATION_SEED_OFFSET

SHOWN = 3
"""Number of validation images that are shown whole: the first ones, not chosen by hand."""
LARGEST = 2048
"""Largest height and width in pixels that are denoised for the report."""
WHOLE = 640
"""Largest height and width of a whole image in a picture, in pixels."""
DETAIL, ENLARGED = 240, 2
"""Side of a detail in pixels, and its magnification."""
GAP, MARGIN, HEAD, LABEL = 10, 24, 48, 18
"""Pixels between images, around all, and for the name above each."""
SCENE_CAPTION = (
    "A validation image; below it the detail with the strongest contrasts, each pixel as 2 x 2. "
    "The residual is gray where nothing was removed; lines in it are lost detail."
)


@dataclass(frozen=True)
class Scene:
    """A validation image, noisy and denoised, with its clean version or another shot, if any."""

    name: str
    noisy: Image
    denoised: Image
    clean: Image | None = None
    other: Image | None = None


def denoise_scenes(recipe: Recipe, folder: Folder, denoiser: Denoiser) -> list[Scene]:
    """Return the first validation images of a folder, denoised."""
    scenes: list[Scene] = []
    for index in range(len(folder.validation)):
        images = folder.validation.open(index)
        if images is None:  # the file cannot be read, which training has reported
            continue
        first, *rest = [
            image.part(0, 0, *(min(side, LARGEST) for side in image.size)) for image in images
        ]
        states: dict[str, Image] = {}
        if recipe.method == "pairs":
            states["other" if recipe.target == "noisy" else "clean"] = rest[0]
        elif not recipe.method:
            # The noise that training validated with.
            rng = image_rng(recipe.seed + VALIDATION_SEED_OFFSET, FROZEN_EPOCH, index)
            states["clean"], first = first, parse_noise(recipe.noise)(first, rng)
        name = folder.validation.scenes[index][0].name
        if recipe.measured:  # on a scale and with a noise level of its own, as a file
            stored, (height, width) = images[0], first.shape[:2]
            result = np.asarray(denoiser(stored.page(0)[:height, :width]))
            denoised = StoredImage(result, stored.low, stored.high).whole()
        else:
            denoised = denoiser(first, range=(0.0, 1.0))
        scenes.append(Scene(name, first, denoised, **states))
        if len(scenes) == SHOWN:
            break
    return scenes


def show_scenes(scenes: list[Scene]) -> list[Picture]:
    """Return a picture of each scene, and one of the residual of the first."""
    shown = []
    for scene in scenes:
        states = {
            "noisy": scene.noisy,
            "denoised": scene.denoised,
            "clean": scene.clean,
            "the other noisy shot": scene.other,
            "residual": show_residual(scene.noisy, scene.denoised),
        }
        known = [(name, image) for name, image in states.items() if image is not None]
        drawn = draw_scene(known)
        shown.append((f"Whole image: {scene.name}", SCENE_CAPTION, drawn))
    if scenes:
        found = examine(scenes[0].noisy, scenes[0].denoised)
        title = "Does the residual look like noise?"
        shown.append((title, describe_residual(found), draw_residual(found)))
    return shown


def describe_residual(found: Residual) -> str:
    """Return the findings of `quietpixel.imaging.residual.examine` as sentences."""
    if found.follows > 0.1:
        detail = ": detail went with the noise."
    elif found.follows < -0.1:
        detail = ": detail is stronger in it than in the noisy image."
    else:
        detail = ", which is near 0."
    edges = "."
    if found.edges > 1.25:
        edges = ": either the noise grows with brightness there, or edges were smoothed."
    return (
        f"Standard deviation of the residual: {found.sigma:.4f}. The correlation of neighbouring "
        f"pixels in it is {found.neighbours:.3f} (white noise: 0; stripes and grain have more, and "
        "so has detail that was removed). Its correlation with the fine detail of the denoised "
        f"image is {found.follows:.3f}{detail} On the strongest edges it is {found.edges:.2f} "
        f"times as strong as in smooth areas{edges}"
    )


def estimate_quality(
    recipe: Recipe, scenes: list[Scene], denoiser: Denoiser, validation: dict[str, float]
) -> dict[str, str]:
    """Return what is known of the quality, as words and values: measured, or estimated and how.

    Parameters
    ----------
    recipe, scenes, denoiser
        The run, its validation images and its model.
    validation
        The validation loss by its name.
    """
    if not scenes:
        return {}
    clean = [(scene.clean, scene) for scene in scenes if scene.clean is not None]
    if clean:
        before = np.mean([psnr(truth, np.clip(scene.noisy, 0, 1)) for truth, scene in clean])
        after = np.mean([psnr(truth, np.clip(scene.denoised, 0, 1)) for truth, scene in clean])
        return {"Whole validation images": f"{before:.2f} dB noisy, {after:.2f} dB denoised"}
    others = [(scene.other, scene) for scene in scenes if scene.other is not None]
    if others:
        # The noise of two shots is independent: each has half of their squared difference. What
        # the denoised image differs by holds the noise of the other shot, which is not an error.
        errors = (
            float(np.mean((s.denoised - other) ** 2) - np.mean((s.noisy - other) ** 2) / 2)
            for other, s in others
        )
        return {"Estimated from two noisy shots": _describe(errors)}
    law = parse_noise(recipe.noise) if recipe.noise else None
    name = _name_of_sure(law)
    if law is not None and name:
        sure = []
        for index, scene in enumerate(scenes):
            # The variance at the clean values, which the noisy ones stand for.
            noisy = np.clip(scene.noisy, 0, 1)
            sigma = np.sqrt(law.propagate(noisy, np.zeros_like(noisy))[1])
            rng = np.random.default_rng(index)
            sure.append(
                estimate_error(partial(denoiser, range=(0.0, 1.0)), scene.noisy, sigma, rng)
            )
        return {f"Estimated without clean images ({name})": _describe(sure)}
    return {
        f"No clean images: {name}": f"{value:.6f}; it includes the noise, so it is not a quality"
        for name, value in validation.items()
    }


def _name_of_sure(law: NoiseLaw | None) -> str:
    """Return the name of Stein's unbiased risk estimate for a law; empty where it does not hold."""
    # It needs noise without a mean whose variance depends on the pixel alone.
    laws = law.laws if isinstance(law, LawSequence) else (law,)
    if any(not isinstance(each, Gaussian | Poisson) or getattr(each, "mean", 0) for each in laws):
        return ""
    photons = any(isinstance(each, Poisson) for each in laws)
    return "SURE, an approximation for photon noise" if photons else "SURE"


def _describe(errors: Iterable[float]) -> str:
    error = float(np.mean(list(errors)))
    # An unbiased estimate of a small error can be negative.
    if not error > 0:
        return "the error is too small to be distinguished from the noise"
    return f"squared error {error:.6f}, {psnr_of_error(error):.2f} dB"


def draw_scene(images: Sequence[tuple[str, Image]]) -> bytes:
    """Return an image in several states side by side: the whole, and below it one detail.

    The detail is where the second state, the denoised one, has the strongest contrasts, so it is
    not chosen by hand.

    Parameters
    ----------
    images
        Names and images (H, W, C) in [0, 1], all of one size.
    """
    slopes = np.hypot(*np.gradient(np.asarray(images[1][1], np.float64).mean(axis=-1)))
    detail = find_square(slopes, DETAIL)
    wholes = [_shrink(image) for _, image in images]
    details = [
        image[detail].repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for _, image in images
    ]
    cell = max(wholes[0].shape[1], details[0].shape[1])
    width = 2 * MARGIN + len(images) * (cell + GAP) - GAP
    rows = [wholes[0].shape[0], details[0].shape[0]]
    figure = new_figure(width, 2 * MARGIN + sum(row + HEAD for row in rows))
    for column, (name, _) in enumerate(images):
        left, top = MARGIN + column * (cell + GAP), MARGIN
        for part, label in ((wholes[column], name), (details[column], "detail")):
            # Larger than in charts: a page shows this picture at less than half its size.
            write_text(figure, left, top + HEAD / 2, label, size=LABEL)
            place_image(figure, part, (left, top + HEAD, part.shape[1], part.shape[0]))
            top += part.shape[0] + HEAD
    return to_png(figure)


def show_residual(noisy: Image, denoised: Image) -> Image:
    """Return what was removed as an image: gray is nothing, black to white 4 times its strength."""
    residual = np.asarray(noisy, np.float32) - denoised
    # On a scale of its own: on that of the image, the residual of weak noise would be plain gray.
    strength = max(float(np.sqrt(np.mean(residual**2))), 1e-6)
    return np.asarray(np.clip(0.5 + residual / (4 * strength), 0, 1))


def draw_residual(residual: Residual) -> bytes:
    """Return a map of the autocorrelation of the residual, as a PNG."""
    figure = new_figure(620, 560)
    write_text(figure, MARGIN, MARGIN, "Correlation of pixels by distance")
    axes = figure.add_axes((0.12, 0.12, 0.67, 0.74))
    shown = residual.autocorrelation.copy()
    shown[LAGS, LAGS] = np.nan  # always 1, which would fade everything else
    limit = max(0.1, float(np.nanmax(np.abs(shown))))
    extent = (-LAGS - 0.5, LAGS + 0.5, LAGS + 0.5, -LAGS - 0.5)
    axes.set_facecolor(RULE)
    drawn = axes.imshow(shown, cmap="PuOr", vmin=-limit, vmax=limit, extent=extent)
    axes.set_xlabel("pixels to the right", color=MUTED, fontsize=9)
    axes.set_ylabel("pixels down", color=MUTED, fontsize=9)
    quiet(axes)
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.82, 0.12, 0.03, 0.74)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8.5, length=0)
    axes.plot([0], [0], marker="+", color=BLUE)
    return to_png(figure)


def _shrink(image: Image) -> Image:
    """Return the means of square blocks, at most `WHOLE` pixels high and wide."""
    return mean_of_squares(image, -(-max(image.shape[:2]) // WHOLE))
