"""What users receive: a noisy file in, a denoised file out, default options, beside rivals.

    python benchmarks/file_quality.py PHOTOS [--pairs FOLDER] [--count 12] [--rivals FILE ...]
                                      [--methods wavelet,nlm,bm3d] [--kinds TEXT] [--json FILE]

PHOTOS holds clean RGB photographs, such as ``photos/test/cbsd68``; each gets noise of every kind
below and is saved, as PNG of 8 bits unless the kind says JPEG or stack. ``--pairs`` holds files
``NAME_real.JPG`` and ``NAME_mean.JPG``. ``file`` is the PSNR of the file that the command writes,
``array`` that of `Denoiser` on the pixels of the same file, which shows what writing costs. Rivals
get the pixels, and more than a user knows: the classical ones are tuned for the kind of noise on
the next three photographs, networks (weights that the user has, `rival_networks.py`) are given the
true deviation and compute in float32; their results are not written as files. Networks that take no
deviation were trained on white noise and are tried on it alone. Means over the first `--count`
photographs, in dB; in brackets the 95 % interval of the mean difference to ``file``, by a paired
bootstrap. ``--kinds`` keeps the kinds whose name contains a text.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from kinds_of_noise import Noise, grain, kinds, shared, toned
from record import Record
from rival_networks import RivalNetwork
from scipy import ndimage

from quietpixel import Denoiser
from quietpixel.array_types import FloatArray
from quietpixel.batch.denoise import Settings
from quietpixel.batch.pipeline import denoise_one
from quietpixel.evaluation.methods import tune
from quietpixel.files import Picture, list_images, read_picture, write_picture
from quietpixel.imaging.metrics import bootstrap_interval, psnr

Rival = Callable[[FloatArray, float], FloatArray]
POLYU = "PolyU, JPEG of the camera"
SIDE = 192
"""Side of the crops on which classical methods are tuned."""


@dataclass(frozen=True)
class Kind:
    """A kind of noise, and the file that carries it."""

    name: str
    noise: Noise
    suffix: str = ".png"
    quality: int | None = None

    def save(self, noisy: FloatArray, path: Path) -> Path:
        """Write a noisy image (H, W, C), or a stack (N, H, W, C), as this kind of file."""
        if self.suffix == ".tif":
            pages = np.rint(np.clip(noisy, 0, 1) * 65535).astype(np.uint16)
            picture = Picture(tuple(pages), format="tiff", colour="gray", maximum=65535)
        else:
            picture = Picture.from_pixels(np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8))
        path = path.with_suffix(self.suffix)
        write_picture(picture, path, quality=self.quality, overwrite=True)
        return path


def all_kinds() -> Iterator[Kind]:
    for sigma in (15, 25, 50):
        yield Kind(f"white, sigma {sigma}", partial(white, sigma))
    for name, noise in kinds():
        yield Kind(name, noise)
    yield Kind("coarse (2 pixels), sigma 10", coarse)
    for quality in (30, 50, 75, 85, 95):
        name = f"white, sigma 15, JPEG {quality}"
        yield Kind(name, partial(white, 15), ".jpg", quality)
    yield Kind("grain, sigma 20, JPEG 90", grain, ".jpg", 90)
    yield Kind("dark, chroma blotches", blotches)
    yield Kind("toned gray, JPEG 90", toned, ".jpg", 90)
    yield Kind("shared 0.8, JPEG 90", shared(0.8), ".jpg", 90)
    yield Kind("stack of 16 bits, hot pixels", hot_stack, ".tif")


def white(
    sigma: float, clean: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    return clean, clean + sigma / 255 * rng.standard_normal(clean.shape)


def coarse(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    noise = ndimage.gaussian_filter(rng.standard_normal(clean.shape), (2, 2, 0))
    return clean, clean + 10 / 255 * noise / noise.std()


def blotches(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw a picture at a sixth of the light, with fine noise and colour noise of 6 pixels."""
    dark = clean / 6
    return dark, add_blotches(dark, rng)


