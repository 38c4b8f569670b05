"""A training run: data, noise, Keras `fit`, and the files in the run folder."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras

from quietpixel.card import Card
from quietpixel.data import load_split
from quietpixel.data.batches import Batches
from quietpixel.data.image_folder import Layout
from quietpixel.errors import TrainingError, check_number
from quietpixel.training.callbacks import Checkpoint, Clock, ReportProgress, StopOnNaN, Trapezoid
from quietpixel.training.compiled_model import build_for, make_optimizer
from quietpixel.training.devices import choose_precision, part_evenly, release, use_devices
from quietpixel.training.folder_data import check_data, is_folder, open_folder, warn_noisy
from quietpixel.training.initial_weights import Start, start_from
from quietpixel.training.losses import find_loss
from quietpixel.training.progress import OnProgress, Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.run_outputs import Outcome
from quietpixel.training.teacher import add_teacher
from quietpixel.training.training_data import TrainingData, from_folder, from_splits

LEARNED = (
    "which the model learns to keep; give clean ones, or the target 'none' to train on noisy "
    "images alone"
)
"""What follows from noise of images that are taken to be clean, and what to do."""
UNLIMITED = 10**6
"""Number of epochs of a run that ends by the clock."""
FINISHING, SHARE = 45.0, 0.1
"""Seconds kept for export, calibration and report, and the most of a run that they may take."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a recipe is carried out, without effect on its result.

    Parameters
    ----------
    start
        The model whose weights initialise the run; ignored when a run is continued.
    cache
        Folder for decoded pixels of an image folder; None keeps none.
    data_dir
        Folder that is searched first for the files of a named data set.
    tensorboard
        Whether to write logs for TensorBoard to ``logs/`` of the run folder.
    devices
        Number of accelerators; None uses all that Keras sees.
    workers
        Processes that make batches ahead of time; 0 makes them in this process. None uses one for
        a folder if there are two cores or more.
    on_progress
        Called after each step.
    started
        When the user started the run, by `time.perf_counter`, for a run by the clock.

    Raises
    ------
    ArgumentError
        If `workers` is negative.
    """

    start: Start | None = None
    cache: Path | None = None
    data_dir: Path | None = None
    tensorboard: bool = False
    devices: int | None = None
    workers: int | None = None
    on_progress: OnProgress = lambda progress: None
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_number("workers", self.workers, least=0)

    def notify(self, text: str) -> None:
        """Report a sentence through `on_progress`."""
        self.on_progress(Progress(message=text))


def run_recipe(recipe: Recipe, folder: RunFolder, options: RunOptions | None = None) -> Card:
    """Train with `recipe`, from the last complete epoch in the folder, and write the models there.

    Parameters
    ----------
    recipe
        The recipe.
    folder
        The run folder; it must have been started, or hold a run to continue.
    options
        How the recipe is carried out; None uses the defaults.

    Returns
    -------
    Card
        The card of the trained model.

    Raises
    ------
    ArgumentError
        If there are fewer devices than wanted.
    TrainingError
        If the loss becomes non-finite, or a worker process dies. The best model of the complete
        epochs is kept.
    """
    options = options or RunOptions()
    precision = choose_precision(recipe.precision)
    # First of all: Keras places variables on the devices that are set when they are made.
    backend, used = keras.backend.backend(), use_devices(recipe.batch, options.devices)
    options.notify(f"Training with Keras (backend {backend}) in {precision} on {used}")
    data = load_data(recipe, options)
    model = _compile(recipe, data, precision, options)
    checkpoint, callbacks = _make_callbacks(model, recipe, folder, options)
    outcome = Outcome(recipe, precision, options.start, folder, data.loss_name, data.range)
    if data.range is not None:
        low, high = data.range
        options.notify(f"Intensity scale of the images: black {low:.6g}, white {high:.6g}")
    try:
        _fit(model, recipe, data, callbacks, options.workers)
    except (KeyboardInterrupt, TrainingError) as error:
        if isinstance(error, KeyboardInterrupt):
            checkpoint.end_first_epoch(data.validation)
        if checkpoint.best is not None:
            options.notify("Stopped: saving the best model so far takes a moment")
            outcome.keep(model, checkpoint)
        raise
    finally:
        release()
    options.notify("Exporting the model and comparing it with the trained one")
    card = outcome.keep(model, checkpoint)
    options.notify(checkpoint.describe_best())
    folder.checkpoint.unlink(missing_ok=True)
    return card


def load_data(recipe: Recipe, options: RunOptions) -> TrainingData:
    """Return the training data of `recipe`: the scenes of a folder, or a named set.

    Parameters
    ----------
    recipe, options
        As for `run_recipe`.

    Raises
    ------
    DataError
        If there are none.
    ArgumentError
        If the teacher of the recipe does not fit (`add_teacher`).
    """
    if is_folder(recipe.data):
        opened = open_folder(recipe, cache=options.cache, notify=options.notify)
        if not recipe.method:
            layout = Layout("clean", tuple(opened.train.scenes))
            warn_noisy(layout, recipe.channels, options.notify, LEARNED)
        data = from_folder(recipe, opened)
    else:
        check_data(recipe.data)
        train, validation = (
            load_split(recipe.data, split, data_dir=options.data_dir)
            for split in ("train", "validation")
        )
        data = from_splits(recipe, train, validation)
    if not recipe.teacher:
        return data
    takes_level = isinstance(data.validation[0], tuple)
    return replace(data, sampler=add_teacher(data.sampler, recipe, takes_level=takes_level))


def _compile(
    recipe: Recipe, data: TrainingData, precision: str, options: RunOptions
) -> keras.Model:
    # After the data are loaded, so that loading cannot change the initial weights.
    keras.utils.set_random_seed(recipe.seed)
    model = build_for(recipe, data, precision)
    if options.start is not None:
        # In float32, so that both can be compared, whatever precision the run computes in.
        exact = build_for(recipe, data, "float32")
        start_from(exact, options.start)
        model.set_weights(exact.get_weights())
        options.notify(f"Starting from the weights of {options.start.name}")
    model.compile(
        optimizer=make_optimizer(recipe, len(data.sampler)),
        loss=data.loss or find_loss(recipe.loss),
        jit_compile=False,
    )
    return model


def _make_callbacks(
    model: keras.Model, recipe: Recipe, folder: RunFolder, options: RunOptions
) -> tuple[Checkpoint, list[keras.callbacks.Callback]]:
    plateau = None
    if recipe.schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_lr=1e-5)
    checkpoint = Checkpoint(folder, plateau)
    checkpoint.restore(model)
    clock = None
    if recipe.minutes is not None:
        spent = sum(float(row["seconds"]) for row in checkpoint.rows)
        seconds, now = 60 * recipe.minutes, time.perf_counter()
        # Loading the data and finishing the run are part of the time, each up to a tenth of it.
        started = max(options.started, now - SHARE * seconds)
        seconds -= min(FINISHING, SHARE * seconds)
        clock = Clock(seconds, recipe.learning_rate, spent, recipe.schedule, started=started)
    counted = recipe.schedule == "trapezoid" and clock is None
    # The checkpoint comes before the averaged weights are swapped back, and before the progress is
    # reported, so that a run interrupted from `on_progress` has its last epoch stored.
    callbacks = [
        plateau,
        checkpoint,
        keras.callbacks.SwapEMAWeights() if recipe.averaging else None,
        clock,
        Trapezoid(recipe.learning_rate, recipe.epochs) if counted else None,
        ReportProgress(
            options.on_progress,
            epochs=recipe.epochs,
            batch=recipe.batch,
            first=len(checkpoint.rows),
            clock=clock,
        ),
        StopOnNaN(checkpoint),
        keras.callbacks.TensorBoard(str(folder.path / "logs")) if options.tensorboard else None,
    ]
    return checkpoint, [callback for callback in callbacks if callback is not None]


def _fit(
    model: keras.Model,
    recipe: Recipe,
    data: TrainingData,
    callbacks: list[keras.callbacks.Callback],
    workers: int | None,
) -> None:
    if workers is None:
        from joblib.externals.loky import cpu_count  # heeds the limits of containers

        workers = int(is_folder(recipe.data) and cpu_count() >= 2)
    first = next(len(one.rows) for one in callbacks if isinstance(one, Checkpoint))
    # A model needs hundreds of bytes per pixel, and patches are larger than digits.
    validation, size = part_evenly(data.validation, 500 if data.size else 20)
    with Batches(data.sampler, workers=workers, first_epoch=first) as batches:
        try:
            model.fit(
                batches,
                epochs=UNLIMITED if recipe.minutes else recipe.epochs,
                initial_epoch=first,
                validation_data=validation,
                validation_batch_size=size,
                callbacks=callbacks,
                # The sampler shuffles, by seed and epoch; Keras would not repeat its order after a
                # resume.
                shuffle=False,
                verbose=0,
            )
        except Exception as error:
            # TensorFlow raises an error of its own in place of that of the batches.
            if batches.error is None or batches.error is error:
                raise
            raise batches.error from error
