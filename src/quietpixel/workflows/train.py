"""The function `train`: chooses a recipe, carries it out, calibrates and reports."""

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from quietpixel.errors import ArgumentError, check_known, check_number, check_text, naming_missing
from quietpixel.training.progress import OnProgress


def new_run_path(data: str) -> Path:
    """Return the folder of a run that was not named: by data and time, in ``runs``."""
    return Path("runs") / f"{Path(data).name}-{datetime.now():%Y%m%d-%H%M%S}"


@naming_missing("Describing a model needs", "train")
def list_layers(
    data: str,
    *,
    recipe: str | None = None,
    start: str | Path | None = None,
    code: int | None = None,
    filters: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    data_dir: str | Path | None = None,
    **others: Any,
) -> list[tuple[str, ...]]:
    """Return the table of the layers that `train` would train, as rows of words.

    Parameters
    ----------
    data, recipe, start, code, filters, blocks, data_dir, others
        As for `train`; arguments that are not fields of the recipe are ignored.
    """
    from quietpixel.data import load_split
    from quietpixel.models import build, complete_options
    from quietpixel.training.folder_data import is_folder
    from quietpixel.training.recipe import Recipe
    from quietpixel.workflows.train_recipe import choose_recipe

    # As an argument, `name` is that of the model and not of the recipe.
    known = {field.name for field in dataclasses.fields(Recipe)} - {"name"}
    fields = {key: value for key, value in others.items() if key in known}
    options = {"code": code, "filters": filters, "blocks": blocks}
    chosen, _ = choose_recipe(recipe, data=data, start=start, fields=fields, options=options)
    channels, size = chosen.channels, None
    if not is_folder(data):
        _, size, _, channels = load_split(data, "validation", data_dir=data_dir).images.shape
    model = build(
        chosen.model, **complete_options(chosen.model, chosen.options, channels=channels, size=size)
    )
    rows: list[tuple[str, ...]] = [("layer", "type", "output", "weights")]
    for layer in model.layers:
        output = " x ".join(str(side or "any") for side in layer.output.shape[1:])
        rows.append((layer.name, type(layer).__name__, output, f"{layer.count_params():,}"))
    return [*rows, ("all", model.name, "", f"{model.count_params():,}")]


def check_request(
    data: str,
    *,
    run: str | Path | None = None,
    resume: bool = False,
    name: str | None = None,
    devices: int | None = None,
    **fields: Any,
) -> None:
    """Check what can be before Keras is loaded, which takes seconds, and an image is read.

    Parameters
    ----------
    data, run, resume, name, devices, fields
        As for `train`; arguments that are not fields of the recipe are ignored.

    Raises
    ------
    QuietpixelError
        If an argument is unknown or breaks its rule.
    """
    from quietpixel.inference.model_store import check_name
    from quietpixel.models import MODELS
    from quietpixel.training.folder_data import check_data
    from quietpixel.training.recipe import Recipe
    from quietpixel.training.run_folder import RunFolder

    check_data(data)
    if name is not None:
        check_name(name)
    if devices is not None:
        check_number("devices", devices)
        _check_backend(devices)
    if resume:
        if run is None:
            raise ArgumentError("`resume` needs `run`, the folder of the run to continue.")
        return
    if run is not None:
        if Path(run).resolve() == Path(data).resolve():
            raise ArgumentError(
                f"`run` must be another folder than that of the images; got '{run}' for both."
            )
        folder = RunFolder(Path(run))
        with folder.lock():  # which shows whether it can be written, and says who trains in it
            folder.refuse_used()
    known = {field.name for field in dataclasses.fields(Recipe)} - {"options"}
    given = {key: fields[key] for key in known & fields.keys() if fields[key] not in (None, "auto")}
    if {"epochs", "minutes"} <= given.keys():
        raise ArgumentError(
            "`minutes` takes the place of `epochs`, so the run could not keep both; give one."
        )
    if "model" in given:
        check_known("model", given["model"], MODELS)
    # The most permissive values of what depends on images and model.
    Recipe(**{"method": "neighbours", "options": {"sigma": True}, **given})


def _check_backend(devices: int) -> None:
    """Raise ArgumentError for several devices with a backend of Keras that uses one."""
    backend = os.environ.get("KERAS_BACKEND")
    if not backend:
        file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "keras.json")
        with suppress(OSError, ValueError):
            backend = json.loads(file.read_text("utf-8")).get("backend")
    backend = backend or "tensorflow"
    if devices > 1 and backend != "jax":
        raise ArgumentError(
            f"`devices` must be 1 because Keras with {backend} cannot distribute training; got "
            f"{devices}. Set KERAS_BACKEND=jax to use several."
        )


