"""One run: data, noise, Keras ``fit``, and what is left in the run folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.card import Card
from quietpixel.data import load_split
from quietpixel.errors import TrainingError
from quietpixel.models import build
from quietpixel.models.arithmetic import measure_model
from quietpixel.models.export import export_onnx
from quietpixel.training.callbacks import Checkpoint, Clock, ReportProgress, StopOnNaN
from quietpixel.training.images import load_photos
from quietpixel.training.material import Material, from_photos, from_splits, is_folder, least_side
from quietpixel.training.muon import ConvolutionMuon
from quietpixel.training.precision import choose_precision
from quietpixel.training.progress import OnProgress, Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder

UNLIMITED = 10**6
"""The epochs of a run that ends by the clock."""


def run_recipe(
    recipe: Recipe,
    folder: RunFolder,
    *,
    data_dir: Path | None = None,
    on_progress: OnProgress = lambda progress: None,
    tensorboard: bool = False,
) -> Card:
    """Train as `recipe` says, from the folder's last whole epoch, and leave the models there.

    Parameters
    ----------
    recipe
        What to do.
    folder
        Where to do it; it must have been started, or hold a run to go on with.
    data_dir
        Where named data sets are looked for first.
    on_progress
        Called after each step.
    tensorboard
        Whether logs for TensorBoard are written to ``logs/`` of the folder.

    Returns
    -------
    Card
        What the model says of itself.

    Raises
    ------
    TrainingError
        If the loss is not finite. What was learnt up to the last whole epoch is kept.
    """
    precision = choose_precision(recipe.precision)
    on_progress(
        Progress(message=f"Training in {precision} on Keras with {keras.backend.backend()}")
    )
    material = load_material(recipe, data_dir, on_progress)
    keras.utils.set_random_seed(recipe.seed)
    model = build_for(recipe, material, precision)
    checkpoint, callbacks = _prepare(model, recipe, folder, len(material.batches))
    material.batches.epoch = checkpoint.next_epoch
    clock = _make_clock(recipe, checkpoint)
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder.path / "logs")))
    report = ReportProgress(
        on_progress,
        epochs=recipe.epochs,
        batch=recipe.batch,
        first=checkpoint.next_epoch,
        clock=clock,
    )
    callbacks += [*([clock] if clock else []), report, StopOnNaN()]
    try:
        _fit(model, recipe, material, callbacks, checkpoint.next_epoch)
    except (KeyboardInterrupt, TrainingError):
        if checkpoint.best is not None:
            _finish(model, recipe, folder, checkpoint, precision)
        raise
    card = _finish(model, recipe, folder, checkpoint, precision)
    folder.checkpoint.unlink(missing_ok=True)
    return card


def load_material(recipe: Recipe, data_dir: Path | None, on_progress: OnProgress) -> Material:
    """Return what `recipe` trains on: the photographs of a folder, or a named set."""
    if is_folder(recipe.data):
        photos = load_photos(
            recipe.data,
            channels=recipe.channels,
            least=least_side(recipe),
            tell=lambda text: on_progress(Progress(message=text)),
        )
        return from_photos(recipe, photos)
    train = load_split(recipe.data, "train", data_dir=data_dir)
    return from_splits(recipe, train, load_split(recipe.data, "validation", data_dir=data_dir))


def build_for(recipe: Recipe, material: Material, precision: str) -> keras.Model:
    """Return the untrained model of `recipe` for the images of `material`."""
    options: dict[str, Any] = {"channels": material.channels, **recipe.options}
    if recipe.model == "bottleneck" and material.size:
        options.setdefault("size", material.size)
    keras.config.set_dtype_policy(precision)
    try:
        return build(recipe.model, **options)
    finally:
        keras.config.set_dtype_policy("float32")


def _prepare(
    model: keras.Model, recipe: Recipe, folder: RunFolder, steps: int
) -> tuple[Checkpoint, list[keras.callbacks.Callback]]:
    model.compile(optimizer=_make_optimizer(recipe, steps), loss=recipe.loss, jit_compile=False)
    plateau = None
    if recipe.schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_lr=1e-5)
    checkpoint = Checkpoint(folder, plateau)
    checkpoint.restore(model)
    callbacks = [*([plateau] if plateau else []), checkpoint]
    if recipe.averaging:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return checkpoint, callbacks


def _make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    options: dict[str, Any] = {"learning_rate": _make_schedule(recipe, steps)}
    if recipe.averaging:
        options |= {"use_ema": True, "ema_momentum": recipe.averaging}
    if recipe.clip_norm:
        options["global_clipnorm"] = recipe.clip_norm
    if recipe.optimizer == "muon":
        return keras.optimizers.Muon(**options)
    if recipe.optimizer == "convolution-muon":
        return ConvolutionMuon(adam_lr_ratio=0.2, **options)
    return keras.optimizers.Adam(**options)


def _make_schedule(
    recipe: Recipe, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if recipe.schedule != "cosine" or recipe.minutes:
        return recipe.learning_rate
    warmup = min(int(recipe.warmup * steps), recipe.epochs * steps // 4)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=recipe.epochs * steps - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _make_clock(recipe: Recipe, checkpoint: Checkpoint) -> Clock | None:
    if recipe.minutes is None:
        return None
    spent = sum(float(row["seconds"]) for row in checkpoint.rows)
    return Clock(60 * recipe.minutes, recipe.learning_rate, spent)


def _fit(
    model: keras.Model,
    recipe: Recipe,
    material: Material,
    callbacks: list[keras.callbacks.Callback],
    first: int,
) -> None:
    model.fit(
        material.batches,
        epochs=UNLIMITED if recipe.minutes else recipe.epochs,
        initial_epoch=first,
        validation_data=material.validation,
        validation_batch_size=500 if material.size else 20,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )


def _finish(
    model: keras.Model, recipe: Recipe, folder: RunFolder, checkpoint: Checkpoint, precision: str
) -> Card:
    model.set_weights(checkpoint.best)
    folder.replace("model.keras", model.save)
    card = describe(model, recipe, checkpoint, precision)
    export_onnx(model, folder.onnx_model, card)
    return card


def describe(model: keras.Model, recipe: Recipe, checkpoint: Checkpoint, precision: str) -> Card:
    """Return the card of a trained `model`."""
    facts = measure_model(model)
    height, width, channels = model.input_shape[1:]
    return Card(
        name=f"{Path(recipe.data).name}-{recipe.model}",
        architecture=recipe.model,
        channels=channels,
        divisor=facts.divisor,
        halo=facts.halo,
        size=None if height is None else (height, width),
        noise=recipe.noise,
        operations=facts.operations,
        parameters=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        training={
            **replace(recipe, options=dict(recipe.options)).__dict__,
            "precision": precision,
            "epochs_done": len(checkpoint.rows),
        },
        scores={"validation": {recipe.loss: checkpoint.best_loss}},
        data=f"photographs in {Path(recipe.data).name}" if is_folder(recipe.data) else recipe.data,
        licence="MIT",
        not_for="medical, legal or other images on whose detail a decision rests",
    )
