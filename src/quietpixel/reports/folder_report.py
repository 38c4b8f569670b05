"""What the run of a folder shows: whole images, and how good they are, as far as is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.imaging.metrics import psnr, psnr_of_error
from quietpixel.imaging.residual import Residual, estimate_error, examine
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.parser import (
    FROZEN_EPOCH,
    Gaussian,
    NoiseLaw,
    Poisson,
    Sequence,
    image_rng,
    parse_noise,
)
from quietpixel.reports.scene_pictures import draw_residual, draw_scene, show_taken
from quietpixel.training.folder_data import Folder
from quietpixel.training.recipe import Recipe
from quietpixel.training.training_data import VALIDATION_SEED_OFFSET

Image = NDArray[np.float32]
Picture = tuple[str, str, bytes]

SHOWN = 3
"""Validation images that are shown whole; never chosen by hand."""
LARGEST = 2048
"""Most pixels of height and width that are denoised for the report."""


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
    scenes = []
    for index in range(len(folder.validation)):
        images = folder.validation.open(index)
        if images is None:
            continue
        cut = [image.part(0, 0, *(min(side, LARGEST) for side in image.size)) for image in images]
        name = folder.validation.scenes[index][0].name
        scenes.append(_denoise(recipe, name, cut, denoiser, index))
        if len(scenes) == SHOWN:
            break
    return scenes


def show_scenes(scenes: list[Scene]) -> list[Picture]:
    """Return the pictures of the scenes, and that of what was taken away."""
    shown = [_show(scene) for scene in scenes]
    if scenes:
        found = examine(scenes[0].noisy, scenes[0].denoised)
        title = "Does what was taken away look like noise?"
        shown.append((title, judge_residual(found), draw_residual(found)))
    return shown


def judge_residual(found: Residual) -> str:
    """Say in words what `quietpixel.imaging.residual.examine` found."""
    parts = [f"Standard deviation of what was taken away: {found.sigma:.4f}."]
    parts.append(
        f"Neighbouring pixels of it are alike by {found.neighbours:.3f} (white noise: 0; stripes "
        "and grain give more, and so does detail that was taken away)."
    )
    parts.append(
        f"It follows the fine detail of the denoised image by {found.follows:.3f}"
        + _judge_following(found.follows)
    )
    parts.append(
        f"On the strongest edges it is {found.edges:.2f} times as strong as in calm parts"
        + (
            ": either the noise grows with brightness there, or edges were smoothed."
            if found.edges > 1.25
            else "."
        )
    )
    return " ".join(parts)


def _judge_following(follows: float) -> str:
    if follows > 0.1:
        return ": detail went with the noise."
    if follows < -0.1:
        return ": detail is stronger in it than in the noisy image."
    return ", which is near 0."


def estimate_quality(
    recipe: Recipe, scenes: list[Scene], denoiser: Denoiser, validation: dict[str, float]
) -> dict[str, str]:
    """Return what can be said of the quality, as words and values: measured, or estimated and how.

    Parameters
    ----------
    recipe, scenes, denoiser
        The run, its validation images and its model.
    validation
        The validation loss by its name.
    """
    if not scenes:
        return {}
    if scenes[0].clean is not None:
        before = np.mean([_psnr(scene, scene.noisy) for scene in scenes])
        after = np.mean([_psnr(scene, scene.denoised) for scene in scenes])
        return {"Whole validation images": f"{before:.2f} dB noisy, {after:.2f} dB denoised"}
    if scenes[0].other is not None:
        errors = [_error_of_two(scene) for scene in scenes]
        return {"Estimated from two noisy shots": _decibels(np.mean(errors))}
    law = parse_noise(recipe.noise) if recipe.noise else None
    name = _name_of_sure(law)
    if law is not None and name:
        errors = [_sure(scene, law, denoiser, i) for i, scene in enumerate(scenes)]
        return {f"Estimated without clean images ({name})": _decibels(np.mean(errors))}
    return {
        f"No clean images: {name}": f"{value:.6f}; it holds the noise itself, so it is no quality"
        for name, value in validation.items()
    }


def _denoise(
    recipe: Recipe, name: str, images: list[Image], denoiser: Denoiser, index: int
) -> Scene:
    def denoised(noisy: Image) -> Image:
        return np.asarray(denoiser(noisy, range=(0.0, 1.0)))

    if recipe.method == "pairs":
        other = {"other" if recipe.target == "noisy" else "clean": images[1]}
        return Scene(name, images[0], denoised(images[0]), **other)
    if recipe.method:
        return Scene(name, images[0], denoised(images[0]))
    rng = image_rng(recipe.seed + VALIDATION_SEED_OFFSET, FROZEN_EPOCH, index)
    noisy = parse_noise(recipe.noise)(images[0], rng)
    return Scene(name, noisy, denoised(noisy), clean=images[0])


def _show(scene: Scene) -> Picture:
    states = [("noisy", scene.noisy), ("denoised", scene.denoised)]
    if scene.clean is not None:
        states.append(("clean", scene.clean))
    if scene.other is not None:
        states.append(("the other noisy shot", scene.other))
    states.append(("taken away", show_taken(scene.noisy, scene.denoised)))
    caption = (
        "A validation image; below it the detail with the strongest contrasts, each pixel as "
        "2 x 2. What was taken away is gray where nothing was; lines in it are lost detail."
    )
    return f"Whole image: {scene.name}", caption, draw_scene(states, title=scene.name)


def _error_of_two(scene: Scene) -> float:
    """Return the error against the other shot, without the noise that this one has itself."""
    assert scene.other is not None
    noise = np.mean((scene.noisy - scene.other) ** 2) / 2
    return float(np.mean((scene.denoised - scene.other) ** 2) - noise)


def _psnr(scene: Scene, image: Image) -> float:
    assert scene.clean is not None
    return psnr(scene.clean, np.clip(image, 0, 1))


def _name_of_sure(law: NoiseLaw | None) -> str:
    """Say how good Stein's estimate is for a law; empty where it does not hold."""
    laws = law.laws if isinstance(law, Sequence) else (law,)
    if any(not isinstance(each, Gaussian | Poisson) for each in laws):
        return ""
    if any(isinstance(each, Gaussian) and each.mean for each in laws):
        return ""
    photons = any(isinstance(each, Poisson) for each in laws)
    return "SURE, an approximation for photon noise" if photons else "SURE"


def _sure(scene: Scene, law: NoiseLaw, denoiser: Denoiser, index: int) -> float:
    def denoise(image: Any) -> Any:
        return denoiser(image, range=(0.0, 1.0))

    noisy = np.clip(scene.noisy, 0, 1)
    sigma = np.sqrt(law.propagate(noisy, np.zeros_like(noisy))[1])
    return estimate_error(denoise, scene.noisy, sigma, np.random.default_rng(index))


def _decibels(error: Any) -> str:
    if not error > 0:
        return "the error is too small to be told from the noise"
    return f"squared error {float(error):.6f}, {psnr_of_error(float(error)):.2f} dB"
