"""One run: data, noise, Keras ``fit``, and what is left in the run folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from quietpixel.card import Card
from quietpixel.data import Split, load_split
from quietpixel.data.batches import NoisyBatches
from quietpixel.errors import TrainingError
from quietpixel.imaging.noise import add_noise, parse_noise
from quietpixel.models import build
from quietpixel.models.arithmetic import measure_model
from quietpixel.models.export import export_onnx
from quietpixel.training.callbacks import Checkpoint, ReportProgress, StopOnNaN
from quietpixel.training.precision import choose_precision
from quietpixel.training.progress import OnProgress, Progress
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder

VALIDATION_SEED_OFFSET = 1_000_003


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
    on_progress(Progress(message=f"Training in {precision} on Keras with {keras.backend.backend()}"))
    train = load_split(recipe.data, "train", data_dir=data_dir)
    validation = load_split(recipe.data, "validation", data_dir=data_dir)
    keras.utils.set_random_seed(recipe.seed)
    model = build_for(recipe, train, precision)
    checkpoint, callbacks = _prepare(model, recipe, folder, len(train.images))
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder.path / "logs")))
    report = ReportProgress(
        on_progress, epochs=recipe.epochs, batch=recipe.batch, first=checkpoint.next_epoch
    )
    try:
        _fit(model, recipe, train, validation, [*callbacks, report, StopOnNaN()], checkpoint)
    except (KeyboardInterrupt, TrainingError):
        if checkpoint.best is not None:
            _finish(model, recipe, folder, checkpoint, precision)
        raise
    card = _finish(model, recipe, folder, checkpoint, precision)
    folder.checkpoint.unlink(missing_ok=True)
    return card


def build_for(recipe: Recipe, split: Split, precision: str) -> keras.Model:
    """Return the untrained model of `recipe` for the images of `split`."""
    options: dict[str, Any] = {"channels": split.images.shape[-1], **recipe.options}
    if recipe.model == "bottleneck":
        options.setdefault("size", split.images.shape[1])
    keras.config.set_dtype_policy(precision)
    try:
        return build(recipe.model, **options)
    finally:
        keras.config.set_dtype_policy("float32")


def _prepare(
    model: keras.Model, recipe: Recipe, folder: RunFolder, images: int
) -> tuple[Checkpoint, list[keras.callbacks.Callback]]:
    model.compile(optimizer=_make_optimizer(recipe, images), loss=recipe.loss, jit_compile=False)
    plateau = None
    if recipe.schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=0.5, patience=2, min_lr=1e-5
        )
    checkpoint = Checkpoint(folder, plateau)
    checkpoint.restore(model)
    callbacks = [*([plateau] if plateau else []), checkpoint]
    if recipe.averaging:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    return checkpoint, callbacks


def _make_optimizer(recipe: Recipe, images: int) -> keras.optimizers.Optimizer:
    options: dict[str, Any] = {"learning_rate": _make_schedule(recipe, images)}
    if recipe.averaging:
        options |= {"use_ema": True, "ema_momentum": recipe.averaging}
    if recipe.optimizer == "muon":
        return keras.optimizers.Muon(**options)
    return keras.optimizers.Adam(**options)


def _make_schedule(
    recipe: Recipe, images: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if recipe.schedule != "cosine":
        return recipe.learning_rate
    steps = max(1, images // recipe.batch)
    warmup = min(int(recipe.warmup * steps), recipe.epochs * steps // 4)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=recipe.epochs * steps - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _fit(
    model: keras.Model,
    recipe: Recipe,
    train: Split,
    validation: Split,
    callbacks: list[keras.callbacks.Callback],
    checkpoint: Checkpoint,
) -> None:
    law = parse_noise(recipe.noise)
    clean = validation.as_float()
    noisy = add_noise(clean, law, seed=recipe.seed + VALIDATION_SEED_OFFSET)
    batches = NoisyBatches(
        train.images,
        law,
        batch=recipe.batch,
        seed=recipe.seed,
        fresh=recipe.fresh_noise,
        first_epoch=checkpoint.next_epoch,
    )
    model.fit(
        batches,
        epochs=recipe.epochs,
        initial_epoch=checkpoint.next_epoch,
        validation_data=(noisy, clean),
        validation_batch_size=500,
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


def describe(
    model: keras.Model, recipe: Recipe, checkpoint: Checkpoint, precision: str
) -> Card:
    """Return the card of a trained `model`."""
    facts = measure_model(model)
    height, width, channels = model.input_shape[1:]
    return Card(
        name=f"{recipe.data}-{recipe.model}",
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
        data=recipe.data,
        licence="MIT",
        not_for="medical, legal or other images on whose detail a decision rests",
    )
