"""Quality of models and tuned classical methods on pairs of noisy and clean pictures.

    python benchmarks/pairs_quality.py FOLDER [MODEL ...] [--classical] [--last 20]
                                       [--train MINUTES] [--quality normal|best] [--json FILE]

FOLDER holds ``noisy/`` and ``clean/`` with the same names; ``--last N`` uses the last N by name.
``--train`` adds the model that ``quietpixel train FOLDER/noisy --target none --minutes MINUTES``
makes of the noisy pictures alone, and says how much processor time that took; other work on the
machine leaves it less. Prints the mean PSNR in dB and the root mean squared error over all pixels,
on [0, 1]. The classical methods and a Gaussian filter use the parameters that are best on the first
four of the test pictures, which favours them.
"""

import argparse
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from record import Record
from scipy.ndimage import gaussian_filter

import quietpixel
from quietpixel import Denoiser
from quietpixel.array_types import FloatArray
from quietpixel.data.image_cache import decode
from quietpixel.evaluation.methods import CLASSICAL, tune
from quietpixel.files import list_images
from quietpixel.imaging.metrics import psnr

TUNED_ON = 4
BLURS = (0.7, 1.0, 1.4, 2.0, 2.5, 3.0)
Pairs = list[tuple[FloatArray, FloatArray]]


def read(folder: Path, last: int | None) -> Pairs:
    paths = list_images(folder / "noisy").images[-last if last else None :]
    return [
        tuple(
            decode(path.parent.parent / side / path.name, 1).whole() for side in ("noisy", "clean")
        )
        for path in paths
    ]  # type: ignore[misc]


def score(
    record: Record, name: str, method: Callable[[FloatArray], FloatArray], pairs: Pairs
) -> None:
    denoised = [np.clip(method(noisy), 0, 1) for noisy, _ in pairs]
    quality = np.mean(
        [psnr(clean, image) for image, (_, clean) in zip(denoised, pairs, strict=True)]
    )
    errors = [
        np.square(image - clean).ravel() for image, (_, clean) in zip(denoised, pairs, strict=True)
    ]
    error = float(np.sqrt(np.concatenate(errors).mean()))
    record.row(name, f"{quality:.2f}", f"{error:.4f}")


def score_classical(record: Record, pairs: Pairs) -> None:
    def blur(sigma: float) -> Callable[[FloatArray], FloatArray]:
        return lambda image: gaussian_filter(image, (sigma, sigma, 0))

    few = pairs[:TUNED_ON]
    best = min(BLURS, key=lambda s: sum(np.square(blur(s)(a) - b).mean() for a, b in few))
    score(record, f"Gaussian filter, {best} pixels", blur(best), pairs)
    noisy, clean = (np.stack(side) for side in zip(*few, strict=True))
    for name in CLASSICAL:
        method = tune(name, clean, noisy)
        score(record, name, lambda image, m=method: m(image[None])[0], pairs)


def score_model(record: Record, model: str | Path, quality: str, pairs: Pairs) -> None:
    denoiser = Denoiser(model, precision="f32", quality=quality)

    def run(image: FloatArray) -> FloatArray:
        # As the file has it, since 8 bits have a scale and photon noise of their own.
        steps = np.rint(255 * image)
        if np.abs(steps / 255 - image).max() < 1e-6:
            return np.asarray(denoiser(steps.astype(np.uint8)), np.float32) / 255
        return np.asarray(denoiser(image, range=(0.0, 1.0)))

    score(record, Path(model).name, run, pairs)


def train(record: Record, folder: Path, minutes: float, place: str) -> Path:
    before = processor_seconds()
    run = Path(place) / "trained on these noisy images"
    quietpixel.train(str(folder / "noisy"), target="none", minutes=minutes, run=run)
    record.note(f"The training took {processor_seconds() - before:.0f} s of processor time.")
    return run


def processor_seconds() -> float:
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--classical", action="store_true")
    parser.add_argument("--last", type=int)
    parser.add_argument("--train", type=float, metavar="MINUTES")
    parser.add_argument("--quality", default="normal", help="of the models: normal or best")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    pairs, record = read(given.folder, given.last), Record()
    record.table(f"method, on {len(pairs)} images", "PSNR, dB", "root mean squared error")
    score(record, "noisy", lambda image: image, pairs)
    with tempfile.TemporaryDirectory() as place:
        trained = [train(record, given.folder, given.train, place)] if given.train else []
        for model in (*given.models, *trained):
            score_model(record, model, given.quality, pairs)
    if given.classical:
        score_classical(record, pairs)
    record.save(given.json)


if __name__ == "__main__":
    main()
