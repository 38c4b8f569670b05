"""A training run from its recipe to its report."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from quietpixel.array_types import Image
from quietpixel.data import load_split
from quietpixel.errors import TrainingError
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import keep_model
from quietpixel.noise.parser import parse_noise
from quietpixel.reports.run_report import show_run
from quietpixel.training.folder_data import is_folder, open_folder
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import RunOptions, run_recipe
from quietpixel.workflows.calibrate import Pair, draw_pairs, write_calibration

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
    pairs = list(_calibration_pairs(recipe, denoiser.card.size, options.data_dir))
    if pairs:  # without clean images there is no error to measure
        options.notify("Calibrating error bars on validation images")
        model = folder.onnx_model
        write_calibration(denoiser, pairs, model, model, on_progress=options.on_progress)
    options.notify("Writing the report")
    show_run(folder, recipe, data_dir=options.data_dir)
    if name is not None:
        keep_model(folder.onnx_model, name)


def _calibration_pairs(
    recipe: Recipe, size: tuple[int, int] | None, data_dir: Path | None
) -> Iterator[Pair]:
    if not is_folder(recipe.data):
        split = load_split(recipe.data, "validation", data_dir=data_dir)
        clean = list(split.as_float()[:MOST_SMALL])
    elif recipe.target in ("noisy", "none"):
        return
    elif recipe.method == "pairs":
        yield from ((number, noisy, clean) for number, (noisy, clean) in enumerate(_scenes(recipe)))
        return
    else:
        clean = [scene[0] for scene in _scenes(recipe)]
    yield from draw_pairs(clean, parse_noise(recipe.noise), size, seed=recipe.seed)


def _scenes(recipe: Recipe) -> Iterator[list[Image]]:
    """Yield the images of evenly spaced validation scenes."""
    scenes = open_folder(recipe, cache=None, notify=lambda text: None).validation
    # Evenly spaced: scenes that follow each other by name are often of one series.
    step = max(len(scenes) // MOST, 1)
    for index in np.arange(0, len(scenes), step)[:MOST]:
        images = scenes.open(int(index))
        if images is not None:
            yield [image.part(0, 0, *(min(s, LARGEST) for s in image.size)) for image in images]