def add_blotches(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return an image with white noise of 4/255 and colour noise of 5/255, blurred by 6 pixels."""
    colour = ndimage.gaussian_filter(rng.standard_normal(image.shape), (6, 6, 0))
    colour -= colour.mean(axis=2, keepdims=True)
    fine = rng.standard_normal(image.shape)
    return image + 5 / 255 * colour / colour.std() + 4 / 255 * fine


def hot_stack(clean: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw four gray pages with noise of 10/255 and hot pixels, one of 2,000, at fixed places."""
    pages = np.stack([clean.mean(axis=2, keepdims=True) / 2] * 4)
    noisy = pages + 10 / 255 * rng.standard_normal(pages.shape)
    hot = rng.random(pages.shape[1:]) < 1 / 2000
    return pages, np.where(hot, 1, noisy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--rivals", type=Path, nargs="*", default=[])
    parser.add_argument("--methods", default="wavelet,nlm,bm3d")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    paths = list_images(given.folder).images[: given.count + 3]
    photos = [read_picture(path).pages[0].astype(np.float32) / 255 for path in paths]
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.methods.split(","), given.rivals)
        columns = ["noisy", "file", "array", *bench.methods, *bench.networks]
        record.table("noise", *columns)
        for name, scores in bench.measure_all(given, photos):
            record.row(name, *(show(scores, column) for column in columns))
    record.save(given.json)


class Bench:
    """The program and its rivals, and a folder for the files."""

    def __init__(self, folder: Path, methods: list[str], rivals: list[Path]) -> None:
        packages = {"bm3d": "bm3d", "opencv-nlm": "cv2"}
        self.folder, self.denoiser = folder, Denoiser()
        self.methods = [
            name for name in methods if importlib.util.find_spec(packages.get(name, "skimage"))
        ]
        networks = {path.stem: RivalNetwork(path) for path in rivals}
        self.networks = {name: each for name, each in networks.items() if each.channels == 3}

    def measure_all(
        self, given: argparse.Namespace, photos: list[FloatArray]
    ) -> Iterator[tuple[str, dict[str, list[float]]]]:
        for kind in all_kinds():
            if given.kinds in kind.name:
                yield kind.name, self.measure(kind, photos[: given.count], photos[-3:])
        if given.pairs is not None and given.kinds in POLYU:
            yield POLYU, self.measure_pairs(given.pairs, given.count)

    def measure(
        self, kind: Kind, photos: list[FloatArray], others: list[FloatArray]
    ) -> dict[str, list[float]]:
        """Return the PSNR of each photograph by method, ``noisy`` and ``file`` among them."""
        crops = [kind.noise(photo, np.random.default_rng(-1 % 2**32)) for photo in others]
        rows = []
        rivals = self.tune(crops) | self.networks if kind.suffix != ".tif" else {}
        if kind.suffix != ".png" or not kind.name.startswith("white"):
            rivals = {name: each for name, each in rivals.items() if not is_blind(each)}
        for seed, photo in enumerate(photos):
            clean, noisy = kind.noise(photo, np.random.default_rng(seed))
            source = kind.save(noisy, self.folder / "noisy")
            rows.append(self.score(np.asarray(clean, np.float32), source, rivals))
        return gather(rows)

    def measure_pairs(self, folder: Path, count: int) -> dict[str, list[float]]:
        """Return the same for pairs of files; classical methods are tuned on the last three."""
        sources = sorted(folder.glob("*_real.JPG"))
        pairs = [(read_clean(path), read_pixels(path)) for path in sources[-3:]]
        networks = {name: each for name, each in self.networks.items() if not is_blind(each)}
        rivals = self.tune(pairs) | networks
        return gather([self.score(read_clean(path), path, rivals) for path in sources[:count]])

    def tune(self, pairs: list[tuple[FloatArray, FloatArray]]) -> dict[str, Rival]:
        clean, noisy = (
            np.stack([pair[side][:SIDE, :SIDE] for pair in pairs]).astype(np.float32)
            for side in (0, 1)
        )
        methods = {name: tune(name, clean, np.clip(noisy, 0, 1)) for name in self.methods}
        return {
            name: lambda image, sigma, method=method: method(image[np.newaxis])[0]
            for name, method in methods.items()
        }

    def score(self, clean: FloatArray, source: Path, rivals: dict[str, Rival]) -> dict[str, float]:
        target = self.folder / f"denoised{source.suffix}"
        denoise_one(self.denoiser, source, target, Settings(overwrite=True))
        noisy = read_pixels(source)
        picture = read_picture(source)
        arrays = [
            self.denoiser(page).astype(np.float32) / picture.maximum for page in picture.pages
        ]
        sigma = float(np.std(noisy - clean))
        scores = {
            "noisy": psnr(clean, noisy),
            "file": psnr(clean, read_pixels(target)),
            "array": psnr(clean, np.stack(arrays) if clean.ndim == 4 else arrays[0]),
        }
        for name, rival in rivals.items():
            scores[name] = psnr(clean, np.clip(rival(noisy, sigma), 0, 1))
        return scores


def is_blind(rival: Rival) -> bool:
    """Return whether a rival is a network without a level, which knows white noise alone."""
    return isinstance(rival, RivalNetwork) and not rival.takes_level


def read_pixels(path: Path) -> FloatArray:
    picture = read_picture(path)
    pages = np.stack(picture.pages).astype(np.float32) / np.float32(picture.maximum)
    return pages if len(pages) > 1 else pages[0]


def read_clean(path: Path) -> FloatArray:
    return read_pixels(path.with_name(path.name.replace("_real", "_mean")))


def gather(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def show(scores: dict[str, list[float]], column: str) -> str:
    """Return a mean, and the interval of its difference to ``file``."""
    if column not in scores:
        return ""
    mean = f"{np.mean(scores[column]):.2f}"
    if column in ("noisy", "file"):
        return mean
    differences = np.subtract(scores[column], scores["file"])
    if not np.isfinite(differences).all():  # a method returned a clean image as it was
        return mean
    low, high = bootstrap_interval(differences)
    return f"{mean} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()
