from pathlib import Path

import pytest
from web_making import write_photo

from quietpixel.errors import ModelError, UnknownNameError
from quietpixel.web.models import find_models


def test_defaults_follow_the_channels(models):
    assert (models.choose(None, 3), models.choose(None, 1)) == ("photo", "photo-gray")


def test_a_model_of_ones_own_takes_their_place(tmp_path):
    path = write_photo(tmp_path / "mine.onnx", 3)
    models = find_models(str(path), {})
    assert models.choose(None, 3) == models.choose(None, 1) == "mine"
    assert models.choose("photo", 3) == "photo"
    assert find_models("photo-gray", {}).choose(None, 3) == "photo-gray"


def test_names_never_become_paths(models, tmp_path):
    path = write_photo(tmp_path / "x.onnx", 3)
    for name in (str(path), str(tmp_path), "../photo", ""):
        with pytest.raises(UnknownNameError, match="Unknown model"):
            models.choose(name, 3)


def test_files_that_are_no_models_are_left_out(home):
    wrong = Path(home["XDG_DATA_HOME"]) / "quietpixel" / "models" / "wrong.onnx"
    wrong.write_bytes(b"nothing")
    try:
        assert "wrong" not in find_models(None, {}).cards
        with pytest.raises(ModelError, match="not an ONNX file"):
            find_models("wrong", {})
    finally:
        wrong.unlink()


def test_a_denoiser_is_opened_once(models):
    assert models.open("photo") is models.open("photo")
