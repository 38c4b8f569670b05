"""Compares designs of the photo model: each is trained for the same time, then timed and scored.

Usage: python benchmarks/photo_designs.py FOLDER RUNS [MINUTES] [DESIGN ...]

FOLDER holds clean photographs; every 20th by name is kept for validation. RUNS is where the run
folders go. Prints a row of a Markdown table for each design.
"""

import sys
import time
from pathlib import Path

import numpy as np

from quietpixel.imaging.metrics import psnr
from quietpixel.inference.denoiser import Denoiser
from quietpixel.noise.parser import image_rng
from quietpixel.training.folder_data import open_folder
from quietpixel.training.named_recipes import named_recipe
from quietpixel.training.run_folder import RunFolder
from quietpixel.training.trainer import run_recipe

DESIGNS = {
    "full-46": {"filters": (16, 48, 96), "blocks": (0, 1, 2)},
    "full-62-deep": {"filters": (16, 48, 96, 160), "blocks": (0, 1, 1, 2)},
    "full-62-wide": {"filters": (16, 64, 128), "blocks": (0, 1, 1)},
    "half-45-deep": {"filters": (32, 64, 128), "blocks": (1, 2, 3), "entry": 2},
    "half-69-deep": {"filters": (48, 96, 192), "blocks": (1, 1, 2), "entry": 2},
    "half-69-wide": {"filters": (64, 96, 128), "blocks": (1, 1, 1), "entry": 2},
    "half-94": {"filters": (64, 128, 192), "blocks": (1, 1, 1), "entry": 2},
}
SIGMAS = (15, 25, 50)
CROP = 256


def train(name, folder, runs, minutes):
    """Train a design and return its run folder."""
    options = {**DESIGNS[name], "output": "residual", "sigma": True}
    recipe = named_recipe("photo", data=folder, options=options, minutes=minutes)
    run = RunFolder(runs / name)
    run.start(recipe)
    return run, run_recipe(recipe, run)


def score(denoiser, images):
    """Return the mean PSNR in dB on centre crops at each sigma, without the noise level."""
    means = []
    for sigma in SIGMAS:
        values = []
        for index, image in enumerate(images):
            clean = middle(image).astype(np.float32) / 255
            noise = image_rng(0, 0, index).standard_normal(clean.shape, np.float32)
            denoised = np.clip(denoiser(clean + np.float32(sigma / 255) * noise), 0, 1)
            values.append(psnr(clean, denoised))
        means.append(float(np.mean(values)))
    return means


def middle(image):
    """Return the middle of an image."""
    top, left = ((side - CROP) // 2 for side in image.shape[:2])
    return image[top : top + CROP, left : left + CROP]


def megapixels_a_second(denoiser, repeats=5):
    """Return the median speed on 1 megapixel."""
    image = np.random.default_rng(0).random((1024, 1024, 3), np.float32)
    denoiser(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        denoiser(image)
        times.append(time.perf_counter() - start)
    return image.shape[0] * image.shape[1] / 1e6 / float(np.median(times))


def main(folder, runs, minutes="3", *names):
    """Train, time and score each design."""
    recipe = named_recipe("photo", data=str(folder), patch=CROP)
    images = open_folder(recipe, cache=None, notify=lambda text: None).validation
    validation = [images.open(index)[0].pixels for index in range(len(images))]
    print("| design | multiply-adds per pixel | MP/s | PSNR at 15 / 25 / 50 | pixels seen |")
    print("|---|---|---|---|---|", flush=True)
    for name in names or DESIGNS:
        run, card = train(name, folder, Path(runs), float(minutes))
        seen = len(run.read_history()) * card.training["steps"] * card.training["batch"]
        quality = score(Denoiser(run.path, precision="f32"), validation)
        speed = megapixels_a_second(Denoiser(run.path))
        numbers = " / ".join(f"{value:.2f}" for value in quality)
        print(
            f"| {name} | {card.operations:,} | {speed:.2f} | {numbers} "
            f"| {seen * card.training['patch'] ** 2 / 1e6:.0f} million |",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
