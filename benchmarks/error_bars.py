"""How many pixels lie inside the 90 % error bars of a model, on images it has not seen.

    python benchmarks/error_bars.py MODEL CALIBRATE TEST [--sigmas 5 15 25 50] [--every 1]

MODEL is an .onnx file, which is not changed: a copy is calibrated on the pictures in the folders
CALIBRATE (separated by commas), which must not be training data of the model. The pictures of the
folder TEST then get unclipped Gaussian noise of a strength that the model does not know. Prints
for each sigma the share of pixels inside the bars, over all pixels and as 10 and 90 % quantiles
over the images, and the mean half width.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import quietpixel
from quietpixel.array_types import FloatArray
from quietpixel.files import list_images, read_picture
from quietpixel.noise.laws import Gaussian
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("calibrate")
    parser.add_argument("test", type=Path)
    parser.add_argument("--sigmas", nargs="+", type=float, default=[5, 15, 25, 50])
    parser.add_argument("--every", type=int, default=1, help="every so many test images")
    parser.add_argument("--validation", type=int, default=1, help="every so many of CALIBRATE")
    parser.add_argument("--noise", help="noise law for calibration [default: that of the model]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    paths: list[Path] = []
    for folder in given.calibrate.split(","):
        paths += list_images(Path(folder)).images[given.validation - 1 :: given.validation]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        found = quietpixel.calibrate(given.model, paths, noise=given.noise, output=model)
        print(f"{found.images} images to calibrate by: {found.describe()}\n", flush=True)
        denoiser = quietpixel.Denoiser(model)
        images = [read(p, denoiser) for p in list_images(given.test).images[:: given.every]]
        print(f"| sigma | inside, % | 10 and 90 % of images | half width, of 255 | {len(images)} |")
        print("|---|---|---|---|---|")
        for sigma in given.sigmas:
            print(measure(denoiser, images, sigma, given.seed), flush=True)


def read(path: Path, denoiser: quietpixel.Denoiser) -> FloatArray:
    picture = read_picture(path)
    pixels = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
    if denoiser.card.channels == 1:
        return pixels.mean(axis=2, keepdims=True)
    return pixels


def measure(
    denoiser: quietpixel.Denoiser, images: list[FloatArray], sigma: float, seed: int
) -> str:
    law = Gaussian(sigma / 255, clip=False)
    inside, widths = [], []
    for index, clean in enumerate(images):
        noisy = law(clean, image_rng(seed, FROZEN_EPOCH, index))
        denoised = np.clip(denoiser(noisy, range=(0.0, 1.0)), 0, 1)
        width = quietpixel.uncertainty(noisy, denoised, denoiser, range=(0.0, 1.0))
        inside.append(100 * float(np.mean(np.abs(clean - denoised) <= width)))
        widths.append(255 * float(width.mean()))
    low, high = np.percentile(inside, [10, 90])
    return (
        f"| {sigma:g} | {np.mean(inside):.1f} | {low:.1f}, {high:.1f} | {np.mean(widths):.1f} | |"
    )


if __name__ == "__main__":
    main()
