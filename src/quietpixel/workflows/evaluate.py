"""`evaluate` and `compare`: models and classical methods on the same noisy images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from quietpixel.data import named_sets
from quietpixel.errors import (
    ArgumentError,
    ModelError,
    UnknownNameError,
    check_number,
    check_text,
    unknown_name,
)
from quietpixel.evaluation.evaluator import NOISY, Comparison, Evaluation, Method, evaluate_methods
from quietpixel.evaluation.image_pairs import cut_patches, describe_noise
from quietpixel.evaluation.methods import CLASSICAL, METHODS, tune
from quietpixel.files import refuse_foreign
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.noise.laws import Gaussian, Mixture, NoiseLaw, Ranged
from quietpixel.noise.laws import Sequence as LawSequence
from quietpixel.noise.parser import parse_noise
from quietpixel.reports.evaluation_report import write_evaluation_report
from quietpixel.training.progress import OnProgress, Progress, count_images
from quietpixel.workflows.evaluation_data import EvaluationData, open_data

CLASSICAL_IMAGES = 500
"""Images that the methods added by ``classical=True`` are evaluated on: for the 10,000 of MNIST
they take 80 s, `wavelet` alone 53 s."""

TUNING_SEED_OFFSET = 7_000_003
"""Added to the seed, so that methods are tuned on other noise than that of the evaluation."""
TUNING_COUNT, TUNING_SIDE = 40, 128
"""Limits of the patches for tuning: their number, and their side in pixels."""
TUNING_PIXELS = 6 * TUNING_SIDE**2
"""Limit of the pixels of all patches together, so that slow methods are tuned within a minute."""


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    noise: str | None = None,
    seed: int = 0,
    classical: bool = False,
    data_dir: str | Path | None = None,
    report: str | Path | Callable[[Comparison], object] | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Evaluation:
    """Evaluate one model, beside the noisy images: `compare` with one model.

    Parameters
    ----------
    model
        A bundled name, a run folder or an ``.onnx`` file.
    data, noise, seed, classical, data_dir, report, on_progress
        As for `compare`.

    Raises
    ------
    QuietpixelError
        If the model, the data or the noise law cannot be used.

    Examples
    --------
    >>> evaluation = evaluate("mnist-unet", "digits")  # doctest: +SKIP
    >>> evaluation.methods[0].psnr  # doctest: +SKIP
    """
    return compare(
        [model],
        data,
        noise=noise,
        seed=seed,
        classical=classical,
        data_dir=data_dir,
        report=report,
        on_progress=on_progress,
    )


def compare(  # noqa: PLR0913  (the options of the command line)
    models: Sequence[str | Path],
    data: str | Path,
    *,
    noise: str | Sequence[str] | None = None,
    seed: int = 0,
    classical: bool = False,
    pairs: str = "",
    channels: int | None = None,
    tuning: str | Path | None = None,
    count: int | None = None,
    precision: str = "auto",
    data_dir: str | Path | None = None,
    report: str | Path | Callable[[Comparison], object] | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Evaluation:
    """Evaluate models and classical methods on the same noisy images.

    Whole images, the output clipped to [0, 1]; each metric is the mean over the images. A classical
    method gets the parameters that are best for the noise at hand on other images.

    Parameters
    ----------
    models
        Bundled names, run folders, ``.onnx`` files, and names of methods: ``noisy``, ``median``,
        ``bilateral``, ``tv``, ``wavelet``, ``nlm``; ``opencv-nlm`` and ``bm3d`` if their packages
        are installed. The others are compared with the first. The noisy images are always added.
    data
        A named set, whose test part is used; a folder of clean images; or a folder of pairs, in
        ``noisy/`` and ``clean/`` or as `pairs` says.
    noise
        One law or several, as text. None takes the law that the first model was trained for; of a
        mixture, the first Gaussian law, and of a range, its middle. Pairs have their own noise.
    seed
        Seed of the noise.
    classical
        Whether ``median``, ``wavelet``, ``tv`` and ``nlm`` are added, on the first 500 images.
    pairs
        Name patterns of noisy and clean images, such as ``"*_real.*=*_mean.*"``.
    channels
        1 evaluates in gray, 3 in RGB. None takes 1 if the first model takes gray alone, or else
        what the folder holds.
    tuning
        A folder like `data` that the classical methods are tuned on. None takes the validation
        part of a named set, or three photographs of scikit-image; pairs need a folder.
    count
        Number of images, from the first on; None for all.
    precision
        Of the models: ``"auto"``, ``"f32"`` or ``"bf16"``.
    data_dir
        Folder that is searched first for the files of a named set.
    report
        Path of an HTML report, or a function that makes a report of another form from a
        `Comparison`; None makes none.
    on_progress
        Called with a `Progress`: a message, or the number of images that are done.

    Raises
    ------
    QuietpixelError
        If a model, a method, the data or a noise law cannot be used, or a model does not take the
        channels of the images.

    Examples
    --------
    >>> evaluation = compare(["median"], "digits", noise="gaussian:0.5", count=4)
    >>> [row.name for row in evaluation.tables[0].rows]
    ['median', 'noisy']
    """
    if report is not None and not callable(report):
        refuse_foreign(Path(report), "HTML")  # before hours of work
    check_number("seed", seed, least=0)
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise ArgumentError(f"`models` must be a list of names; got {models!r}. Try ['photo'].")
    if channels not in (None, 1, 3):
        raise ArgumentError(f"`channels` must be 1 (gray) or 3 (RGB); got {channels!r}.")
    data = check_text("data", data, "a folder or the name of a data set")
    limits = _list_methods(models, classical=classical)
    if tuning is not None and not limits.keys() & METHODS.keys():
        raise ArgumentError(
            "`tuning` is for classical methods, and only models are evaluated; omit it, or add a "
            "method such as nlm."
        )
    denoisers = {
        name: Denoiser(name, precision=precision)
        for name in limits
        if name not in {NOISY, *METHODS}
    }
    first = next(iter(denoisers.values()), None)
    # A model for RGB takes gray too, and would see noise of colour in images that have none.
    wanted = channels or (1 if first and first.card.channels == 1 else None)
    images = open_data(
        data, wanted, pairs=pairs, tuning=tuning, data_dir=data_dir,
        notify=lambda text: on_progress(Progress(message=text)),
    ).first(count)  # fmt: skip
    _check_channels(denoisers, images.channels)
    laws, trained = _choose_laws(noise, first.card.noise if first else "", own=images.own_noise)
    tables, runs = [], []
    for law in laws:
        task = "Evaluating" + ("" if law is None else f" at {describe_noise(str(law))}")
        methods = _make_methods(
            limits, denoisers, images, law, seed=seed, task=task, on_progress=on_progress
        )
        advance = count_images(task, on_progress)
        advance(0, images.pairs.count)
        tables.append(evaluate_methods(methods, images.pairs, law, seed=seed, on_progress=advance))
        runs.append((methods, law))
    evaluation = Evaluation(
        data=str(data),
        split=images.split,
        count=images.pairs.count,
        channels=images.channels,
        seed=seed,
        tuned_on=images.tuned_on if limits.keys() & METHODS.keys() else "",
        trained_noise=trained,
        trained_elsewhere=_find_other_sets(denoisers, str(data)),
        tables=tuple(tables),
    )
    card = first.card if first and len(denoisers) == 1 else None
    made = Comparison(evaluation, images.pairs, runs, labels=images.labels, card=card)
    if callable(report):
        report(made)
    elif report is not None:
        write_evaluation_report(report, made)
    return evaluation


def fix_law(law: NoiseLaw) -> NoiseLaw:
    """Return a law of one strength for a law that training draws from.

    A model trained for many levels of noise is evaluated at one of them, so that every image is
    equally hard and figures can be compared.

    Parameters
    ----------
    law
        Of a mixture, the first Gaussian law is taken, or else the first law; of a range, its
        middle.

    Examples
    --------
    >>> str(fix_law(parse_noise("camera:0.02|gaussian:0..75/255,clip=no")))
    'gaussian:0.14705882352941177,clip=no'
    """
    if isinstance(law, Mixture):
        fixed = [fix_law(each) for each in law.laws]
        return next((each for each in fixed if isinstance(each, Gaussian)), fixed[0])
    if isinstance(law, LawSequence):
        return LawSequence(tuple(fix_law(each) for each in law.laws))
    if isinstance(law, Ranged):
        main = law.lowest.main
        middle = (getattr(law.lowest, main) + getattr(law.highest, main)) / 2
        return replace(law.lowest, **{main: middle})
    return law


def _list_methods(models: Sequence[str | Path], *, classical: bool) -> dict[str, int | None]:
    """Return the names of all methods, each with the number of images it is limited to."""
    names = [str(each) for each in models]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"`models` must name each model once; got '{name}' twice.")
        if name not in {NOISY, *METHODS}:
            try:
                find_model(name)
            # A method may have been meant too, so its names are among the suggestions.
            except UnknownNameError as error:
                known = [*known_models(), NOISY, *METHODS]
                raise unknown_name("model or method", name, known) from error
    added = {name: CLASSICAL_IMAGES for name in CLASSICAL if classical and name not in names}
    return {**dict.fromkeys([*names, NOISY]), **added}


def _check_channels(denoisers: Mapping[str, Denoiser], channels: int) -> None:
    # A model for RGB takes gray images too, as three equal channels; not the other way round.
    for name, denoiser in denoisers.items():
        if denoiser.card.channels < channels:
            raise ModelError(
                f"All methods must get the same images, and these are RGB while the model '{name}' "
                "takes gray; compare models of one kind, or evaluate in gray with `channels` 1."
            )


def _find_other_sets(denoisers: Mapping[str, Denoiser], data: str) -> dict[str, str]:
    found = {name: each.card.training.get("data", "") for name, each in denoisers.items()}
    return {name: each for name, each in found.items() if each in named_sets() and each != data}


def _choose_laws(
    noise: str | Sequence[str] | None, trained: str, *, own: bool
) -> tuple[list[NoiseLaw | None], str]:
    """Return the laws of the evaluation, and the law of training that they were derived from."""
    if own:
        if noise:
            raise ArgumentError(
                "`noise` is added to clean images, and the noise of pairs is their own; omit it, "
                "or name the folder of the clean images."
            )
        return [None], ""
    if noise:
        return [parse_noise(text) for text in ([noise] if isinstance(noise, str) else noise)], ""
    if not trained:
        raise ArgumentError(
            "`noise` must be given because the first model was not trained for a known law; "
            "for example gaussian:25/255,clip=no."
        )
    law = parse_noise(trained)
    fixed = fix_law(law)
    return [fixed], "" if fixed == law else trained


def _make_methods(
    limits: Mapping[str, int | None],
    denoisers: Mapping[str, Denoiser],
    images: EvaluationData,
    law: NoiseLaw | None,
    *,
    seed: int,
    task: str,
    on_progress: OnProgress,
) -> list[Method]:
    """Return the methods for one noise: classical ones are tuned for it."""
    methods = []
    for name, limit in limits.items():
        if name == NOISY:
            methods.append(Method(NOISY, None))
        elif name in denoisers:
            size = find_model(name).stat().st_size
            scale = (0.0, 1.0) if images.full_scale else None
            methods.append(Method(name, partial(denoisers[name].batch, range=scale), size=size))
        else:
            # For each noise anew: the best parameters grow with its strength.
            pairs = images.open_tuning()
            side = min(TUNING_SIDE, *pairs.load(0)[0].shape[:2])
            count = min(TUNING_COUNT, TUNING_PIXELS // side**2)
            patches = cut_patches(
                pairs, law, seed=seed + TUNING_SEED_OFFSET, side=side, count=count
            )

            def advance(done: int, total: int, task: str = f"{task}: tuning {name}") -> None:
                on_progress(Progress(step=done, steps=total, share=done / total, task=task))

            tuned = tune(name, *patches, on_progress=advance)
            methods.append(Method(name, tuned, parameters=tuned.parameters, limit=limit))
    return methods
