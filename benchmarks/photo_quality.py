"""PSNR of a model on folders of clean pictures, with Gaussian noise of known strength.

    python benchmarks/photo_quality.py MODEL FOLDER [FOLDER ...] [--sigmas 15 25 50] [--seed 0]

MODEL is a bundled name, a run folder or an .onnx file. The noise is seeded by the place of an image
in its sorted folder and not clipped; the model is not told its strength, computes in float32 on
whole images, and its output is clipped to [0, 1]. Each number is the mean of the PSNR of each
image in dB. Prints a Markdown table.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from quietpixel import Denoiser
from quietpixel.files import list_images, read_picture
from quietpixel.imaging.metrics import psnr
from quietpixel.imaging.noise import FROZEN_EPOCH, Array, Gaussian, image_rng


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sigmas", nargs="+", type=float, default=[15, 25, 50])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    denoiser = Denoiser(given.model, precision="f32", memory="4GB")
    channels = denoiser.card.channels
    print(f"| set | images | {' | '.join(f'sigma {s:g}' for s in given.sigmas)} |")
    print(f"|---|---|{'---|' * len(given.sigmas)}")
    for folder in given.folders:
        images = list(read_folder(folder, channels))
        scores = [judge(denoiser, images, s / 255, given.seed) for s in given.sigmas]
        numbers = " | ".join(f"{noisy:.2f} -> {clean:.2f}" for noisy, clean in scores)
        print(f"| {folder.name} | {len(images)} | {numbers} |", flush=True)


def read_folder(folder: Path, channels: int) -> Iterator[Array]:
    """Yield the pictures of a folder as float32 (H, W, C) in [0, 1]."""
    for path in list_images(folder).images:
        picture = read_picture(path)
        pixels = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
        if pixels.shape[-1] != channels:
            raise SystemExit(
                f"'{path}' has {pixels.shape[-1]} channels and the model wants {channels}; give "
                "folders of pictures of its own kind, since converting would change the noise."
            )
        yield pixels


def judge(denoiser: Denoiser, images: list[Array], sigma: float, seed: int) -> tuple[float, float]:
    """Return the mean PSNR of the noisy images, clipped too, and of the denoised ones."""
    law = Gaussian(sigma, clip=False)
    before, after = [], []
    for index, clean in enumerate(images):
        noisy = law(clean, image_rng(seed, FROZEN_EPOCH, index))
        denoised = denoiser(noisy, range=(0.0, 1.0))
        before.append(psnr(clean, np.clip(noisy, 0, 1)))
        after.append(psnr(clean, np.clip(denoised, 0, 1)))
    return float(np.mean(before)), float(np.mean(after))


if __name__ == "__main__":
    main()
