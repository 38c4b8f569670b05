from pathlib import Path

import pytest
from web_making import write_photo

from quietpixel.errors import ModelError, UnknownNameError
from quietpixel.inference.options import DenoiseOptions
from quietpixel.web.models import find_models


def test_photo_is_the_default(models):
    assert models.choose(None) == "photo"


def test_a_given_model_replaces_the_defaults(tmp_path):
    path = write_photo(tmp_path / "mine.onnx", 3)
    models = find_models(DenoiseOptions(model=path))
    assert models.choose(None) == "mine"
    assert models.choose("photo") == "photo"
    assert find_models(DenoiseOptions(model="photo-gray")).choose(None) == "photo-gray"


def test_names_never_become_paths(models, tmp_path):
    path = write_photo(tmp_path / "x.onnx", 3)
    for name in (str(path), str(tmp_path), "../photo", ""):
        with pytest.raises(UnknownNameError, match="Unknown model"):
            models.choose(name)


def test_files_that_are_not_models_are_skipped(home):
    wrong = Path(home["XDG_DATA_HOME"]) / "quietpixel" / "models" / "wrong.onnx"
    wrong.write_bytes(b"nothing")
    try:
        assert "wrong" not in find_models(DenoiseOptions()).cards
        with pytest.raises(ModelError, match="not an ONNX file"):
            find_models(DenoiseOptions(model="wrong"))
    finally:
        wrong.unlink()


def test_a_denoiser_is_opened_once(models):
    assert models.open("photo") is models.open("photo")
