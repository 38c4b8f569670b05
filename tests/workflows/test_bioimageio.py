"""Packages of the BioImage Model Zoo: the graph, the description, the checks of the zoo."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import quietpixel
from quietpixel.cli.main import main
from quietpixel.errors import ModelError
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_store import find_model
from quietpixel.workflows import bioimageio
from quietpixel.workflows.bioimageio import fix_level, stretch

from ..tiny_models import models, no_models_of_the_user, write_halver

__all__ = ["models", "no_models_of_the_user"]


def export(model: str | Path, target: Path, *words: str) -> dict:
    """Return what a package holds, by name."""
    given = () if "--author" in words else ("--author", "A. Example")
    assert main(["export", str(model), "--bioimageio", str(target), *given, *words]) == 0
    with zipfile.ZipFile(target) as package:
        return {name: package.read(name) for name in package.namelist()}


def refuse(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["export", *map(str, words)]) == 2
    return capsys.readouterr().err


def array(content: bytes) -> np.ndarray:
    return np.load(BytesIO(content))


@pytest.mark.parametrize("name", ["photo", "photo-gray"])
def test_a_fixed_level_computes_what_the_engine_does_with_that_level(
    tmp_path: Path, name: str
) -> None:
    path, level = find_model(name), 0.125
    fix_level(path, tmp_path / "one.onnx", level)
    channels = quietpixel.read_card(path).channels
    batch = np.random.default_rng(0).random((1, 32, 40, channels), np.float32)
    expected = open_engine(path, precision="f32")(batch, np.full((1, 32, 40, 1), level, np.float32))
    one = open_engine(tmp_path / "one.onnx", precision="f32")
    np.testing.assert_allclose(one(batch), expected, atol=1e-5)
    assert not one.card.sigma_input


def test_a_package_states_level_tiles_terms_and_what_the_model_makes_of_the_sample(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(1000, 100, (300, 200))
    Image.fromarray(noise.astype(np.uint16)).save(tmp_path / "cells.tif")
    sample = "--sample", str(tmp_path / "cells.tif")
    found = export(models["adder"], tmp_path / "a.zip", "--sigma", "51/255", *sample)
    assert "for noise of 0.2000 (51.0/255)" in capsys.readouterr().out
    noisy, denoised = array(found["test_input.npy"]), array(found["test_output.npy"])
    assert noisy.shape == denoised.shape == (1, 256, 200, 1)
    low, high = np.percentile(noisy, (0.1, 99.9))
    np.testing.assert_allclose(denoised, (noisy - low) / (high - low) + 0.2, atol=1e-4)
    description = json.loads(found["bioimageio.yaml"])
    assert [each["name"] for each in description["authors"]] == ["A. Example"]
    assert len(description["inputs"]) == 1
    assert b"standard deviation of 0.2000" in found["README.md"]
    with Image.open(BytesIO(found["sample_output.png"])) as picture:
        assert picture.size == (200, 256)


def test_tiles_begin_on_multiples_of_the_divisor(models: dict[str, Path], tmp_path: Path) -> None:
    """A halo of 1 at a divisor of 2 would shift the second tile by an odd number of pixels."""
    found = export(models["pyramid"], tmp_path / "p.zip")
    (output,) = json.loads(found["bioimageio.yaml"])["outputs"]
    (image,) = json.loads(found["bioimageio.yaml"])["inputs"]
    assert [axis["halo"] for axis in output["axes"][1:3]] == [2, 2]
    assert [axis["size"] for axis in image["axes"][1:3]] == [{"min": 6, "step": 2}] * 2
    assert "preprocessing" not in image  # it learned one level, so its scale is fixed
    assert array(found["test_input.npy"]).max() <= 1


def test_a_model_of_one_size_has_no_halo(models: dict[str, Path], tmp_path: Path) -> None:
    found = export(models["dense"], tmp_path / "d.zip")
    (output,) = json.loads(found["bioimageio.yaml"])["outputs"]
    assert not any("halo" in axis for axis in output["axes"])
    assert array(found["test_input.npy"]).shape == (1, 28, 28, 1)


def test_without_a_level_that_of_the_sample_is_fixed(
    models: dict[str, Path], tmp_path: Path
) -> None:
    level = quietpixel.export_bioimageio(models["adder"], tmp_path / "a.zip", authors=["A"])
    with zipfile.ZipFile(tmp_path / "a.zip") as package:
        shown = stretch(array(package.read("test_input.npy")))
    assert level == pytest.approx(float(np.std(shown - _smooth(shown))), rel=0.5)
    assert quietpixel.export_bioimageio(models["blind"], tmp_path / "b.zip", authors=["A"]) is None


def _smooth(image: np.ndarray) -> np.ndarray:
    """Return the mean of 5 x 5 pixels."""
    return sum(np.roll(image, (y, x), (1, 2)) for y in range(-2, 3) for x in range(-2, 3)) / 25


def test_what_a_package_lacks_is_named(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "p.zip"
    assert "--author must name who trained" in refuse(
        capsys, models["blur"], "--bioimageio", target
    )
    Image.new("L", (40, 4)).save(tmp_path / "small.png")
    words = (models["pyramid"], "--bioimageio", target, "--author", "A")
    error = refuse(capsys, models["pyramid"], "--bioimageio", tmp_path / "p.txt", "--author", "A")
    assert "--bioimageio must end in .zip because a package is a zip archive; got" in error
    error = refuse(capsys, *words, "--sample", tmp_path / "small.png")
    assert "--sample must have at least 6 x 40 pixels" in error
    assert "a number from 0 to 1" in refuse(capsys, *words, "--sigma", "25")
    error = refuse(capsys, *words, "--sigma", tmp_path / "small.png")
    assert "--sigma must be one number or 'auto'" in error
    assert not target.exists()
    export(models["pyramid"], target)
    assert "already exists" in refuse(capsys, *words)
    export(models["pyramid"], target, "--overwrite")


def test_a_graph_that_computes_something_else_is_refused(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fix_wrongly(source: Path, target: Path, level: float | None) -> int:
        write_halver(target)
        return 17

    monkeypatch.setattr(bioimageio, "fix_level", fix_wrongly)
    with pytest.raises(ModelError, match=r"differs by up to 0\.\d+ from the model"):
        quietpixel.export_bioimageio(models["blur"], tmp_path / "p.zip", authors=["A"])
    assert not (tmp_path / "p.zip").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo", "photo-gray", "mnist-bottleneck", "mnist-unet"])
@pytest.mark.filterwarnings("ignore")
def test_bioimageio_validates_and_runs_a_package(name: str, tmp_path: Path) -> None:
    core = pytest.importorskip("bioimageio.core")
    export(name, tmp_path / "p.zip")
    assert core.test_description(tmp_path / "p.zip").status == "passed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_bioimageio_stitches_tiles_to_the_whole_image(
    models: dict[str, Path], tmp_path: Path
) -> None:
    core = pytest.importorskip("bioimageio.core")
    export(models["pyramid"], tmp_path / "p.zip")
    image = np.random.default_rng(0).random((1, 36, 40, 1)).astype(np.float32)
    description = core.load_model_description(tmp_path / "p.zip")
    whole, tiled = (
        core.predict(model=description, inputs={"image": image}, blocksize_parameter=size)
        .members["denoised"]
        .data.values
        for size in (None, 3)
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    np.testing.assert_allclose(whole, open_engine(models["pyramid"])(image), atol=1e-2)
