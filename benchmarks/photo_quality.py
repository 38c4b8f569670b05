"""PSNR of a photo model on pictures with added noise, on real pairs and on clean pictures.

    python benchmarks/photo_quality.py MODEL FOLDER [FOLDER ...] [--sigmas 15 25 50] [--seed 0]
           [--level unknown|estimated|true] [--pairs FOLDER] [--clean] [--plain]

MODEL is a bundled name, a run folder or an .onnx file. The noise is Gaussian, seeded by the place
of an image in its sorted folder and not clipped; the model computes in float32 on whole images, and
its output is clipped to [0, 1]. Each number is the mean of the PSNR of each image in dB.
``--level`` chooses the noise level given to the model. ``--pairs`` adds real noise: files
``*_real.*`` next to ``*_mean.*``. ``--clean`` gives the model the pictures without noise and prints
how much it changes them. ``--plain`` does the same with 40 generated plain colours and gradients,
with the border on its own. Prints Markdown tables.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from quietpixel import Denoiser
from quietpixel.array_types import FloatArray
from quietpixel.data.tasks import draw_plain
from quietpixel.files import list_images, read_picture
from quietpixel.imaging.metrics import psnr
from quietpixel.noise.laws import Gaussian
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng

SIGMAS = (15.0, 25.0, 50.0)
RANGE = (0.0, 1.0)
PLAIN, SIDE, BORDER = 40, 256, 64
"""How many plain pictures are made, their sides, and what of them is near the border, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--sigmas", nargs="+", type=float, default=list(SIGMAS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", choices=("unknown", "estimated", "true"), default="unknown")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--quality", default="normal")
    given = parser.parse_args()
    denoiser = Denoiser(given.model, precision="f32", memory="4GB", quality=given.quality)
    channels = denoiser.card.channels
    if given.folders:
        print(f"| set | images | {' | '.join(f'sigma {s:g}' for s in given.sigmas)} |")
        print(f"|---|---|{'---|' * len(given.sigmas)}")
    for folder in given.folders:
        images = [pixels for _, pixels in read_folder(folder, channels)]
        scores = [score(denoiser, images, s / 255, given) for s in given.sigmas]
        numbers = " | ".join(f"{noisy:.2f} -> {clean:.2f}" for noisy, clean in scores)
        print(f"| {folder.name} | {len(images)} | {numbers} |", flush=True)
        if given.clean:
            print_clean(denoiser, images, folder.name)
    if given.pairs:
        before, after, count = judge_pairs(denoiser, given.pairs, channels)
        print(f"{given.pairs.name}: {count} pairs, {before:.2f} -> {after:.2f}")
    if given.plain:
        print_plain(denoiser, channels, given.seed)


def read_folder(folder: Path, channels: int) -> Iterator[tuple[Path, FloatArray]]:
    """Yield the pictures of a folder as float32 (H, W, C) in [0, 1], with their paths."""
    for path in list_images(folder).images:
        picture = read_picture(path)
        pixels = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
        if pixels.shape[-1] != channels:
            raise SystemExit(
                f"'{path}' has {pixels.shape[-1]} channels and the model wants {channels}; give "
                "folders of pictures of its own kind, since converting would change the noise."
            )
        yield path, pixels


def score(
    denoiser: Denoiser, images: list[FloatArray], sigma: float, given: argparse.Namespace
) -> tuple[float, float]:
    """Return the mean PSNR of the noisy images, clipped too, and of the denoised ones."""
    law = Gaussian(sigma, clip=False)
    before, after = [], []
    for index, clean in enumerate(images):
        noisy = law(clean, image_rng(given.seed, FROZEN_EPOCH, index))
        denoised = denoiser(
            noisy, range=RANGE, sigma=level_for(denoiser, noisy, sigma, given.level)
        )
        before.append(psnr(clean, np.clip(noisy, 0, 1)))
        after.append(psnr(clean, np.clip(denoised, 0, 1)))
    return float(np.mean(before)), float(np.mean(after))


def level_for(denoiser: Denoiser, noisy: FloatArray, sigma: float, level: str) -> float | str:
    """Return the noise level given to the model."""
    if level == "true":
        return sigma
    return denoiser.estimate_sigma(noisy, range=RANGE) if level == "estimated" else "auto"


def judge_pairs(denoiser: Denoiser, folder: Path, channels: int) -> tuple[float, float, int]:
    """Return the mean PSNR of real noisy pictures before and after, and how many there are."""
    pictures = {path.name: pixels for path, pixels in read_folder(folder, channels)}
    noisy = {name: pixels for name, pixels in pictures.items() if "_real." in name}
    before, after = [], []
    for name, pixels in noisy.items():
        clean = pictures[name.replace("_real.", "_mean.")]
        before.append(psnr(clean, pixels))
        after.append(psnr(clean, np.clip(denoiser(pixels, range=RANGE), 0, 1)))
    return float(np.mean(before)), float(np.mean(after)), len(noisy)


def print_clean(denoiser: Denoiser, images: list[FloatArray], name: str) -> None:
    """Print how far the output for pictures without noise is from them."""
    values, shifts = [], []
    for clean in images:
        denoised = denoiser(clean, range=RANGE)
        values.append(psnr(clean, denoised))
        shifts.append(float(np.abs((denoised - clean).mean(axis=(0, 1))).max()) * 255)
    print(
        f"{name} without noise: {np.mean(values):.2f} dB in the mean, {np.min(values):.2f} at "
        f"worst; the mean shifts by at most {max(shifts):.3f} of 255"
    )


def print_plain(denoiser: Denoiser, channels: int, seed: int) -> None:
    """Print how far plain pictures without noise move, of 255."""
    shifts, inside, anywhere = [], [], []
    for index in range(PLAIN):
        clean = draw_plain((SIDE, SIDE, channels), image_rng(seed, FROZEN_EPOCH, index))
        moved = (denoiser(clean, range=RANGE) - clean) * 255
        middle = moved[BORDER:-BORDER, BORDER:-BORDER]
        shifts.append(float(np.abs(middle.mean(axis=(0, 1))).max()))
        inside.append(float(np.abs(middle).max()))
        anywhere.append(float(np.abs(moved).max()))
    print(
        f"{PLAIN} plain pictures, of 255: away from the border the mean shifts by "
        f"{np.mean(shifts):.2f} on average and {max(shifts):.2f} at most, a value by "
        f"{max(inside):.2f} at most; near the border a value by {max(anywhere):.2f} at most"
    )


if __name__ == "__main__":
    main()