def train(  # noqa: PLR0913  (the options of the command line)
    data: str | Path = "digits",
    *,
    model: str | None = None,
    recipe: str | None = None,
    noise: str | None = None,
    epochs: int | None = None,
    code: int | None = None,
    filters: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    seed: int = 0,
    start: str | Path | None = None,
    run: str | Path | None = None,
    resume: bool = False,
    data_dir: str | Path | None = None,
    cache: str | Path | None = None,
    name: str | None = None,
    tensorboard: bool = False,
    devices: int | None = None,
    workers: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    **overrides: Any,
) -> Path:
    """Train a denoising autoencoder and return the folder of the run.

    Parameters
    ----------
    data
        ``"digits"`` (built in), ``"mnist"``, ``"fashion-mnist"``, or a folder: of clean images; of
        pairs in ``noisy`` and ``clean`` under the same names, or named as `pairs` says; of two
        noisy shots, in ``first`` and ``second``, with ``target="noisy"``; of noisy images with
        ``target="none"``. One file or Zarr, such as a stack, stands for a folder of its pages.
    model
        ``"bottleneck"`` (a dense code), ``"unet"`` (skip connections, any size) or another model
        of `quietpixel.models.MODELS`; None uses the recipe's.
    recipe
        ``"tuned"``, ``"classic"`` or ``"wide"``; for folders ``"photo"``, ``"photo-polish"``,
        ``"photo-level"``, ``"gaussian"``, ``"pairs"`` or ``"noisy"``; None chooses the one that
        suits the data.
    noise
        Noise law as text; None uses the recipe's. For noisy images alone, the law of their noise
        if it is known; ``"auto"`` measures it.
    epochs
        Passes over the data; None uses the recipe's.
    code, filters, blocks
        Options of the model: length of the code of the bottleneck (default 16); filters of its two
        convolutions, or of each level of the unet; blocks of each level of the unet. None uses the
        recipe's. With `filters`, the run of a folder starts from random weights unless `start` is
        given. With more `blocks` than the start model has, the new ones add nothing at first.
    seed
        Seed of all randomness.
    start
        The model whose weights the run starts from: a name, an .onnx or .keras file, a run folder,
        or ``"nothing"`` for random weights. The run uses its layers and channels; other ones are
        refused, except more `blocks`, and gray instead of colour. None starts the run of a folder
        from the bundled ``photo``, or for gray pairs, a known law and hidden pixels ``photo-gray``,
        if that has the layers of the recipe, and other runs from random weights.
    run
        Folder of the run; None creates one in ``runs/``, named by data and time.
    resume
        Whether to continue the run in `run` with its recipe. Arguments that would change the recipe
        are refused; those from `data_dir` to `on_progress` may differ.
    data_dir
        Folder that is searched first for the files of a named data set.
    cache
        Folder for decoded pixels, for image folders that take long to decode; None keeps none.
    name
        Name under which the model is added to the user's own; see ``quietpixel models``.
    tensorboard
        Whether to write logs for TensorBoard to ``logs`` in the run folder.
    devices
        Number of accelerators, with the JAX backend; None uses all that Keras sees.
    workers
        Number of processes that make batches ahead of time; 0 makes them in this process. None
        uses one for a folder if there are two cores or more. The result is the same.
    on_progress
        Called with a `Progress` after each step.
    **overrides
        Other fields of `quietpixel.Recipe`, such as ``minutes``, ``channels``, ``target``,
        ``pairs``, ``masks`` and ``structure``.

    Returns
    -------
    Path
        The run folder: ``model.onnx``, ``model.keras``, ``recipe.json``, ``history.csv``,
        ``environment.json``, ``samples.png``, ``report.html``.

    Raises
    ------
    QuietpixelError
        If an argument breaks its rule, data are missing, or the loss becomes non-finite.
    KeyboardInterrupt
        If the run was interrupted; the best model so far is in the run folder.
    """
    # Before the imports, because loading Keras is part of a run by the clock.
    started = time.perf_counter()
    fields = {"model": model, "noise": noise, "epochs": epochs, "seed": seed, **overrides}
    data = check_text("data", data)
    check_request(data, run=run, resume=resume, name=name, devices=devices, **fields)
    with naming_missing("Training needs", "train"):
        from quietpixel.training.run_folder import RunFolder
        from quietpixel.training.trainer import RunOptions
        from quietpixel.workflows.train_recipe import choose_recipe, describe_measured, resume_run
        from quietpixel.workflows.train_run import carry_out

    folder = RunFolder(Path(run or new_run_path(data)))
    options = {"code": code, "filters": filters, "blocks": blocks}
    choose = partial(resume_run, folder) if resume else choose_recipe
    chosen, first = choose(recipe, data=data, start=start, fields=fields, options=options)
    how = RunOptions(
        start=first,
        data_dir=None if data_dir is None else Path(data_dir),
        cache=None if cache is None else Path(cache),
        tensorboard=tensorboard,
        devices=devices,
        workers=workers,
        on_progress=on_progress,
        started=started,
    )
    with folder.lock():
        if resume:
            folder.refuse_finished()
        else:
            folder.start(chosen)
        if noise == "auto" and not resume:
            how.notify(describe_measured(chosen))
        carry_out(chosen, folder, how, name=name)
    return folder.path
