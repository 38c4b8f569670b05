"""Mix the weights of two runs of one model: what one of them forgot, the mixture often still does.

    python benchmarks/mix_runs.py RUN OTHER SHARE OUT

OUT becomes a run folder like RUN, whose weights are those of OTHER by SHARE, in [0, 1], and those
of RUN for the rest. The runs must follow one another: weights of separate trainings do not mix.
"""

import argparse
import shutil
from pathlib import Path

import keras

import quietpixel
from quietpixel.models.export import export_onnx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    model, other = (
        keras.models.load_model(folder / "model.keras", compile=False)
        for folder in (given.run, given.other)
    )
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    model.set_weights([first + given.share * (second - first) for first, second in pairs])
    # Its report and pictures are not those of the new weights.
    shutil.copytree(given.run, given.out, ignore=shutil.ignore_patterns("*.html", "*.png"))
    model.save(given.out / "model.keras")
    card = quietpixel.read_card(given.run / "model.onnx")
    export_onnx(model, given.out / "model.onnx", card)


if __name__ == "__main__":
    main()
