"""A model is exported whatever backend trained it."""

from pathlib import Path

import keras
import pytest

from quietpixel.card import Card
from quietpixel.errors import ModelError
from quietpixel.inference.model_file import read_card
from quietpixel.models import build
from quietpixel.training.run_outputs import export_anywhere

CARD = Card(name="tiny", architecture="unet", channels=1, divisor=2, halo=8)


@pytest.mark.slow
def test_another_backend_leaves_the_export_to_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("unet", filters=(4, 6), blocks=(0, 1))
    model.save(tmp_path / "m.keras")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    export_anywhere(model, tmp_path / "m.keras", tmp_path / "m.onnx", CARD)
    assert read_card(tmp_path / "m.onnx") == CARD


@pytest.mark.slow
def test_a_failed_export_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    model = build("unet", filters=(4, 6), blocks=(0, 1))
    with pytest.raises(ModelError, match="but could not be written as ONNX by Keras with tensor"):
        export_anywhere(model, tmp_path / "none.keras", tmp_path / "m.onnx", CARD)
