"""Writes noisy copies of clean pictures, their noise drawn once and frozen in files.

    python benchmarks/simulate_noise.py FOLDER OUT [--noise gaussian:25/255,clip=no] [--gray]

OUT gets one float TIFF for each picture of FOLDER, so that noise below black and above white is
kept. Training on OUT with ``--target none`` then has nothing else than these files.
"""

import argparse
from pathlib import Path

import numpy as np

from quietpixel.data.image_cache import decode
from quietpixel.files import Picture, list_images, write_picture
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng, parse_noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--noise", default="gaussian:25/255,clip=no")
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    law = parse_noise(given.noise)
    given.out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(list_images(given.folder).images):
        clean = decode(path, 1 if given.gray else 3).whole()
        noisy = law(clean, image_rng(given.seed, FROZEN_EPOCH, number))
        picture = Picture.from_pixels(noisy.astype(np.float32), format="tiff")
        write_picture(picture, given.out / f"{path.stem}.tif")


if __name__ == "__main__":
    main()
