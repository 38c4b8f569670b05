"""The word `compare`: several models and methods on the same noisy images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from quietpixel.errors import ArgumentError, ModelError, UnknownNameError, unknown_name
from quietpixel.evaluation.benchmark import NOISY
from quietpixel.evaluation.classical import tune
from quietpixel.evaluation.comparison import Comparison, Contestant, compare_methods
from quietpixel.evaluation.optional_methods import ALL_METHODS
from quietpixel.evaluation.trials import Trials, cut_patches, describe_noise
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import find_model, known_models
from quietpixel.noise.parser import NoiseLaw, parse_noise
from quietpixel.reports.comparison_report import write_comparison_report
from quietpixel.reports.crops import build_crops, choose_images
from quietpixel.reports.worst_images import draw_worst
from quietpixel.training.progress import Progress
from quietpixel.workflows.comparison_data import ComparisonData, open_material

OnProgress = Callable[[Progress], None]

METHOD_NAMES = (NOISY, *ALL_METHODS)
"""Every name that stands for a method and not for a model."""

SCALE = (0.0, 1.0)
"""Black and white of the images, so that noise beyond them is no reason to find others."""
TUNING_SEED_OFFSET = 7_000_003
"""Added to the seed, so that methods are not tuned on the noise they are judged on."""
TUNING_COUNT, TUNING_SIDE = 40, 128
"""Patches that methods are tuned on, and their sides in pixels at most."""
TUNING_PIXELS = 6 * TUNING_SIDE**2
"""What all patches hold together at most, so that slow methods are tuned within a minute."""

WORST_CAPTION = (
    "One to one, the squares in which the first method is farthest from the clean image; images "
    "are counted from 1."
)


def compare(  # noqa: PLR0913  (the words of the command line)
    models: Sequence[str | Path],
    data: str | Path,
    *,
    noise: str | Sequence[str] | None = None,
    seed: int = 0,
    pairs: str = "",
    channels: int | None = None,
    tuning: str | Path | None = None,
    count: int | None = None,
    precision: str = "auto",
    data_dir: str | Path | None = None,
    report: str | Path | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Comparison:
    """Judge several models and classical methods on the same noisy images.

    Whole images, the output clipped to [0, 1], the mean of each image's PSNR. A classical method
    gets the parameters that are best for the noise at hand on other images than those judged.

    Parameters
    ----------
    models
        Bundled names, run folders, ``.onnx`` files, and names of methods: ``noisy``, ``median``,
        ``bilateral``, ``tv``, ``wavelet``, ``nlm``; ``opencv-nlm`` and ``bm3d`` if their packages
        are installed. Differences are to the first.
    data
        A named set, whose test part is used, a folder of clean pictures, or a folder of pairs: in
        ``noisy/`` and ``clean/``, or as `pairs` says.
    noise
        One law or several as text; None takes the one that the first model was trained for. Pairs
        have their own.
    seed
        Decides the noise.
    pairs
        Two patterns of names, noisy and clean, such as ``"*_real.*=*_mean.*"``.
    channels
        1 judges in gray, 3 in RGB; None takes what the first model takes, or what the folder holds.
    tuning
        A folder like `data` by which the classical methods are tuned. None takes the validation
        part of a named set, or three photographs of scikit-image; pairs need one.
    count
        Judge on the first so many images only.
    precision
        Of the models: ``"auto"``, ``"f32"`` or ``"bf16"``.
    data_dir
        Where the files of a named set are looked for first.
    report
        Where a report is written as HTML, if at all.
    on_progress
        Called with a `Progress` whose message says what is being done.

    Raises
    ------
    QuietpixelError
        If a model, a method, the data or a noise law cannot be had, or images and models differ in
        their channels.

    Examples
    --------
    >>> found = compare(["median", "wavelet"], "digits", noise="gaussian:0.5", count=4)
    >>> [row.name for row in found.tables[0].rows]
    ['median', 'wavelet', 'noisy']
    """
    names = [str(each) for each in models]
    if NOISY not in names:
        names.append(NOISY)
    check_models(names)
    opened = {
        name: Denoiser(name, precision=precision) for name in names if name not in METHOD_NAMES
    }
    wanted = channels or next((one.card.channels for one in opened.values()), None)
    material = open_material(data, wanted, pairs=pairs, tuning=tuning, data_dir=data_dir)
    _check_channels(opened, material.channels)
    trials = _first(material.trials, count)
    laws = _choose_laws(noise, opened, material)
    tables, pictures, crops = [], [], []
    for law in laws:
        where = f" at {describe_noise(str(law))}" if law is not None else ""
        notify = partial(_notify, on_progress, where)
        contestants = [
            _enter(name, opened, material, law, seed=seed, notify=notify) for name in names
        ]
        table = compare_methods(contestants, trials, law, seed=seed, on_progress=notify)
        tables.append(table)
        if report is not None:
            drawn = draw_worst(contestants, trials, law, seed=seed, numbers=table.worst)
            pictures.append(
                (f"The worst images, {describe_noise(table.noise)}", WORST_CAPTION, drawn)
            )
            chosen = choose_images(table.rows[0].psnr)
            crops.append(build_crops(contestants, trials, law, seed=seed, chosen=chosen))
    tuned = any(name in ALL_METHODS for name in names)
    comparison = Comparison(
        data=str(data),
        count=trials.count,
        channels=material.channels,
        seed=seed,
        tuned_on=material.tuned_on if tuned else "",
        tables=tuple(tables),
    )
    if report is not None:
        write_comparison_report(
            Path(report), comparison, pictures=pictures, crops=crops, name_of=trials.name
        )
    return comparison


def check_models(names: Sequence[str]) -> None:
    """Refuse a name that is neither a model nor a method, and one that is given twice.

    Raises
    ------
    ArgumentError, UnknownNameError, ModelError
        Which of the names it is, and what may have been meant.
    """
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(
                f"Each model must be named once to be compared; got '{name}' twice."
            )
        if name in METHOD_NAMES:
            continue
        try:
            find_model(name)
        except UnknownNameError as error:
            known = [*known_models(), *METHOD_NAMES]
            raise unknown_name("model or method", name, known) from error


def _notify(on_progress: OnProgress, where: str, words: str) -> None:
    on_progress(Progress(message=f"Judging{where}: {words}"))


def _enter(
    name: str,
    opened: dict[str, Denoiser],
    material: ComparisonData,
    law: NoiseLaw | None,
    *,
    seed: int,
    notify: Callable[[str], None],
) -> Contestant:
    """Return a model, or a method that is tuned for this noise."""
    if name == NOISY:
        return Contestant(NOISY, None)
    if name in opened:
        run = partial(opened[name].batch, range=SCALE)
        return Contestant(name, run, size=find_model(name).stat().st_size)
    notify(f"tuning {name}")
    trials = material.tuning()
    side = min(TUNING_SIDE, *trials.open(0)[0].shape[:2])
    most = min(TUNING_COUNT, TUNING_PIXELS // side**2)
    clean, noisy = cut_patches(trials, law, seed=seed + TUNING_SEED_OFFSET, side=side, count=most)
    method = tune(ALL_METHODS[name], clean, noisy)
    return Contestant(name, method, parameters=method.parameters)


def _choose_laws(
    noise: str | Sequence[str] | None, opened: dict[str, Denoiser], material: ComparisonData
) -> list[NoiseLaw | None]:
    given = [noise] if isinstance(noise, str) else list(noise or ())
    if material.own_noise:
        if given:
            raise ArgumentError(
                "`noise` is added to clean pictures, and the data are pairs whose noise is their "
                "own; leave it out, or name the folder of the clean ones."
            )
        return [None]
    if not given:
        given = [next((each.card.noise for each in opened.values()), "")]
    if not given[0]:
        raise ArgumentError(
            "`noise` must be said because no model is given that was trained for one; for example "
            "--noise gaussian:25/255,clip=no."
        )
    return [parse_noise(text) for text in given]


def _check_channels(opened: dict[str, Denoiser], channels: int) -> None:
    words = {1: "gray", 3: "RGB"}
    for name, denoiser in opened.items():
        if denoiser.card.channels != channels:
            raise ModelError(
                f"All methods must get the same images, and these are {words[channels]} while the "
                f"model '{name}' takes {words[denoiser.card.channels]}; compare models of one "
                "kind, or choose by channels=1 or 3 (--channels)."
            )


def _first(trials: Trials, count: int | None) -> Trials:
    if count is not None and count < 1:
        raise ArgumentError(f"`count` must be at least 1; got {count}.")
    return replace(trials, count=min(trials.count, count or trials.count))
