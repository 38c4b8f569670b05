"""The report of a training run: scores, pictures, learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from quietpixel.array_types import Array, Images
from quietpixel.data import load_split
from quietpixel.evaluation.evaluator import NOISY, Method, Table, evaluate_methods
from quietpixel.evaluation.image_pairs import ImagePairs
from quietpixel.imaging.brightness import measure_brightness
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.parser import add_noise, parse_noise
from quietpixel.reports import pictures
from quietpixel.reports.charts import code_map, learning_curves
from quietpixel.reports.evaluation_report import describe_model, evaluation_sections
from quietpixel.reports.figures import Block, draw_mosaic
from quietpixel.reports.folder_report import denoise_scenes, estimate_quality, show_scenes
from quietpixel.reports.page import Picture, build_page, picture_section, write_page
from quietpixel.training.folder_data import is_folder, open_folder
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.training_data import from_folder

SHOWN = 1000
"""Validation images that the report of a named set is made from."""
LEARNING_CAPTION = (
    "The training error is the mean over an epoch in which the model still learns, and dropout, if "
    "any, acts only there; so the validation error may be lower."
)


def show_run(folder: RunFolder, recipe: Recipe, *, data_dir: Path | None = None) -> None:
    """Write ``samples.png`` and ``report.html`` of a finished run, from validation images."""
    # Not bfloat16: the report of a run is the same on every processor.
    denoiser = Denoiser(folder.onnx_model, precision="f32")
    show = _show_folder if is_folder(recipe.data) else _show_named_set
    tables, quality, shown = show(folder, recipe, denoiser, data_dir)
    if shown:
        folder.write("samples.png", shown[0][2])
    history = folder.read_history()
    if history:
        shown.append(("Learning", LEARNING_CAPTION, learning_curves(history)))
    facts = {
        **describe_model(denoiser.card),
        "Recipe": recipe.name,
        "Epochs": len(history),
        "Optimizer": f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}",
        "Seed": recipe.seed,
        "Evaluated on": "validation images, which also chose the best epoch",
        **quality,
    }
    sections = [*evaluation_sections(tables), *(picture_section(*each) for each in shown)]
    title = f"{recipe.model} on {Path(recipe.data).name}"
    write_page(folder.path / "report.html", build_page(title, facts, sections))


Shown = tuple[Sequence[Table], Mapping[str, str], list[Picture]]
"""Tables, quality as words and values, and pictures; the first picture becomes samples.png."""


def _show_named_set(
    folder: RunFolder, recipe: Recipe, denoiser: Denoiser, data_dir: Path | None
) -> Shown:
    split = load_split(recipe.data, "validation", data_dir=data_dir)
    clean = split.as_float()[:SHOWN]
    noisy = add_noise(clean, parse_noise(recipe.noise), seed=recipe.seed)
    labels = None if split.labels is None else split.labels[:SHOWN]
    table = _evaluate(denoiser, recipe, clean, noisy)
    shown = pictures.show_images(clean, noisy, denoiser.batch(noisy), labels=labels)
    if labels is not None and "code" in denoiser.card.training["options"]:
        shown += _show_codes(folder, labels, noisy)
    return [table], {}, shown


def _show_folder(
    folder: RunFolder, recipe: Recipe, denoiser: Denoiser, data_dir: Path | None
) -> Shown:
    """Show whole validation images of a folder; scores of patches where there are clean ones."""
    recipe = replace(recipe, masks="")  # scores are those of whole images
    # As they are stored, which is what denoising starts from.
    images = open_folder(replace(recipe, measured=False), cache=None, notify=lambda text: None)
    scenes = denoise_scenes(recipe, images, denoiser)
    quality = estimate_quality(recipe, scenes, denoiser, denoiser.card.scores["validation"])
    tables = []
    if scenes and scenes[0].clean is not None:
        inputs, clean = from_folder(recipe, images).validation
        noisy = inputs[0] if isinstance(inputs, tuple) else inputs
        tables = [_evaluate(denoiser, recipe, clean, noisy)]
        quality = {"Scores": f"on {len(clean):,} patches of validation images", **quality}
    if scenes and not denoiser.card.uncertainty:  # a calibration has measured it on more images
        found = measure_brightness([s.noisy for s in scenes], [s.denoised for s in scenes])
        quality |= {"Brightness": found.describe()} if found else {}
    return tables, quality, show_scenes(scenes)


def _evaluate(denoiser: Denoiser, recipe: Recipe, clean: Images, noisy: Images) -> Table:
    methods = [Method(denoiser.card.name, denoiser.batch), Method(NOISY, None)]
    pairs = ImagePairs.from_arrays(clean, noisy)
    # No memory: that takes a second run in another process, and training must not last longer.
    table = evaluate_methods(methods, pairs, None, seed=recipe.seed, measure_memory=False)
    return replace(table, noise=recipe.noise)


def _show_codes(folder: RunFolder, labels: Array, noisy: Images) -> list[Picture]:
    """Return a map of the codes of a bottleneck, and walks between those of two images."""
    from quietpixel.models.bottleneck import open_halves

    encode, decode = open_halves(folder.keras_model)
    codes = encode(noisy)
    size = codes.shape[1]
    first = pictures.first_of_each(labels)
    # The last of an odd number of labels has no partner.
    pairs = list(zip(first[:-1:2], first[1::2], strict=False))
    walks = np.stack([np.linspace(codes[a], codes[b], 10, dtype=np.float32) for a, b in pairs])
    frames = decode(walks.reshape(-1, size)).reshape(*walks.shape[:2], *noisy.shape[1:])
    names = [f"{labels[a]} to {labels[b]}" for a, b in pairs]
    return [
        (
            "Map of the codes",
            f"The {size} numbers of each noisy image, projected to two dimensions by t-SNE.",
            code_map(codes, labels),
        ),
        (
            "Walks between codes",
            "Codes on the straight line between those of two images, decoded.",
            draw_mosaic(Block(frames, names)),
        ),
    ]
