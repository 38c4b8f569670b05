"""The word `train`: a recipe is chosen, carried out, calibrated and shown."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quietpixel.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    from quietpixel.training.progress import Progress

OnProgress = Callable[["Progress"], None]


def _ignore(progress: "Progress") -> None:
    pass


def train(  # noqa: PLR0913  (the words of the command line)
    data: str = "digits",
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
    on_progress: OnProgress = _ignore,
    **overrides: Any,
) -> Path:
    """Train a denoising autoencoder and return the folder of the run.

    Parameters
    ----------
    data
        ``"digits"`` (built in), ``"mnist"``, ``"fashion-mnist"``, or a folder: of clean pictures;
        of pairs in ``noisy`` and ``clean`` under the same names, or named as `pairs` says; of
        noisy pictures with ``target="none"``.
    model
        ``"bottleneck"`` (a dense code) or ``"unet"`` (skip connections, any size); None takes the
        recipe's.
    recipe
        ``"tuned"``, ``"classic"`` or ``"wide"``; for folders ``"photo"``, ``"photo-polish"``,
        ``"gaussian"``, ``"pairs"`` or ``"noisy"``; None takes the one that suits the data.
    noise
        Noise law as text; None takes the recipe's. Of noisy pictures alone, the law of the noise
        that is in them, if it is known; `"auto"` measures it.
    epochs
        Passes over the data; None takes the recipe's.
    code
        Length of the code of the bottleneck; None takes 16.
    filters
        Filters of the two convolutions of the bottleneck, or of each level of the unet; None takes
        the recipe's. A folder's run then begins with nothing, unless `start` says otherwise.
    blocks
        Blocks of each level of the unet; None takes the recipe's. A start with fewer grows: what it
        has not yet does nothing at first.
    seed
        Decides all randomness.
    start
        The model whose weights are the first ones: a name, an .onnx or .keras file, a run folder,
        or ``"nothing"``. Its layers and channels become those of the run; if others are asked for,
        but for more `blocks` and gray instead of colour, it is refused. None begins the run of a
        folder with the bundled ``photo`` or ``photo-gray`` where that has the layers of the recipe,
        and others with nothing.
    run
        Folder of the run; None makes one below ``runs/``, named by data and time.
    resume
        Go on with the run in `run`, as its recipe says; the other arguments do not count.
    data_dir
        Where the data's files are looked for first.
    cache
        A folder where decoded pixels are kept, for folders that take long to decode.
    name
        Puts the model among the user's own under this name; see ``quietpixel models``.
    tensorboard
        Whether logs for TensorBoard are written to ``logs`` in the run folder.
    devices
        On how many accelerators, with the JAX backend; None takes all that Keras can use.
    on_progress
        Called with a `Progress` after each step.
    overrides
        Other fields of `quietpixel.Recipe`, such as ``minutes``, ``channels``, ``target``,
        ``pairs`` and ``structure``.

    Returns
    -------
    Path
        The run folder: ``model.onnx``, ``model.keras``, ``recipe.json``, ``history.csv``,
        ``environment.json``, ``samples.png``, ``report.html``.

    Raises
    ------
    QuietpixelError
        If an argument breaks its rule, data are missing, or the loss stops to be finite.
    KeyboardInterrupt
        If the run was interrupted; the best so far is in the run folder as after its end.
    """
    try:
        from quietpixel.training.progress import Progress
        from quietpixel.training.run_folder import RunFolder
        from quietpixel.workflows.train_recipe import choose_recipe, describe_measured, reopen_start
        from quietpixel.workflows.train_run import carry_out
        from quietpixel.workflows.user_models import check_name
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Training needs {error.name}, which is not installed; install it with: "
            "pip install 'quietpixel[train]'."
        ) from error

    if resume and run is None:
        raise ArgumentError("`resume` needs `run`, the folder of the run to go on with.")
    if name is not None:
        check_name(name)
    folder = RunFolder(Path(run) if run else _new_run(data))
    if resume:
        folder.refuse_finished()
        chosen = folder.read_recipe()
        begun = reopen_start(chosen)
    else:
        changes = {"noise": noise, "epochs": epochs, "seed": seed, **overrides}
        chosen, begun = choose_recipe(
            recipe,
            data=data,
            model=model,
            code=code,
            filters=filters,
            blocks=blocks,
            start=start,
            changes=changes,
        )
        folder.start(chosen)
        if noise == "auto":
            on_progress(Progress(message=describe_measured(chosen)))

    carry_out(
        chosen,
        folder,
        data_dir=_path(data_dir),
        name=name,
        start=begun,
        cache=_path(cache),
        on_progress=on_progress,
        tensorboard=tensorboard,
        devices=devices,
    )
    return folder.path


def _new_run(data: str) -> Path:
    return Path("runs") / f"{Path(data).name}-{datetime.now():%Y%m%d-%H%M%S}"


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
