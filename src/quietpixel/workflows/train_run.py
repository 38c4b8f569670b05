"""A training run from its recipe to its report."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from quietpixel.data import load_split
from quietpixel.errors import TrainingError
from quietpixel.imaging.intensity_scale import FIXED_SCALES
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import keep_model
from quietpixel.inference.planes import spaced
from quietpixel.noise.parser import parse_noise
from quietpixel.reports.run_report import show_run
from quietpixel.training.folder_data import is_folder, open_folder
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import RunOptions, run_recipe
from quietpixel.workflows.calibrate import (
    LoadedImage,
    Pair,
    draw_pairs,
    draw_scaled_pairs,
    write_calibration,
)

MOST, LARGEST = 60, 384
"""Validation images of a folder that calibrate a model, and their largest height and width."""
MOST_SMALL = 1000
"""Validation images of a named set that calibrate a model."""


def carry_out(recipe: Recipe, folder: RunFolder, options: RunOptions, *, name: str | None) -> None:
    """Train with `recipe`, then calibrate the model, write the report and store the model.

    A run that is interrupted or fails does the same with its best model so far, if it has one, and
    then raises the error.

    Parameters
    ----------
    recipe, folder, options
        As for `run_recipe`.
    name
        Name of the model among the user's own; None stores it in the run folder only.
    """
    try:
        run_recipe(recipe, folder, options)
    except BaseException as error:  # Ctrl-C too must not leave an empty run behind
        folder.discard_unless_trained()
        stopped = isinstance(error, KeyboardInterrupt | TrainingError)
        if stopped and folder.onnx_model.exists():
            _finish(recipe, folder, options, name)
        raise
    _finish(recipe, folder, options, name)


def _finish(recipe: Recipe, folder: RunFolder, options: RunOptions, name: str | None) -> None:
    # The exported file and not the Keras model, because it is what users get.
    denoiser = Denoiser(folder.onnx_model)
    pairs = list(_calibration_pairs(recipe, denoiser, options.data_dir))
    if pairs:  # without clean images there is no error to measure
        options.notify("Calibrating error bars on validation images")
        model = folder.onnx_model
        write_calibration(denoiser, pairs, model, model, on_progress=options.on_progress)
    options.notify("Writing the report")
    show_run(folder, recipe, data_dir=options.data_dir)
    if name is not None:
        keep_model(folder.onnx_model, name)


def _calibration_pairs(recipe: Recipe, denoiser: Denoiser, data_dir: Path | None) -> Iterator[Pair]:
    card = denoiser.card
    if not is_folder(recipe.data):
        split = load_split(recipe.data, "validation", data_dir=data_dir)
        digits = list(split.as_float()[:MOST_SMALL])
        yield from draw_pairs(digits, parse_noise(recipe.noise), card.size, seed=recipe.seed)
    elif recipe.target != "clean":
        return
    elif recipe.method == "pairs":
        for number, (noisy, clean) in enumerate(_pages(recipe)):
            yield number, noisy.pixels, clean.pixels
    else:
        images = [page for (page,) in _pages(recipe)]
        if not card.scale_free:  # on the scale of the training, as in use
            images = [replace(each, declared=(0.0, 1.0)) for each in images]
        law = parse_noise(recipe.noise)
        yield from draw_scaled_pairs(denoiser, images, law, None, seed=recipe.seed)


def _pages(recipe: Recipe) -> Iterator[list[LoadedImage]]:
    """Yield pages, evenly spaced, of evenly spaced validation scenes, in [0, 1]."""
    scenes = open_folder(recipe, cache=None, notify=lambda text: None).validation
    # Evenly spaced: scenes that follow each other by name are often of one series.
    chosen = spaced(len(scenes), MOST)
    for index in chosen:
        images = scenes.open(index) or ()
        pages = images[0].pages if images else []
        for place in spaced(len(pages), max(MOST // len(chosen), 1)):
            page = pages[place]
            yield [
                LoadedImage(
                    f"{index}, page {page}",
                    image.part(0, 0, *(min(side, LARGEST) for side in image.size), page=page),
                    # In use, the content decides the scale of all others.
                    (0.0, 1.0)
                    if image.profile or image.pixels.dtype.name in FIXED_SCALES
                    else None,
                    stack=(index, 0),
                )
                for image in images
            ]
