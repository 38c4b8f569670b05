"""Compare designs of the photo model that take about the same time to denoise an image.

    python benchmarks/photo_designs.py PHOTOS RUNS [--epochs 43] [--only DESIGN ...]

Each is trained from scratch by the recipe ``photo-level`` on the same patches in the same order (43
epochs of 200 steps, 0.63 billion pixels, take `today` an hour on one core of an AMD EPYC with
bfloat16; 20 of `ConvNeXt blocks` take as long: ``--only "ConvNeXt blocks" --epochs 20`` first, then
all three). PHOTOS is a folder of clean photographs; every 20th by name is kept for validation. RUNS
gets a run folder for each design, with its curve in history.csv; a run that was interrupted is
continued. Prints a row of a Markdown table for each design: the time of the engine beside that of
`today`, in turn, and PSNR in dB on the middle 256 x 256 pixels of the validation photographs, level
given.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from level_checks import grain, read_middle, validation

from quietpixel.imaging.metrics import psnr
from quietpixel.inference.denoiser import Denoiser
from quietpixel.training.named_recipes import named_recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import run_recipe

DESIGNS = {
    "today": {"filters": (16, 48, 96, 128), "blocks": (1, 2, 2, 1)},
    "half-resolution entry": {"filters": (64, 96, 160), "blocks": (1, 2, 2), "entry": 2},
    "ConvNeXt blocks": {
        "filters": (16, 48, 96, 128),
        "blocks": (1, 3, 4, 3),
        "block": "convnext",
    },
}
KINDS = {
    "white 15": (15, 0, 0),
    "white 25": (25, 0, 0),
    "white 50": (50, 0, 0),
    "shared 20": (20, 0, 1),
    "grain 11.3, blurred by 0.9": (11.3, 0.9, 1),
}
"""Standard deviation of 255, blur in pixels, and the part that the channels share."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--epochs", type=int, default=43)
    parser.add_argument("--only", nargs="+", default=list(DESIGNS), choices=list(DESIGNS))
    given = parser.parse_args()
    for name in given.only:
        train(given.runs / name, str(given.photos), DESIGNS[name], given.epochs)
    denoisers = {name: Denoiser(given.runs / name) for name in given.only}
    seconds = time_in_turn(denoisers)
    crops = [read_middle(path) for path in validation(given.photos)]
    print("| design | multiply-adds per pixel | time |", " | ".join(KINDS), "| hours |")
    print("|---" * (len(KINDS) + 4) + "|")
    for name, denoiser in denoisers.items():
        history = RunFolder(given.runs / name).read_history()
        hours = sum(float(row["seconds"]) for row in history) / 3600
        scores = " | ".join(f"{score(denoiser, crops, *kind):.2f}" for kind in KINDS.values())
        ratio = seconds[name] / next(iter(seconds.values()))
        print(f"| {name} | {denoiser.card.operations:,} | {ratio:.2f} | {scores} | {hours:.2f} |")


def train(run: Path, photos: str, options: dict[str, object], epochs: int) -> None:
    """Train a design, or continue its training, or leave it if it is finished."""
    folder = RunFolder(run)
    recipe = named_recipe(
        "photo-level",
        data=photos,
        options={**options, "output": "residual", "sigma": True},
        learning_rate=2e-3,  # the recipe's own is for weights that are trained already
        channels=3,
        epochs=epochs,
    )
    if not folder.recipe.exists():
        folder.start(recipe)
    if not folder.onnx_model.exists() or folder.checkpoint.exists():
        run_recipe(recipe, folder)


def time_in_turn(denoisers: dict[str, Denoiser], repeats: int = 7) -> dict[str, float]:
    """Return the least processor time of each on one megapixel."""
    image = np.random.default_rng(0).random((1024, 1024, 3), np.float32)
    least = dict.fromkeys(denoisers, np.inf)
    for _ in range(repeats):
        for name, denoiser in denoisers.items():
            start = time.process_time()
            denoiser(image, sigma=0.1)
            least[name] = min(least[name], time.process_time() - start)
    return least


def score(
    denoiser: Denoiser, crops: list[np.ndarray], sigma: float, blur: float, shared: float
) -> float:
    """Return the mean PSNR in dB on noise of a fixed seed, not clipped, with the level given."""
    noise = grain(sigma, blur, shared)
    values = []
    for seed, clean in enumerate(crops):
        noisy = noise(clean, np.random.default_rng(seed))
        denoised = denoiser(noisy, sigma=sigma / 255, range=(0, 1))
        values.append(psnr(clean, np.clip(denoised, 0, 1)))
    return float(np.mean(values))


if __name__ == "__main__":
    main()
