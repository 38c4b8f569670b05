"""The demonstration: an autoencoder trained on digits, and a noisy photo, each beside rivals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quietpixel.evaluation.evaluator import Comparison, Evaluation
from quietpixel.evaluation.methods import CLASSICAL, load_scikit_image
from quietpixel.files import Picture, write_picture
from quietpixel.reports.charts import learning_curves
from quietpixel.reports.evaluation_report import describe_model, result_sections
from quietpixel.reports.folder_report import draw_scene, show_residual
from quietpixel.reports.page import build_page, heading, picture_section, write_page
from quietpixel.reports.pictures import SCRIPT
from quietpixel.training.progress import OnProgress
from quietpixel.training.run_folder import RunFolder
from quietpixel.workflows.evaluate import compare
from quietpixel.workflows.train import train

PHOTO_NOISE = "poisson:60+gaussian:0.02"
"""Few photons and read noise, as at high ISO; one law, so that rivals can be tuned for it."""
DIGITS = (
    "{run} is an autoencoder that was trained here, on digits with noise of half the range from "
    "black to white. Each image passes through 16 numbers. The noisy digits and the classical "
    "methods are beside it, these with the best parameters for this noise."
)
PHOTO = (
    "A photograph (Rachel Michetti, CC0) with simulated high-ISO noise, denoised by a bundled "
    "model, which found the noise level by itself. The classical methods were given the best "
    "parameters for this noise."
)


def run_demo(
    run: str | Path | None = None,
    *,
    epochs: int = 25,
    on_progress: OnProgress = lambda progress: None,
) -> tuple[Path, Sequence[Evaluation]]:
    """Train on digits, denoise a photo, compare both with classical methods, and report.

    Parameters
    ----------
    run
        Folder of the run; None creates one in ``runs/``.
    epochs
        Passes over the digits.
    on_progress
        Called with a `Progress` after each step.

    Returns
    -------
    folder
        The run folder, with ``report.html``, ``photo-noisy.png`` and ``photo-clean.png``.
    evaluations
        The results on digits and on the photo.
    """
    folder = RunFolder(train("digits", epochs=epochs, run=run, on_progress=on_progress))
    made: list[Comparison] = []
    compare([folder.path], "digits", classical=True, report=made.append, on_progress=on_progress)
    # A folder of its own, because every image in the folder is evaluated.
    source = folder.path / "photo"
    source.mkdir(exist_ok=True)
    picture = Picture.from_pixels(load_scikit_image("data").coffee())
    write_picture(picture, source / "coffee.png", overwrite=True)
    rivals = ["photo", *CLASSICAL]
    compare(rivals, source, noise=PHOTO_NOISE, report=made.append, on_progress=on_progress)
    digits, photo = made
    facts = {**(describe_model(digits.card) if digits.card else {}), "Epochs": epochs}
    sections = [
        heading("Digits", DIGITS.format(run=folder.path)),
        *result_sections(digits),
        picture_section("Learning", "Error by epoch.", learning_curves(folder.read_history())),
        heading("A photo", PHOTO),
        show_photo(photo, folder.path),
        *result_sections(photo),
    ]
    page = build_page("quietpixel: digits and a photo", facts, sections, script=SCRIPT)
    write_page(folder.path / "report.html", page)
    return folder.path, (digits.evaluation, photo.evaluation)


def show_photo(photo: Comparison, folder: Path) -> str:
    """Write the photo before and after as files, and return a section that shows both."""
    methods, law = photo.runs[0]
    # The same seed as in the evaluation, so that the picture shows what the table measured.
    clean, noisy = photo.pairs.pair(0, law, photo.evaluation.seed)
    # The first that runs: the noisy image is a method too, without one.
    model = next(each.run for each in methods if each.run)
    denoised = np.clip(model(noisy[None])[0], 0, 1)
    for name, image in (("noisy", noisy), ("clean", denoised)):
        pixels = np.rint(255 * image).astype(np.uint8)
        write_picture(Picture.from_pixels(pixels), folder / f"photo-{name}.png", overwrite=True)
    states = {"noisy": noisy, "denoised": denoised, "removed": show_residual(noisy, denoised)}
    drawn = draw_scene([*states.items(), ("original", clean)])
    caption = "Whole, and a detail with each pixel as 2 x 2. Removed: noise should have no shapes."
    return picture_section("Before and after", caption, drawn)
