"""Evaluate a finished run on its test split and bundle its model with the scores.

python benchmarks/bundle_weights.py RUN NAME DATA [--data-dir DIR]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import quietpixel
from quietpixel.inference.model_file import replace_card

WEIGHTS = Path(quietpixel.__file__).parent / "weights"
LICENCES = {"mnist": "MNIST (Y. LeCun, C. Cortes, C. J. C. Burges; no licence stated)"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("data")
    parser.add_argument("--data-dir", type=Path)
    given = parser.parse_args()
    evaluation = quietpixel.evaluate(given.run, given.data, data_dir=given.data_dir)
    model = evaluation.methods[0]
    card = quietpixel.read_card(given.run / "model.onnx")
    test = {
        "mse": model.mse,
        "mse_interval": model.mse_interval,
        "psnr": model.psnr,
        "ssim": model.ssim,
        "noise": evaluation.noise,
        "seed": evaluation.seed,
        "images": evaluation.count,
    }
    card = replace(
        card,
        name=given.name,
        scores={**card.scores, f"{given.data} test": test},
        data=LICENCES.get(given.data, given.data),
    )
    replace_card(given.run / "model.onnx", WEIGHTS / f"{given.name}.onnx", card)
    print(f"{given.name}: test error {model.mse:.5f}, {model.psnr:.2f} dB")


if __name__ == "__main__":
    main()
