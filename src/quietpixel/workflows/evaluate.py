"""The word `evaluate`: a model is judged on the test split of a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quietpixel.noise.parser import add_noise, parse_noise

if TYPE_CHECKING:
    from quietpixel.evaluation.benchmark import Evaluation
    from quietpixel.training.progress import Progress

OnProgress = Callable[["Progress"], None]
TUNING_IMAGES = 40
"""Validation images by which the classical methods choose their parameters."""
TUNING_SEED_OFFSET = 7_000_003
"""Added to the seed, so that the rivals are not tuned on the noise they are judged on."""


def _ignore(progress: "Progress") -> None:
    pass


def evaluate(
    model: str | Path,
    data: str,
    *,
    noise: str | None = None,
    seed: int = 0,
    classical: bool = False,
    data_dir: str | Path | None = None,
    report: str | Path | None = None,
    on_progress: OnProgress = _ignore,
) -> "Evaluation":
    """Judge a model on the test split of a data set, beside the noisy images.

    Parameters
    ----------
    model
        A bundled name, a run folder or an ``.onnx`` file.
    data
        ``"digits"``, ``"mnist"`` or ``"fashion-mnist"``.
    noise
        Noise law as text; None takes the one that the model was trained for.
    seed
        Decides the noise.
    classical
        Whether the classical methods are judged too, tuned on noisy validation images.
    data_dir
        Where the data's files are looked for first.
    report
        Where a report is written as HTML, if at all.
    on_progress
        Called with a `Progress` whose message says what is being done.

    Raises
    ------
    QuietpixelError
        If the model, the data or the noise law cannot be had.
    """
    from quietpixel.data import load_split
    from quietpixel.evaluation.benchmark import judge
    from quietpixel.inference.denoiser import Denoiser

    denoiser = Denoiser(model)
    law = parse_noise(noise or denoiser.card.noise)
    split = load_split(data, "test", data_dir=_path(data_dir))
    clean = split.as_float()
    noisy = add_noise(clean, law, seed=seed)
    rivals = None
    if classical:
        rivals = _tune_rivals(data, law, seed, _path(data_dir), on_progress)
    about = {"model": str(model), "data": data, "split": "test", "noise": str(law), "seed": seed}
    evaluation = judge(denoiser.batch, clean, noisy, about=about, rivals=rivals)
    if report is not None:
        from quietpixel.reports.run_report import show_evaluation

        show_evaluation(Path(report), evaluation, denoiser, split, noisy)
    return evaluation


def _tune_rivals(
    data: str, law: Any, seed: int, data_dir: Path | None, on_progress: OnProgress
) -> dict[str, Any]:
    from quietpixel.data import load_split
    from quietpixel.evaluation.classical import tune_all
    from quietpixel.training.progress import Progress

    clean = load_split(data, "validation", data_dir=data_dir).as_float()[:TUNING_IMAGES]
    noisy = add_noise(clean, law, seed=seed + TUNING_SEED_OFFSET)
    return tune_all(
        clean,
        noisy,
        progress=lambda name: on_progress(Progress(message=f"Tuning and judging {name}")),
    )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
