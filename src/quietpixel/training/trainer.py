"""One run: data, noise, Keras ``fit``, and what is left in the run folder."""

from pathlib import Path

import keras

from quietpixel.card import Card
from quietpixel.data import load_split, named_sets
from quietpixel.errors import DataError, TrainingError
from quietpixel.training.callbacks import Checkpoint, Clock, ReportProgress, StopOnNaN
from quietpixel.training.compiled_model import build_for, check_patch, make_optimizer
from quietpixel.training.devices import choose_precision, part_evenly, release, use_devices
from quietpixel.training.folder_data import open_folder
from quietpixel.training.initial_weights import Start, begin_with
from quietpixel.training.losses import find_loss
from quietpixel.training.progress import OnProgress, Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.run_outputs import Outcome
from quietpixel.training.training_data import TrainingData, from_folder, from_splits, is_folder

UNLIMITED = 10**6
"""The epochs of a run that ends by the clock."""


def run_recipe(
    recipe: Recipe,
    folder: RunFolder,
    *,
    start: Start | None = None,
    cache: Path | None = None,
    data_dir: Path | None = None,
    on_progress: OnProgress = lambda progress: None,
    tensorboard: bool = False,
    devices: int | None = None,
) -> Card:
    """Train as `recipe` says, from the folder's last whole epoch, and leave the models there.

    Parameters
    ----------
    recipe
        What to do.
    folder
        Where to do it; it must have been started, or hold a run to go on with.
    start
        The model whose weights are the first ones; does not count where a run goes on.
    cache
        A folder where the pixels of a folder's pictures are kept decoded, if at all.
    data_dir
        Where named data sets are looked for first.
    on_progress
        Called after each step.
    tensorboard
        Whether logs for TensorBoard are written to ``logs/`` of the folder.
    devices
        On how many devices; None takes all that Keras can use.

    Returns
    -------
    Card
        What the model says of itself.

    Raises
    ------
    ArgumentError
        If there are not so many devices.
    TrainingError
        If the loss is not finite. What was learnt up to the last whole epoch is kept.
    """
    precision = choose_precision(recipe.precision)
    backend, used = keras.backend.backend(), use_devices(recipe.batch, devices)
    on_progress(Progress(message=f"Training in {precision} on Keras with {backend}, on {used}"))
    material = load_material(recipe, data_dir, on_progress, cache)
    keras.utils.set_random_seed(recipe.seed)
    model = build_for(recipe, material, precision)
    check_patch(recipe, model)
    if start is not None:
        _begin(model, start, build_for(recipe, material, "float32"))
        on_progress(Progress(message=f"Beginning with the weights of {start.name}"))
    checkpoint, callbacks = _prepare(model, recipe, folder, material)
    material.batches.epoch = checkpoint.next_epoch
    callbacks += _watch(recipe, checkpoint, on_progress)
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder.path / "logs")))
    outcome = Outcome(recipe, precision, start, folder, material.loss_name)
    try:
        _fit(model, recipe, material, callbacks, checkpoint.next_epoch)
    except (KeyboardInterrupt, TrainingError) as error:
        if checkpoint.keeps_something(interrupted=isinstance(error, KeyboardInterrupt)):
            on_progress(Progress(message="Stopped: keeping the best so far takes a moment"))
            checkpoint.judge_unless_done(material.validation)
            outcome.keep(model, checkpoint)
        raise
    finally:
        release()
    card = outcome.keep(model, checkpoint)
    on_progress(Progress(message=checkpoint.describe_best()))
    folder.checkpoint.unlink(missing_ok=True)
    return card


def load_material(
    recipe: Recipe, data_dir: Path | None, on_progress: OnProgress, cache: Path | None = None
) -> TrainingData:
    """Return what `recipe` trains on: the scenes of a folder, or a named set."""
    if is_folder(recipe.data):
        folder = open_folder(
            recipe, cache=cache, notify=lambda text: on_progress(Progress(message=text))
        )
        return from_folder(recipe, folder)
    if {"/", "\\"} & set(recipe.data):
        raise DataError(
            f"The folder '{recipe.data}' does not exist; give the path of a folder with pictures, "
            f"or the name of a set: {', '.join(named_sets())}."
        )
    train = load_split(recipe.data, "train", data_dir=data_dir)
    return from_splits(recipe, train, load_split(recipe.data, "validation", data_dir=data_dir))


def _begin(model: keras.Model, start: Start, exact: keras.Model) -> None:
    """Compare in float32, whatever precision `model` is to be trained in."""
    begin_with(exact, start)
    model.set_weights(exact.get_weights())


def _prepare(
    model: keras.Model, recipe: Recipe, folder: RunFolder, material: TrainingData
) -> tuple[Checkpoint, list[keras.callbacks.Callback]]:
    steps = len(material.batches)
    model.compile(
        optimizer=make_optimizer(recipe, steps),
        loss=material.loss or find_loss(recipe.loss),
        jit_compile=False,
    )
    plateau = None
    if recipe.schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_lr=1e-5)
    checkpoint = Checkpoint(folder, plateau)
    checkpoint.restore(model)
    callbacks = [*([plateau] if plateau else []), checkpoint]
    if recipe.averaging:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return checkpoint, callbacks


def _watch(
    recipe: Recipe, checkpoint: Checkpoint, on_progress: OnProgress
) -> list[keras.callbacks.Callback]:
    """Return what keeps the time, tells the progress and looks for NaN."""
    clock = None
    if recipe.minutes is not None:
        spent = sum(float(row["seconds"]) for row in checkpoint.rows)
        clock = Clock(60 * recipe.minutes, recipe.learning_rate, spent, recipe.schedule)
    first = checkpoint.next_epoch
    report = ReportProgress(
        on_progress, epochs=recipe.epochs, batch=recipe.batch, first=first, clock=clock
    )
    return [*([clock] if clock else []), report, StopOnNaN()]


def _fit(
    model: keras.Model,
    recipe: Recipe,
    material: TrainingData,
    callbacks: list[keras.callbacks.Callback],
    first: int,
) -> None:
    validation, size = part_evenly(material.validation, 500 if material.size else 20)
    model.fit(
        material.batches,
        epochs=UNLIMITED if recipe.minutes else recipe.epochs,
        initial_epoch=first,
        validation_data=validation,
        validation_batch_size=size,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
