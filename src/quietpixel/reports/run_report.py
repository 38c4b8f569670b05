"""What a run and an evaluation show: pictures, and the page that holds them all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quietpixel.data import Split, load_split
from quietpixel.evaluation.benchmark import Evaluation, image_errors, judge
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.error_bars import describe_coverage
from quietpixel.noise.parser import add_noise, parse_noise
from quietpixel.reports import pictures
from quietpixel.reports.page import write_report

if TYPE_CHECKING:
    from quietpixel.training.recipe import Recipe
    from quietpixel.training.run_folder import RunFolder

Images = NDArray[np.float32]
Picture = tuple[str, str, bytes]
"""Title, caption and PNG."""

Labels = NDArray[Any] | None

SHOWN = 1000
"""Validation images that a run's report is made from."""


def show_run(folder: "RunFolder", recipe: "Recipe", *, data_dir: Path | None = None) -> None:
    """Write ``samples.png`` and ``report.html`` of a finished run, from validation images."""
    from quietpixel.training.training_data import is_folder

    if is_folder(recipe.data):
        _show_folder_run(folder, recipe)
        return
    noisy, clean, labels = _load_validation(recipe, data_dir)
    denoiser = Denoiser(folder.onnx_model, precision="f32")
    about = _about(denoiser, recipe, "validation")
    evaluation = judge(denoiser.batch, clean, noisy, about=about)
    history = folder.read_history()
    shown = show_images(clean, noisy, denoiser.batch(noisy), labels=labels)
    folder.write("samples.png", shown[0][2])
    if "code" in denoiser.card.training["options"]:
        shown += _show_codes(folder, labels, noisy)
    write_report(
        folder.path / "report.html",
        title=f"{recipe.model} on {recipe.data}",
        facts=_describe_run(recipe, denoiser, len(history)),
        evaluation=evaluation,
        history=history,
        pictures=shown,
    )


def show_evaluation(
    path: Path, evaluation: Evaluation, denoiser: Denoiser, split: Split, noisy: Images
) -> None:
    """Write the report of an evaluation to `path`."""
    clean = split.as_float()
    shown = show_images(clean, noisy, denoiser.batch(noisy), labels=split.labels)
    write_report(
        path,
        title=f"{evaluation.model} on {evaluation.data}",
        facts=_describe_model(denoiser),
        evaluation=evaluation,
        history=[],
        pictures=shown,
    )


def show_images(clean: Images, noisy: Images, denoised: Images, *, labels: Labels) -> list[Picture]:
    """Return the pictures that any model has: samples, the best and worst, error by label."""
    denoised = np.clip(denoised, 0, 1)
    errors = image_errors(clean, denoised)
    first = np.arange(len(clean))[:10] if labels is None else pictures.first_of_each(labels)
    rows = (clean[first], noisy[first], denoised[first])
    sample = pictures.samples(*rows, labels=None if labels is None else labels[first])
    extremes = pictures.extremes(clean, noisy, denoised, errors)
    shown = [
        ("Samples", "The first images, one of each label; never chosen by hand.", sample),
        ("Best and worst", "The images with the least and the most error left.", extremes),
    ]
    if labels is not None:
        by_digit = pictures.error_by_digit(errors, labels)
        shown.append(("Error by label", "Mean squared error, with 95 % intervals.", by_digit))
    return shown


def _show_folder_run(folder: "RunFolder", recipe: "Recipe") -> None:
    """Show whole validation images of a folder; scores of patches where there are clean ones."""
    from quietpixel.reports import folder_report as whole
    from quietpixel.training.folder_data import open_folder
    from quietpixel.training.training_data import from_folder

    pictured = open_folder(recipe, cache=None, notify=lambda text: None)
    denoiser = Denoiser(folder.onnx_model, precision="f32")
    scenes = whole.denoise_scenes(recipe, pictured, denoiser)
    validation = denoiser.card.scores["validation"]
    quality = whole.estimate_quality(recipe, scenes, denoiser, validation)
    shown = whole.show_scenes(scenes)
    if shown:
        folder.write("samples.png", shown[0][2])
    evaluation = None
    if scenes and scenes[0].clean is not None:
        inputs, clean = from_folder(recipe, pictured).validation
        noisy = inputs[0] if isinstance(inputs, tuple) else inputs
        about = _about(denoiser, recipe, "patches of validation images")
        evaluation = judge(denoiser.batch, clean, noisy, about=about)
    history = folder.read_history()
    write_report(
        folder.path / "report.html",
        title=f"{recipe.model} on {Path(recipe.data).name}",
        facts={**_describe_run(recipe, denoiser, len(history)), **quality},
        evaluation=evaluation,
        history=history,
        pictures=shown,
    )


def _about(denoiser: Denoiser, recipe: "Recipe", split: str) -> Mapping[str, Any]:
    return {
        "model": denoiser.card.name,
        "data": recipe.data,
        "split": split,
        "noise": recipe.noise or "their own",
        "seed": recipe.seed,
    }


def _load_validation(recipe: "Recipe", data_dir: Path | None) -> tuple[Images, Images, Labels]:
    split = load_split(recipe.data, "validation", data_dir=data_dir)
    clean = split.as_float()[:SHOWN]
    noisy = add_noise(clean, parse_noise(recipe.noise), seed=recipe.seed)
    return noisy, clean, None if split.labels is None else split.labels[:SHOWN]


def _show_codes(folder: "RunFolder", labels: Labels, noisy: Images) -> list[Picture]:
    from quietpixel.models.bottleneck import open_halves

    encode, decode = open_halves(folder.keras_model)
    codes = encode(noisy)
    if labels is None:
        return []
    first = pictures.first_of_each(labels)
    pairs = list(zip(first[:-1:2], first[1::2], strict=False))
    walks = np.stack([pictures.walk_codes(codes[a], codes[b]) for a, b in pairs])
    flat = walks.reshape(-1, codes.shape[1])
    frames = decode(flat).reshape(*walks.shape[:2], *noisy.shape[1:])
    names = [f"{labels[a]} to {labels[b]}" for a, b in pairs]
    size = codes.shape[1]
    return [
        (
            "Map of the codes",
            f"The {size} numbers of each noisy image, brought into the plane by t-SNE.",
            pictures.code_map(codes, labels),
        ),
        (
            "Walks between codes",
            "Codes on the straight line between those of two images, decoded.",
            pictures.code_walk(frames, names=names),
        ),
    ]


def _describe_run(recipe: "Recipe", denoiser: Denoiser, epochs: int) -> Mapping[str, Any]:
    return {
        **_describe_model(denoiser),
        "Recipe": recipe.name,
        "Epochs": epochs,
        "Optimiser": f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}",
        "Seed": recipe.seed,
        "Judged on": "validation images, which training chose its best epoch by",
    }


def _describe_model(denoiser: Denoiser) -> dict[str, Any]:
    card = denoiser.card
    return {
        "Architecture": card.architecture,
        "Trained on": card.data,
        "Trained for": card.noise or "the noise of its images",
        "Weights": f"{card.parameters:,}" if card.parameters else "not said",
        "Multiply-adds per pixel": f"{card.operations:,}" if card.operations else "not said",
        "Trained in": card.training.get("precision", "not said"),
        **({"Error bars": describe_coverage(card.uncertainty)} if card.uncertainty else {}),
    }
