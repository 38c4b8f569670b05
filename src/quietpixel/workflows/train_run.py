"""A run from its recipe to its page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quietpixel.errors import TrainingError
from quietpixel.reports.run_report import show_run
from quietpixel.training.trainer import run_recipe
from quietpixel.workflows.calibrate_run import calibrate_run
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
