"""The models that a run writes, and their card."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from quietpixel.card import Card
from quietpixel.errors import ModelError
from quietpixel.imaging.intensity_scale import Range
from quietpixel.models.export import export_onnx
from quietpixel.models.receptive_field import measure_model
from quietpixel.training.callbacks import Checkpoint
from quietpixel.training.folder_data import is_folder
from quietpixel.training.initial_weights import Start
from quietpixel.training.recipe import Recipe
from quietpixel.training.run_folder import RunFolder

CONTENTS = {
    ("clean", False): "photographs in",
    ("clean", True): "pairs of noisy and clean images in",
    ("noisy", True): "pairs of noisy images in",
    ("none", False): "noisy images in",
}
"""The content of a folder in words, by target and whether there are pairs."""


@dataclass(frozen=True)
class Outcome:
    """Writes the models of a run into its folder.

    Parameters
    ----------
    recipe, precision, start
        How the model was trained.
    folder
        The run folder.
    loss_name
        The validation loss in words, if it is not the loss of the recipe.
    range
        Black and white of the images; None where their type or file says it.
    """

    recipe: Recipe
    precision: str
    start: Start | None
    folder: RunFolder
    loss_name: str = ""
    range: Range | None = None

    def keep(self, model: keras.Model, checkpoint: Checkpoint) -> Card:
        """Set the best weights in `model`, write Keras and ONNX files, and return the card."""
        # Those of the best epoch, which may not be the last.
        model.set_weights(checkpoint.best)
        # First, so that a failed export still leaves the trained model.
        self.folder.replace("model.keras", model.save)
        card = self._describe(model, checkpoint)
        export_anywhere(model, self.folder.keras_model, self.folder.onnx_model, card)
        return card

    def _describe(self, model: keras.Model, checkpoint: Checkpoint) -> Card:
        recipe = self.recipe
        height, width, channels = model.inputs[0].shape[1:]
        takes_sigma = len(model.inputs) > 1
        data = recipe.data
        if is_folder(data):
            data = f"{CONTENTS[recipe.target, recipe.method == 'pairs']} {Path(data).name}"
        if self.start is not None:
            card = self.start.card
            before = "data that its file does not name"
            if card is not None:  # whose own law is not that of this card
                before = card.data.replace("the law above", card.noise)
            data = f"{data}; started from {self.start.name}, trained on {before}"
        return Card(
            name=f"{Path(recipe.data).name}-{recipe.model}",
            architecture=recipe.model,
            channels=channels,
            **vars(measure_model(model)),
            size=None if height is None else (height, width),
            noise=recipe.noise,
            sigma_input=takes_sigma,
            # Only a clean target shows the noise level; with others it is measured, or unknown.
            blind=takes_sigma and bool(recipe.method) and not recipe.measured,
            parameters=sum(int(np.prod(w.shape)) for w in model.trainable_weights),
            training={
                **vars(recipe),
                "precision": self.precision,
                "epochs_done": len(checkpoint.rows),
                **({} if self.range is None else {"range": list(self.range)}),
            },
            scores={"validation": {self.loss_name or recipe.loss: checkpoint.best_loss}},
            data=data,
            licence="MIT",
            not_for="medical, legal or other images on whose detail a decision rests",
        )


EXPORTER = "tensorflow"
"""The backend whose export to ONNX needs no further packages."""
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

    With another backend than TensorFlow, a separate process exports the model, since Keras cannot
    change its backend once it is loaded.

    Parameters
    ----------
    model
        The model.
    saved
        The same model as a ``.keras`` file.
    path
        The ONNX file.
    card
        Its card.

    Raises
    ------
    ModelError
        If the export fails, or the exported model differs from `model`.
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
        # Keras reads this once, when it is imported.
        env=os.environ | {"KERAS_BACKEND": EXPORTER},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(
            f"The trained model is in '{saved}', but could not be written as ONNX by Keras with "
            f"{EXPORTER} ({last}); install tensorflow-cpu, and start a run from '{saved}'."
        )
