"""A run from its recipe to its page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quietpixel.errors import TrainingError
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.parser import parse_noise
from quietpixel.reports.run_report import show_run
from quietpixel.training.trainer import run_recipe
from quietpixel.workflows.calibrate import write_calibration
from quietpixel.workflows.calibration_images import Image, Pair, draw_pairs
from quietpixel.workflows.user_models import keep_model

if TYPE_CHECKING:
    from quietpixel.training.recipe import Recipe
    from quietpixel.training.run_folder import RunFolder


def carry_out(
    recipe: "Recipe", folder: "RunFolder", *, data_dir: Path | None, name: str | None, **how: Any
) -> None:
    """Train as `recipe` says, then calibrate, show and, under `name`, keep the model.

    A run that is interrupted or fails ends in the same way with the best model so far, if it has
    one, and then raises what stopped it; `how` goes to `run_recipe`.
    """
    try:
        run_recipe(recipe, folder, data_dir=data_dir, **how)
    except BaseException as error:
        folder.discard_unless_begun()
        stopped = isinstance(error, KeyboardInterrupt | TrainingError)
        if stopped and folder.onnx_model.exists():
            _finish(recipe, folder, data_dir, name)
        raise
    _finish(recipe, folder, data_dir, name)


def _finish(recipe: "Recipe", folder: "RunFolder", data_dir: Path | None, name: str | None) -> None:
    calibrate_run(folder, recipe, data_dir=data_dir)
    show_run(folder, recipe, data_dir=data_dir)
    if name is not None:
        keep_model(folder.onnx_model, name)


MOST, LARGEST = 60, 384
"""Validation images of a folder that are used, and their greatest height and width."""
MOST_SMALL = 1000
"""Validation images of a named set that are used."""


def calibrate_run(folder: "RunFolder", recipe: "Recipe", *, data_dir: Path | None = None) -> None:
    """Write into the model of a run what its error bars are told by.

    Without clean images there is nothing to measure errors by, and nothing is written.
    """
    denoiser = Denoiser(folder.onnx_model)
    pairs = list(_pairs(recipe, denoiser.card.size, data_dir))
    if pairs:
        write_calibration(denoiser, pairs, folder.onnx_model, folder.onnx_model)


def _pairs(recipe: "Recipe", size: tuple[int, int] | None, data_dir: Path | None) -> Iterator[Pair]:
    from quietpixel.training.training_data import is_folder

    if not is_folder(recipe.data):
        yield from draw_pairs(
            _named(recipe, data_dir), parse_noise(recipe.noise), size, seed=recipe.seed
        )
        return
    if recipe.target in ("noisy", "none"):
        return
    scenes = list(_scenes(recipe))
    if recipe.method == "pairs":
        yield from ((number, noisy, clean) for number, (noisy, clean) in enumerate(scenes))
        return
    clean = [scene[0] for scene in scenes]
    yield from draw_pairs(clean, parse_noise(recipe.noise), size, seed=recipe.seed)


def _named(recipe: "Recipe", data_dir: Path | None) -> list[Image]:
    from quietpixel.data import load_split

    split = load_split(recipe.data, "validation", data_dir=data_dir)
    return list(split.as_float()[:MOST_SMALL])


def _scenes(recipe: "Recipe") -> Iterator[list[Image]]:
    """Yield the images of some validation scenes, spread over all of them."""
    from quietpixel.training.folder_data import open_folder

    shelf = open_folder(recipe, cache=None, notify=lambda text: None).validation
    step = max(len(shelf) // MOST, 1)
    for index in np.arange(0, len(shelf), step)[:MOST]:
        images = shelf.open(int(index))
        if images is not None:
            yield [image.part(0, 0, *(min(s, LARGEST) for s in image.size)) for image in images]
