"""Exports a model to ONNX whatever backend trained it."""

import os
import subprocess
import sys
from pathlib import Path

import keras

from quietpixel.card import Card
from quietpixel.errors import ModelError
from quietpixel.models.export import export_onnx

EXPORTER = "tensorflow"
"""The backend whose export to ONNX needs nothing that is not installed with training."""
SCRIPT = """
import sys
from pathlib import Path

import keras

from quietpixel.card import Card
from quietpixel.models.export import export_onnx

model = keras.models.load_model(sys.argv[1], compile=False)
export_onnx(model, Path(sys.argv[2]), Card.from_json(sys.stdin.read()))
"""


def export_anywhere(model: keras.Model, saved: Path, path: Path, card: Card) -> None:
    """Write `model` to `path` as ONNX with its card.

    Another backend than TensorFlow leaves the export to a process of its own, since Keras takes one
    backend for good when it is first loaded.

    Parameters
    ----------
    model
        The model.
    saved
        The same model as a ``.keras`` file.
    path
        Where the ONNX file goes.
    card
        What it says of itself.

    Raises
    ------
    ModelError
        If the other process fails.
    """
    if keras.backend.backend() == EXPORTER:
        export_onnx(model, path, card)
        return
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(saved), str(path)],
        input=card.to_json(),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": EXPORTER},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(
            f"The trained model is in '{saved}', but could not be written as ONNX by Keras with "
            f"{EXPORTER} ({last}); install tensorflow-cpu, and begin a run with --from {saved}."
        )
