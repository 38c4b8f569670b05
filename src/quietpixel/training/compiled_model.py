"""From a recipe to an untrained Keras model and its optimiser."""

from typing import Any

import keras

from quietpixel.errors import ArgumentError
from quietpixel.models import build, complete_options
from quietpixel.models.receptive_field import measure_model
from quietpixel.training.folder_data import is_folder
from quietpixel.training.muon import ConvolutionMuon
from quietpixel.training.recipe import Recipe
from quietpixel.training.training_data import TrainingData


def build_for(recipe: Recipe, data: TrainingData, precision: str) -> keras.Model:
    """Return the untrained model of `recipe`.

    Parameters
    ----------
    recipe
        The recipe.
    data
        The images, whose channels and size the model gets if its builder takes them.
    precision
        Keras dtype policy.

    Raises
    ------
    ArgumentError, UnknownNameError
        If the recipe's model or options do not exist or break a rule, or the model cannot process
        the recipe's patches.
    """
    options = complete_options(recipe.model, recipe.options, channels=data.channels, size=data.size)
    # Keras has one policy for all models, so it is set back even if the build fails.
    keras.config.set_dtype_policy(precision)
    try:
        model = build(recipe.model, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    divisor = measure_model(model).divisor * (2 if recipe.method == "neighbours" else 1)
    if is_folder(recipe.data) and recipe.patch % divisor:
        raise ArgumentError(
            f"`patch` must be a multiple of {divisor} because the model halves it repeatedly; got "
            f"{recipe.patch}. Try {max(1, round(recipe.patch / divisor)) * divisor}."
        )
    return model


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimiser of `recipe`.

    Parameters
    ----------
    recipe
        The recipe.
    steps
        Steps in an epoch.
    """
    rate: Any = recipe.learning_rate
    # By the clock, `Clock` sets the rate.
    if recipe.schedule == "cosine" and not recipe.minutes:
        # A short run would otherwise be over before its warm-up.
        warmup = min(int(recipe.warmup * steps), recipe.epochs * steps // 4)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    options: dict[str, Any] = {"learning_rate": rate}
    if recipe.averaging:
        options |= {"use_ema": True, "ema_momentum": recipe.averaging}
    if recipe.clip_norm:
        options["global_clipnorm"] = recipe.clip_norm
    if recipe.optimizer == "muon":
        return keras.optimizers.Muon(**options)
    if recipe.optimizer == "convolution-muon":
        return ConvolutionMuon(adam_lr_ratio=0.2, **options)
    return keras.optimizers.Adam(**options)
