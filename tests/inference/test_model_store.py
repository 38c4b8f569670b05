import pytest

from quietpixel.errors import ModelError, UnknownNameError
from quietpixel.inference import model_store
from quietpixel.inference.model_store import cache_of, find_model


@pytest.fixture
def store(tmp_path, monkeypatch):
    bundled, own = tmp_path / "bundled", tmp_path / "own"
    for folder, names in ((bundled, ["photo", "photo-gray", "mnist-unet"]), (own, ["mine"])):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.onnx").touch()
    monkeypatch.setattr(model_store, "BUNDLED", bundled)
    monkeypatch.setattr(model_store, "user_models_folder", lambda: own)
    return tmp_path


def test_names_are_found(store):
    assert find_model("mnist-unet") == store / "bundled" / "mnist-unet.onnx"
    assert find_model("mine") == store / "own" / "mine.onnx"


def test_photo_is_the_default_and_photo_gray_stands_in_for_it(store):
    assert find_model(None) == store / "bundled" / "photo.onnx"
    (store / "bundled" / "photo.onnx").unlink()
    assert find_model(None) == store / "bundled" / "photo-gray.onnx"


def test_paths_and_run_folders_are_found(store):
    run = store / "run"
    run.mkdir()
    with pytest.raises(ModelError, match=r"holds no model.onnx; pass the run folder"):
        find_model(run)
    (run / "model.onnx").touch()
    assert find_model(str(run)) == find_model(run / "model.onnx") == run / "model.onnx"


def test_unknown_names_are_named(store):
    with pytest.raises(UnknownNameError, match="model 'mnist-une': did you mean 'mnist-unet'"):
        find_model("mnist-une")


def test_missing_files_are_named(store):
    with pytest.raises(ModelError, match=r"model file 'here/gone.onnx' does not exist; pass"):
        find_model("here/gone.onnx")


def test_no_default_is_reported(store, monkeypatch):
    monkeypatch.setattr(model_store, "BUNDLED", store / "nothing")
    with pytest.raises(ModelError, match=r"neither photo nor photo-gray; name one .* mine, a run"):
        find_model(None)


def test_only_models_with_a_name_are_kept_compiled(store, monkeypatch, tmp_path):
    monkeypatch.setattr(
        model_store, "user_cache_path", lambda *words, **options: tmp_path / "cache"
    )
    assert cache_of(find_model("photo")) == tmp_path / "cache" / "compiled"
    assert cache_of(find_model("mine")) == tmp_path / "cache" / "compiled"
    assert cache_of(store / "run" / "model.onnx") is None
