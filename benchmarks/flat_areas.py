"""Print how much noise denoised pictures keep in flat areas.

    python benchmarks/flat_areas.py MODEL FILE... [--strength 1.5]

For each file, in gray: the standard deviation that a tenth of the blocks of 16 x 16 pixels does not
exceed, of 255, before and after, and the noise level that was found, of 255.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quietpixel import Denoiser

SIDE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--strength", type=float, default=1.0)
    given = parser.parse_args()
    denoiser = Denoiser(given.model)
    for path in given.files:
        noisy = np.asarray(Image.open(path).convert("L"))
        level = 255 * denoiser.estimate_sigma(noisy)
        denoised = denoiser(noisy, strength=given.strength)
        before, after = (flattest_deviation(each) for each in (noisy, denoised))
        print(f"{path.stem}: {before:.1f} -> {after:.1f}, level {level:.1f}")


def flattest_deviation(image: NDArray[Any]) -> float:
    """Return the deviation that a tenth of the blocks of an image (H, W) does not exceed."""
    rows, columns = (length // SIDE for length in image.shape)
    inner = image[: rows * SIDE, : columns * SIDE].astype(float)
    deviations = inner.reshape(rows, SIDE, columns, SIDE).std(axis=(1, 3))
    return float(np.quantile(deviations, 0.1))


if __name__ == "__main__":
    main()
