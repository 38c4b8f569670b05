"""Evaluate a finished photo run on the test sets and bundle its model with the scores.

    python benchmarks/bundle_photo.py RUN NAME --data DIR

DIR holds ``photos/test/...`` and ``photos/real/polyu``. The history of the run goes to
``benchmarks/logs/NAME.csv``, next to the scores.
"""

import argparse
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import photo_quality as quality

import quietpixel
from quietpixel.inference.model_file import replace_card

WEIGHTS = Path(quietpixel.__file__).parent / "weights"
LOGS = Path(__file__).parent / "logs"
SETS = {1: ("bsd68", "set12"), 3: ("cbsd68",)}
DATA = (
    "432 photographs of BSDS500 (P. Arbelaez et al., PAMI 2011; no licence stated), 105 of CID22 "
    "(Cloudinary, CC BY-SA 4.0), 22 of CLIC 2025 (Unsplash License), made noisy by the law above"
)
NOT_FOR = (
    "medical, legal, scientific or other images on whose detail a decision rests: it can remove "
    "real detail and draw what was never there"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    card = quietpixel.read_card(given.run / "model.onnx")
    scores = measure(given.run, card.channels, given.data)
    # Where the data and the first weights lay concerns no one else.
    start = Path(card.training.get("start", "nothing")).name
    teacher = Path(card.training.get("teacher", "")).name
    folder = Path(card.training["data"]).resolve().relative_to(given.data.resolve())
    card = replace(
        card,
        name=given.name,
        training={**card.training, "start": start, "teacher": teacher, "data": str(folder)},
        scores={**card.scores, **scores},
        data=DATA,
        not_for=NOT_FOR,
    )
    replace_card(given.run / "model.onnx", WEIGHTS / f"{given.name}.onnx", card)
    LOGS.mkdir(exist_ok=True)
    shutil.copyfile(given.run / "history.csv", LOGS / f"{given.name}.csv")
    print(scores)


def measure(run: Path, channels: int, data: Path) -> dict[str, dict[str, float]]:
    """Return the PSNR in dB on each test set, without the noise level."""
    denoiser = quietpixel.Denoiser(run, precision="f32", memory="4GB")
    scores = {}
    for name in SETS[channels]:
        images = [p for _, p in quality.read_folder(data / "photos/test" / name, channels)]
        scores[name] = {
            f"psnr at gaussian:{s:g}/255": round(
                quality.score(denoiser, images, s / 255, Namespace(seed=0, level="unknown"))[1], 3
            )
            for s in quality.SIGMAS
        }
    if channels == 3:
        pairs = quality.judge_pairs(denoiser, data / "photos/real/polyu", channels)
        scores["polyu"] = {"psnr": round(pairs[1], 3), "psnr of the noisy": round(pairs[0], 3)}
    return scores


if __name__ == "__main__":
    main()
