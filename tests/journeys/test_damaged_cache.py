"""A compiled model of the user's cache whose bytes changed is compiled again."""

import os
import subprocess

import numpy as np
import onnx
from PIL import Image

from ..tiny_models import write_blur
from ..waiting import PATIENCE
from .conftest import COMMAND


def test_a_compiled_model_whose_weight_changed_is_not_used(tmp_path) -> None:
    """OpenVINO loads it without a word: its own cache has no checksum."""
    models = tmp_path / "data" / "quietpixel" / "models"  # others are not kept compiled
    models.mkdir(parents=True)
    write_blur(models / "blur.onnx")
    path, result = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(np.full((20, 30), 200, np.uint8)).save(path)

    home = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data")}
    line = [*COMMAND, "denoise", "--model", "blur", "--precision", "f32", path, "-o", result]

    def denoise() -> bytes:
        result.unlink(missing_ok=True)
        subprocess.run(line, env=os.environ | home, timeout=PATIENCE, check=True)
        return result.read_bytes()

    expected = denoise()
    (kept,) = (tmp_path / "cache" / "quietpixel" / "compiled").iterdir()
    content = kept.read_bytes()
    (kernel,) = onnx.load(models / "blur.onnx").graph.initializer
    weights = onnx.numpy_helper.to_array(kernel).tobytes()
    assert weights in content
    kept.write_bytes(content.replace(weights, bytes(len(weights))))
    assert denoise() == expected
    assert kept.read_bytes() == content
